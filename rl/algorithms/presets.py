"""The algorithms by name: a table of the pieces each one chooses. Every piece can be overridden."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """What turns scored rollouts into a gradient: advantage, loss, divisor, and where the KL stands."""

    advantage: str  # a name of registry.ADVANTAGES, or "gae", which needs a critic
    advantage_options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "ppo_clip"  # a name of registry.LOSSES
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    aggregation: str = "token"  # how token losses are averaged: see masked.token_weights
    kl_coef: float = 0.0
    kl_estimator: str = "k3"
    kl_placement: str = "loss"  # "loss", or "reward": subtracted from token rewards before the advantage
    kl_gradient: str = "own"  # "k2": the reverse KL's gradient whatever the value's estimator
    kl_target: float | None = None  # nats per token; None: the coefficient is fixed
    entropy_coef: float = 0.0
    gamma: float = 1.0  # discount; below 1 only with rewards per token
    gae_lambda: float = 0.95
    value_coef: float = 0.5  # of the critic's loss, where the critic shares the policy's backbone
    value_clip: float | None = 0.2
    refill_zero_variance: bool = False  # dynamic sampling: replace groups that teach nothing
    mask_truncated: bool = False  # overlong filtering: truncated completions are not trained

    @property
    def needs_critic(self) -> bool:
        return self.advantage == "gae"


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
    # arXiv:2501.03262: no group, whitened over the batch, k1 KL in the reward.
    "reinforce_pp": Algorithm(
        advantage="reinforce_pp", kl_coef=0.01, kl_estimator="k1", kl_placement="reward"
    ),
    # The same paper, section 3: group mean as the baseline, k2 KL in the loss.
    "reinforce_pp_baseline": Algorithm(
        advantage="reinforce_pp_baseline", kl_coef=0.01, kl_estimator="k2", kl_placement="loss"
    ),
    # arXiv:1707.06347 as InstructGPT runs it: a critic, GAE, k1 KL in the reward.
    "ppo": Algorithm(advantage="gae", kl_coef=0.05, kl_estimator="k1", kl_placement="reward"),
}


def preset(name: str, **overrides: Any) -> Algorithm:
    """The algorithm of that name with some pieces replaced; option tables are merged, not replaced.

    Raises:
        KeyError: unknown preset, or unknown piece; the message has the nearest name.
    """
    if name not in PRESETS:
        raise KeyError(_unknown("algorithm", name, PRESETS))
    base = PRESETS[name]
    for key, value in overrides.items():
        if key not in Algorithm.__slots__:
            raise KeyError(_unknown(f"piece of '{name}'", key, Algorithm.__slots__))
        if key.endswith("_options"):
            overrides[key] = {**getattr(base, key), **value}
    return replace(base, **overrides)


def _unknown(what: str, name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return f"unknown {what} '{name}'{hint}; known: {', '.join(known)}"
