"""Policy losses per token, before aggregation: (B, T) tensors in, (B, T) out, registered by name.

Every loss has the signature `f(logp, old_logp, advantages, mask, **options)`. `logp` are log-probs of the
sampled tokens under the policy being trained, `old_logp` under the policy the ratio is taken against (without
gradient), `advantages` (B, T) or (B, 1), `mask` (B, T) 1 on sampled tokens. The ratio is
r = exp(logp - old_logp).
`masked.token_weights` turns token losses into the scalar.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from proctor.rl.algorithms.masked import masked_mean_rows
from proctor.rl.algorithms.registry import Clips, policy_loss

# A log-ratio beyond this says that something broke; exp() of it would overflow bf16 gradients.
MAX_LOG_RATIO = 20.0


def _clips_by(ratio_of: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Clips:
    """What PPO's clip on a ratio stops, without what `dual_clip` and `ratio_cap` stop, as the peers count."""

    def clips(
        logp: Tensor,
        old_logp: Tensor,
        advantages: Tensor,
        mask: Tensor,
        *,
        clip_low: float,
        clip_high: float,
        **_: object,
    ) -> tuple[Tensor, Tensor]:
        return _stopped(ratio_of(logp, old_logp, mask), advantages, 1.0 - clip_low, 1.0 + clip_high)

    return clips


@policy_loss("ppo_clip", clips=_clips_by(lambda logp, old_logp, mask: _ratio(logp, old_logp)))
def ppo_clip(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
    ratio_cap: float | None = None,
) -> Tensor:
    """-min(r A, clip(r, 1 - clip_low, 1 + clip_high) A).

    Args:
        clip_high: above clip_low it is DAPO's clip-higher (0.28).
        dual_clip: c > 1 bounds the loss by -c A where A < 0 (3 is usual).
        ratio_cap: bounds the unclipped ratio from above (two-sided clipping, INTELLECT-2).
    Source: PPO arXiv:1707.06347 eq. 7; DAPO arXiv:2503.14476; dual clip arXiv:1912.09729;
        INTELLECT-2 arXiv:2505.07291.
    """
    ratio = _ratio(logp, old_logp)
    return _clipped(ratio, advantages, clip_low, clip_high, dual_clip=dual_clip, ratio_cap=ratio_cap)


@policy_loss("gspo", by_sequence=True, clips=_clips_by(lambda *each: _mean_log_ratio(*each).exp()))
def gspo(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 3e-4,
    clip_high: float = 4e-4,
    dual_clip: float | None = None,
    ratio_cap: float | None = None,
) -> Tensor:
    """PPO's clip with one ratio a sequence, s = exp(mean over its tokens of (logp - old_logp)).

    The value stands on every token of the row; each token carries its own share of the gradient (the
    paper's GSPO-token form), so weights per token stay right. Source: arXiv:2507.18071, eqs. 5, 7 and 14.
    """
    log_ratio = _mean_log_ratio(logp, old_logp, mask).detach()
    ratio = torch.exp((logp - logp.detach() + log_ratio).clamp(max=MAX_LOG_RATIO))
    return _clipped(ratio, advantages, clip_low, clip_high, dual_clip=dual_clip, ratio_cap=ratio_cap)


@policy_loss("sequence_clip", by_sequence=True, clips=_clips_by(lambda *each: _sequence_ratio(*each)))
def sequence_clip(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Tensor:
    """PPO's clip on the probability of the whole completion: r = exp(sum over its tokens of logp - old_logp).

    The row's value stands on every token, so aggregate by `sequence`. Sequence-level advantages.
    Source: RLOO, arXiv:2402.14740, as TRL's RLOOTrainer computes it.
    """
    ratio = _sequence_ratio(logp, old_logp, mask)
    loss = _clipped(ratio, advantages, clip_low, clip_high, dual_clip=None, ratio_cap=None)
    return loss.expand_as(logp)


def _clips_weights(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float | None,
    clip_high: float,
    **_: object,
) -> tuple[Tensor, Tensor]:
    """Whatever the sign of A: it is the weight that is bounded, and the token keeps its gradient."""
    ratio = _ratio(logp, old_logp)
    return ratio < (0.0 if clip_low is None else 1.0 - clip_low), ratio > 1.0 + clip_high


@policy_loss("cispo", clips=_clips_weights)
def cispo(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float | None = None,
    clip_high: float = 4.0,
) -> Tensor:
    """-stop_gradient(clip(r, 1 - clip_low, 1 + clip_high)) A logp: a clipped token keeps its gradient.

    clip_low None leaves the lower side open, as the paper does. TRL's `epsilon_high` is 1 + our clip_high.
    Source: MiniMax-M1, arXiv:2506.13585, eqs. 4-5.
    """
    low = None if clip_low is None else 1.0 - clip_low
    weight = _ratio(logp, old_logp).detach().clamp(min=low, max=1.0 + clip_high)
    return -weight * advantages * logp


@policy_loss("sapo")
def sapo(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    temperature_positive: float = 1.0,
    temperature_negative: float = 1.05,
) -> Tensor:
    """-(4 / tau) sigmoid(tau (r - 1)) A: a soft gate in place of the clip; tau depends on the sign of A.

    Source: arXiv:2511.20347.
    """
    is_gain = (advantages > 0).to(logp.dtype)
    tau = temperature_negative + (temperature_positive - temperature_negative) * is_gain
    return -torch.sigmoid(tau * (_ratio(logp, old_logp) - 1.0)) * (4.0 / tau) * advantages


def _clips_logs(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    **_: object,
) -> tuple[Tensor, Tensor]:
    return _stopped(logp - old_logp, advantages, -clip_low, clip_high)


@policy_loss("gmpo", by_sequence=True, clips=_clips_logs)
def gmpo(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.4,
    clip_high: float = 0.4,
) -> Tensor:
    """-A exp(mean of the clipped log-ratios): the geometric mean of the tokens' ratios, clipped per token.

    Clips log-ratios, to [-clip_low, clip_high]. Sequence-level advantages; the row's value stands on every
    token. Source: arXiv:2507.20673.
    """
    sign = advantages.sign()
    log_ratio = logp - old_logp
    clipped = sign * torch.minimum(sign * log_ratio, sign * log_ratio.clamp(-clip_low, clip_high))
    ratio = torch.exp(masked_mean_rows(clipped, mask)).unsqueeze(-1)
    return (-ratio * advantages).expand_as(logp)


@policy_loss("vespo", by_sequence=True)
def vespo(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    k_positive: float = 2.0,
    lambda_positive: float = 3.0,
    k_negative: float = 3.0,
    lambda_negative: float = 2.0,
) -> Tensor:
    """-phi(w) A logp with phi(w) = e^lambda w^k e^(-lambda w), w = exp(sum of log-ratios).

    phi has no gradient, and k and lambda depend on the sign of A; phi(1) = 1.
    Source: arXiv:2602.10693, with the constants of TRL.
    """
    floor = math.log(1e-8)
    log_w = ((logp - old_logp).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO) * mask).sum(-1, keepdim=True)
    log_w = log_w.detach().clamp(floor, MAX_LOG_RATIO)
    is_gain = advantages >= 0
    k = torch.where(is_gain, k_positive, k_negative).to(logp.dtype)
    lam = torch.where(is_gain, lambda_positive, lambda_negative).to(logp.dtype)
    phi = torch.exp(lam + k * log_w - lam * log_w.exp()).nan_to_num(nan=0.0, posinf=0.0)
    return -phi * advantages * logp


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, *, clip: float | None = 0.2) -> Tensor:
    """0.5 max((V - R)^2, (clip(V, V_old - clip, V_old + clip) - R)^2) per token, (B, T); None: no clip.

    Source: PPO's reference implementation; arXiv:2005.12729 discusses the clip.
    """
    squared = (values - returns) ** 2
    if clip is not None:
        bounded = torch.minimum(torch.maximum(values, old_values - clip), old_values + clip)
        squared = torch.maximum(squared, (bounded - returns) ** 2)
    return 0.5 * squared


def preference_loss(
    chosen: Tensor, rejected: Tensor, *, margin: Tensor | None = None, centre_coef: float = 0.0
) -> Tensor:
    """Bradley-Terry: mean of -log sigmoid(chosen - rejected - margin) + centre_coef (chosen + rejected)^2.

    Scores (B,) of a reward model; centring keeps them near 0, where their sum means something.
    Source: InstructGPT, arXiv:2203.02155; margin, Llama 2, arXiv:2307.09288; centring, arXiv:2312.09244.
    """
    lead = chosen - rejected if margin is None else chosen - rejected - margin
    return (-torch.nn.functional.logsigmoid(lead) + centre_coef * (chosen + rejected) ** 2).mean()


def _ratio(logp: Tensor, old_logp: Tensor) -> Tensor:
    if logp.shape != old_logp.shape:
        raise ValueError(f"logp is {tuple(logp.shape)} but old_logp is {tuple(old_logp.shape)}")
    return torch.exp((logp - old_logp).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO))


def _mean_log_ratio(logp: Tensor, old_logp: Tensor, mask: Tensor) -> Tensor:
    return masked_mean_rows(logp - old_logp, mask).unsqueeze(-1)


def _sequence_ratio(logp: Tensor, old_logp: Tensor, mask: Tensor) -> Tensor:
    log_ratio = ((logp - old_logp) * mask).sum(-1, keepdim=True)
    return torch.exp(log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO))


def _stopped(ratio: Tensor, advantages: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Where PPO's clip stops the gradient: below the range where A < 0, above it where A > 0."""
    return (ratio < low) & (advantages < 0), (ratio > high) & (advantages > 0)


def _clipped(
    ratio: Tensor,
    advantages: Tensor,
    clip_low: float,
    clip_high: float,
    *,
    dual_clip: float | None,
    ratio_cap: float | None,
) -> Tensor:
    bounded = ratio.clamp(1.0 - clip_low, 1.0 + clip_high) * advantages
    free = (ratio if ratio_cap is None else ratio.clamp(max=ratio_cap)) * advantages
    loss = -torch.minimum(free, bounded)
    if dual_clip is None:
        return loss
    return torch.where(advantages < 0, torch.minimum(loss, -dual_clip * advantages), loss)
