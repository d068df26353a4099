"""Corrects for the gap between the sampler's probabilities and the trainer's.

The sampler (vLLM, other kernels, other precision) and the trainer disagree about the very same weights, so
that a step thought on-policy is not. With d = old_logp - sampler_logp per token (trainer's minus sampler's),
weights exp(d) make it right in expectation; truncating or masking them bounds their variance.
Source: F. Yao et al., Your efficient RL framework secretly brings you off-policy RL training, 2025; IcePop,
arXiv:2510.18855.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from proctor.rl.algorithms.masked import masked_mean, masked_mean_rows


@dataclass(frozen=True, slots=True)
class SamplerGap:
    """How far the sampler is from the trainer on one step; to be logged at each."""

    mean_abs: float  # mean of |d| over sampled tokens, nats
    max_abs: float  # largest |d|
    kl: float  # k1 estimate of KL(sampler || trainer): mean of -d
    max_ratio: float  # largest exp(d)


def sampler_gap(old_logp: Tensor, sampler_logp: Tensor, mask: Tensor) -> SamplerGap:
    """Measures the gap on sampled tokens; all inputs (B, T)."""
    difference = (old_logp - sampler_logp).detach() * mask
    return SamplerGap(
        mean_abs=float(masked_mean(difference.abs(), mask)),
        max_abs=float(difference.abs().max()),
        kl=float(masked_mean(-difference, mask)),
        max_ratio=float(difference.max().exp()),
    )


def importance_weights(
    old_logp: Tensor,
    sampler_logp: Tensor,
    mask: Tensor,
    *,
    level: str = "token",
    mode: str = "truncate",
    bounds: tuple[float | None, float] = (None, 2.0),
    normalize: bool = False,
) -> Tensor:
    """Weights to multiply token losses with, no gradient, (B, T) or (B, 1) by sequence.

    Args:
        level: `token`: exp(d); `sequence`: exp(sum of d over the row); `geometric`: exp(mean of d).
        mode: `truncate` clamps to the bounds; `mask` sets to 0 what lies outside.
        bounds: lower and upper end; None is 0.
        normalize: divides by the mean weight (over sampled tokens, or over rows), which must be a whole step's:
            the loop takes steps in parts and leaves it off.
    Raises:
        ValueError: unknown level or mode.
    """
    low, high = bounds
    difference = (old_logp - sampler_logp).detach() * mask
    if level == "token":
        log_weight, counted = difference, mask
    elif level in ("sequence", "geometric"):
        total = difference.sum(-1) if level == "sequence" else masked_mean_rows(difference, mask)
        log_weight, counted = total.unsqueeze(-1), (mask.sum(-1, keepdim=True) > 0).to(difference.dtype)
    else:
        raise ValueError(f"unknown level '{level}'; known: token, sequence, geometric")
    weight = torch.exp(log_weight.clamp(-20.0, 20.0))
    if mode == "truncate":
        weight = weight.clamp(min=low, max=high)
    elif mode == "mask":
        weight = torch.where((weight >= (low or 0.0)) & (weight <= high), weight, 0.0)
    else:
        raise ValueError(f"unknown mode '{mode}'; known: truncate, mask")
    return weight / masked_mean(weight, counted).clamp(min=1e-8) if normalize else weight


def divergence_mask(
    old_logp: Tensor,
    sampler_logp: Tensor,
    mask: Tensor,
    *,
    measure: str = "binary_kl",
    limit: float = 0.02,
    level: str = "token",
) -> Tensor:
    """True where trainer and sampler agree about the sampled token to within `limit`, (B, T) or (B, 1).

    Looks at the sampled token against all others together: with p = exp(sampler_logp), q = exp(old_logp),
    `tv` is |p - q| and `binary_kl` is p log(p/q) + (1-p) log((1-p)/(1-q)), in nats. `sequence` judges a row
    by its mean. Unlike a bound on the ratio it does not punish rare tokens.
    """
    p, q = sampler_logp.exp().clamp(max=1 - 1e-6), old_logp.detach().exp().clamp(max=1 - 1e-6)
    if measure == "tv":
        distance = (p - q).abs()
    elif measure == "binary_kl":
        distance = p * (sampler_logp - old_logp.detach()) + (1 - p) * (torch.log1p(-p) - torch.log1p(-q))
    else:
        raise ValueError(f"unknown measure '{measure}'; known: binary_kl, tv")
    if level == "sequence":
        distance = masked_mean_rows(distance, mask).unsqueeze(-1)
    return distance <= limit


def stale_sequence_mask(
    logp: Tensor, sampler_logp: Tensor, advantages: Tensor, mask: Tensor, *, limit: float
) -> Tensor:
    """True on rows worth training, (B, 1): A >= 0, or the mean of sampler_logp - logp is within `limit` nats.

    A bad answer that the policy has already moved away from teaches nothing but instability.
    Source: DeepSeek-V3.2, arXiv:2512.02556, section 3.1.
    """
    drift = masked_mean_rows((sampler_logp - logp).detach(), mask).unsqueeze(-1)
    return (advantages.amax(-1, keepdim=True) >= 0) | (drift <= limit)
