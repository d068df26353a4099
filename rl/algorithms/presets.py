"""The algorithms by name: a table of the pieces each one chooses. Every piece can be overridden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from proctor.rl.algorithms.registry import BY_PART, WITHIN_GROUPS
from proctor.verifiers.spelling import did_you_mean

BY_TOKEN = ("gae", "discounted_returns")  # advantages that each token has of its own; see credit.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """What turns scored rollouts into a gradient: advantage, loss, divisor, and where the KL stands."""

    advantage: str  # a name of registry.ADVANTAGES, or of BY_TOKEN, where "gae" needs a critic
    advantage_options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "ppo_clip"  # a name of registry.LOSSES
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    aggregation: str = "token"  # how token losses are averaged: see masked.sequence_weights
    kl_coef: float = 0.0
    kl_estimator: str = "k3"
    kl_placement: str = "loss"  # "loss", or "reward": subtracted from token rewards before the advantage
    kl_gradient: str = "own"  # "k2": the reverse KL's gradient whatever the value's estimator
    kl_off_policy: bool = False  # the KL in the loss times pi / pi_old: unbiased after the first update too
    kl_target: float | None = None  # nats per token; None: the coefficient is fixed
    entropy_coef: float = 0.0
    gamma: float = 1.0  # discount, of advantages per token
    gae_lambda: float = 0.95
    value_clip: float | None = 0.2  # of the critic's loss
    refill_zero_variance: bool = False  # dynamic sampling: replace groups that teach nothing
    mask_truncated: bool = False  # overlong filtering: truncated completions are not trained

    @property
    def needs_critic(self) -> bool:
        return self.advantage == "gae"

    @property
    def by_token(self) -> bool:
        """Whether a KL in the reward stands on its own token, and each token gets its own advantage."""
        return self.advantage in BY_TOKEN

    @property
    def by_part(self) -> bool:
        return self.advantage in BY_PART

    @property
    def within_groups(self) -> bool:
        """Whether a group of equal rewards, and one of a single completion, teaches nothing."""
        return self.advantage in WITHIN_GROUPS


PRESETS: dict[str, Algorithm] = {
    # DeepSeekMath, arXiv:2402.03300: std-scaled group advantages, mean per sequence, k3 KL in the loss.
    "grpo": Algorithm(advantage="grpo", aggregation="sequence", kl_coef=0.04),
    # arXiv:2503.20783: no division by std, one constant for all lengths, no KL.
    "dr_grpo": Algorithm(advantage="grpo", advantage_options={"scale": "none"}, aggregation="constant"),
    # arXiv:2503.14476: clip-higher, token mean over the step, dynamic sampling, truncated rows left out.
    "dapo": Algorithm(
        advantage="grpo",
        loss_options={"clip_low": 0.2, "clip_high": 0.28},
        refill_zero_variance=True,
        mask_truncated=True,
    ),
    # arXiv:2507.18071: one ratio a sequence, clipped at a few ten-thousandths.
    "gspo": Algorithm(
        advantage="grpo",
        loss="gspo",
        loss_options={"clip_low": 3e-4, "clip_high": 4e-4},
        aggregation="sequence",
    ),
    # MiniMax-M1, arXiv:2506.13585: the importance weight is clipped, never the gradient.
    "cispo": Algorithm(advantage="grpo", loss="cispo", loss_options={"clip_high": 4.0}),
    # arXiv:2402.14740: leave-one-out baseline, one ratio of the whole sequence, k1 KL in the reward.
    "rloo": Algorithm(
        advantage="rloo",
        loss="sequence_clip",
        aggregation="sequence",
        kl_coef=0.05,
        kl_estimator="k1",
        kl_placement="reward",
    ),
    # arXiv:2501.03262: no group, returns whitened over the batch's tokens, k1 KL in the reward.
    "reinforce_pp": Algorithm(
        advantage="discounted_returns", kl_coef=0.01, kl_estimator="k1", kl_placement="reward"
    ),
    # The same paper, section 3: group mean as the baseline, k2 KL in the loss.
    "reinforce_pp_baseline": Algorithm(
        advantage="reinforce_pp_baseline", kl_coef=0.01, kl_estimator="k2", kl_placement="loss"
    ),
    # arXiv:1707.06347 as InstructGPT runs it: a critic, GAE, k1 KL in the reward.
    "ppo": Algorithm(advantage="gae", kl_coef=0.05, kl_estimator="k1", kl_placement="reward"),
}


def preset(name: str, **overrides: Any) -> Algorithm:
    """The algorithm of that name with some pieces replaced.

    Option tables are merged into the preset's own; those of a loss or an advantage that is replaced go with it.

    Raises:
        KeyError: unknown preset, or unknown piece; the message has the nearest name.
    """
    if name not in PRESETS:
        raise KeyError(_unknown("algorithm", name, PRESETS))
    base = PRESETS[name]
    for key in overrides:
        if key not in Algorithm.__slots__:
            raise KeyError(_unknown(f"piece of '{name}'", key, Algorithm.__slots__))
    for piece in ("advantage", "loss"):
        options = f"{piece}_options"
        is_kept = overrides.get(piece, getattr(base, piece)) == getattr(base, piece)
        overrides[options] = {**(getattr(base, options) if is_kept else {}), **overrides.get(options, {})}
    return replace(base, **overrides)


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    return f"unknown {what} '{name}'{did_you_mean(name, known)}; known: {', '.join(known)}"
