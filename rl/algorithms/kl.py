"""Estimates of KL(policy || reference) from sampled tokens, and the controllers of their coefficient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ESTIMATORS = ("k1", "k2", "k3", "abs")


def kl_estimate(
    logp: Tensor, ref_logp: Tensor, kind: str = "k3", *, bound: float | None = None, gradient: str = "own"
) -> Tensor:
    """Per-token estimate of the KL, (B, T). With d = logp - ref_logp:

    | kind | value | |
    |---|---|---|
    | `k1`  | d                | unbiased, can be negative; as a *loss* its expected gradient is zero |
    | `k2`  | d^2 / 2          | biased; its gradient is that of the reverse KL |
    | `k3`  | exp(-d) + d - 1  | unbiased, never negative; its gradient is that of the forward KL |
    | `abs` | abs(d)           | |

    Args:
        bound: clamps the value to [-bound, bound] (verl's k3 and OpenRLHF: 10).
        gradient: `own`: of the formula; `k2`: the value of `kind` with k2's gradient, which is the right one
            for a reverse KL placed in the loss (arXiv:2510.01555; verl's `k1+`, `k3+`).
    Source: J. Schulman, Approximating KL Divergence, 2020.
    """
    if gradient not in ("own", "k2"):
        raise ValueError(f"unknown KL gradient '{gradient}'; known: own, k2")
    value = _value(logp - ref_logp, kind)
    if bound is not None:
        value = value.clamp(-bound, bound)
    if gradient == "own":
        return value
    with_gradient = 0.5 * (logp - ref_logp) ** 2
    return value.detach() + with_gradient - with_gradient.detach()


def off_policy_kl(kl: Tensor, logp: Tensor, old_logp: Tensor, *, gradient: str = "own") -> Tensor:
    """kl * pi / pi_old, (B, T): unbiased, gradient too, where tokens were sampled from pi_old.

    gradient: as `kl_estimate` was told. k2's is that of the KL already: the ratio, whose own gradient completes
    that of k1 and k3, only weighs it.
    Source: DeepSeek-V3.2, arXiv:2512.02556, section 3.1.
    """
    ratio = torch.exp(logp - old_logp)
    return kl * (ratio if gradient == "own" else ratio.detach())


@dataclass(slots=True)
class FixedKL:
    """A constant coefficient."""

    coef: float

    def update(self, kl: float, num_steps: int) -> None:
        """Nothing to adapt."""


@dataclass(slots=True)
class AdaptiveKL:
    """coef <- coef (1 + clip(kl / target - 1, -0.2, 0.2) num_steps / horizon).

    `num_steps` counts samples since the last update. Its fields are its whole state.
    Source: arXiv:1909.08593, section 2.2.
    """

    coef: float = 0.05
    target: float = 6.0
    horizon: int = 10_000

    def update(self, kl: float, num_steps: int) -> None:
        error = min(max(kl / self.target - 1.0, -0.2), 0.2)
        self.coef *= 1.0 + error * num_steps / self.horizon


def _value(difference: Tensor, kind: str) -> Tensor:
    if kind == "k1":
        return difference
    if kind == "k2":
        return 0.5 * difference**2
    if kind == "k3":
        inverse = (-difference).clamp(-20.0, 20.0)  # exp(20) is past any use; unclamped it overflows
        return inverse.exp() - inverse - 1.0
    if kind == "abs":
        return difference.abs()
    raise ValueError(f"unknown KL estimator '{kind}'; known: {', '.join(ESTIMATORS)}")
