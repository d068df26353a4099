"""Advantages of whole completions from their rewards and the prompts they share.

Every estimator takes `rewards` (B,), NaN where there is no verdict, and `groups` (B,), integers that equal
prompts share, in any order; it returns (B,). A completion without a verdict leaves its group *before* any
baseline is taken and gets 0. A group with fewer than two verdicts has no baseline and gets zeros (verl keeps
the raw reward there: `keep_single=True`). Groups whose rewards are all equal get exactly zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from proctor.rl.algorithms.masked import whiten
from proctor.rl.algorithms.registry import advantage


@dataclass(frozen=True, slots=True)
class GroupStats:
    """What a reward is compared with; every tensor is (B,), the value of the row's own group."""

    scored: Tensor  # bool: the row has a verdict
    rewards: Tensor  # rewards with 0 where there is no verdict
    count: Tensor  # verdicts in the group
    mean: Tensor  # of the verdicts; 0 in an empty group
    std: Tensor  # with n - 1; 0 below two verdicts
    varies: Tensor  # bool: the group's verdicts are not all equal


def group_stats(rewards: Tensor, groups: Tensor) -> GroupStats:
    """Counts, means and deviations of each row's group, NaN left out. Raises ValueError on other shapes."""
    if rewards.dim() != 1 or rewards.shape != groups.shape:
        raise ValueError(
            f"rewards and groups must be (B,) alike, got {tuple(rewards.shape)}, {tuple(groups.shape)}"
        )
    _, index = groups.unique(return_inverse=True)
    scored = ~rewards.isnan()
    filled = torch.where(scored, rewards, 0.0)
    count = _group_sum(scored.to(rewards.dtype), index)
    mean = _group_sum(filled, index) / count.clamp(min=1)
    square = torch.where(scored, (filled - mean) ** 2, 0.0)
    std = (_group_sum(square, index) / (count - 1).clamp(min=1)).sqrt()
    high = _group_extreme(torch.where(scored, rewards, -torch.inf), index, "amax")
    low = _group_extreme(torch.where(scored, rewards, torch.inf), index, "amin")
    return GroupStats(scored, filled, count, mean, std, (count > 1) & (high > low))


@advantage("grpo", within_groups=True)
def grpo(
    rewards: Tensor,
    groups: Tensor,
    *,
    lengths: Tensor | None = None,
    scale: str = "group",
    eps: float = 1e-4,
    keep_single: bool = False,
) -> Tensor:
    """A_i = (r_i - mean of its group) / (std + eps).

    Args:
        scale: `group`: std of the group (n - 1); `batch`: std of all verdicts (less noise from small groups,
            arXiv:2508.08221); `none`: no division (Dr. GRPO).
        eps: TRL's 1e-4; verl has 1e-6, OpenRLHF 1e-9.
    Source: DeepSeekMath, arXiv:2402.03300, section 4.1; Dr. GRPO, arXiv:2503.20783.
    """
    stats = group_stats(rewards, groups)
    centred = _settle(stats, stats.rewards - stats.mean, keep_single=keep_single)
    if scale == "none":
        return centred
    if scale == "batch":
        scored = stats.rewards[stats.scored]
        return centred / (scored.std() + eps) if scored.numel() > 1 else centred
    if scale == "group":
        # A single verdict has no deviation; verl divides it by 1.
        return centred / (torch.where(stats.count > 1, stats.std, 1.0) + eps)
    raise ValueError(f"unknown scale '{scale}'; known: group, batch, none")


@advantage("rloo", within_groups=True)
def rloo(
    rewards: Tensor,
    groups: Tensor,
    *,
    lengths: Tensor | None = None,
    normalize: bool = False,
    eps: float = 1e-4,
    keep_single: bool = False,
) -> Tensor:
    """A_i = r_i - mean of the *other* rewards of its group = n / (n - 1) (r_i - mean).

    `normalize` then subtracts the batch's mean and divides by its std + eps (TRL).
    Source: arXiv:2402.14740.
    """
    stats = group_stats(rewards, groups)
    leave_one_out = (stats.rewards - stats.mean) * stats.count / (stats.count - 1).clamp(min=1)
    advantages = _settle(stats, leave_one_out, keep_single=keep_single)
    if not normalize:
        return advantages
    return _standardised(advantages, stats.scored, eps)


@advantage("reinforce_pp_baseline", within_groups=True)
def reinforce_pp_baseline(
    rewards: Tensor,
    groups: Tensor,
    *,
    lengths: Tensor | None = None,
    unbiased: bool = True,
    eps: float = 1e-8,
) -> Tensor:
    """REINFORCE++ with a group baseline: r_i - mean of its group, then whitened over the batch's tokens.

    Every token of a completion has its advantage, so whitening over tokens weighs completions by `lengths`
    (None: all alike). The variance divides by n - 1 as verl's; OpenRLHF's by n: `unbiased=False`.
    Source: arXiv:2501.03262, section 3.
    """
    stats = group_stats(rewards, groups)
    centred = _settle(stats, stats.rewards - stats.mean)
    return _whiten_by_length(centred, stats.scored, lengths, unbiased=unbiased, eps=eps)


@advantage("batch_baseline")
def batch_baseline(rewards: Tensor, groups: Tensor, *, lengths: Tensor | None = None) -> Tensor:
    """A_i = r_i - mean of the whole batch: for one completion a prompt, where there is no group.

    Source: FlashREINFORCE, as OpenRLHF 0.11 computes it.
    """
    stats = group_stats(rewards, torch.zeros_like(groups))
    return _settle(stats, stats.rewards - stats.mean)


@advantage("opo", within_groups=True)
def opo(
    rewards: Tensor, groups: Tensor, *, lengths: Tensor | None = None, keep_single: bool = False
) -> Tensor:
    """A_i = r_i - sum(L_j r_j) / sum(L_j) over its group: the baseline of least variance when gradients grow
    with length. Source: arXiv:2505.23585.
    """
    if lengths is None:
        raise ValueError("advantage 'opo' needs lengths: sampled tokens of each completion")
    stats = group_stats(rewards, groups)
    _, index = groups.unique(return_inverse=True)
    weight = torch.where(stats.scored, lengths.to(rewards.dtype), 0.0)
    baseline = _group_sum(weight * stats.rewards, index) / _group_sum(weight, index).clamp(min=1e-12)
    return _settle(stats, stats.rewards - baseline, keep_single=keep_single)


@advantage("gpg", within_groups=True)
def gpg(rewards: Tensor, groups: Tensor, *, lengths: Tensor | None = None) -> Tensor:
    """A_i = (B / number of rewards that are not zero) (r_i - mean of its group). Source: arXiv:2504.02546."""
    stats = group_stats(rewards, groups)
    alpha = stats.scored.sum() / (stats.rewards != 0).sum().clamp(min=1)
    return alpha * _settle(stats, stats.rewards - stats.mean)


@advantage("best_of_group", within_groups=True)
def best_of_group(
    rewards: Tensor, groups: Tensor, *, lengths: Tensor | None = None, scale: str = "group", eps: float = 1e-6
) -> Tensor:
    """The best completion gets its lead over the second best, over std + eps; all others 0 (pass@k training).

    A tie for the best leads by 0. Source: arXiv:2503.19595.
    """
    stats = group_stats(rewards, groups)
    advantages = torch.zeros_like(stats.rewards)
    for group in groups.unique():
        rows = ((groups == group) & stats.scored).nonzero().flatten()
        if len(rows) > 1:
            (best, second), order = stats.rewards[rows].topk(2)
            advantages[rows[order[0]]] = best - second
    return advantages / (stats.std + eps) if scale == "group" else advantages


@advantage("gdpo", within_groups=True, by_part=True)
def gdpo(
    rewards_BK: Tensor,
    groups: Tensor,
    *,
    weights_K: Tensor,
    lengths: Tensor | None = None,
    scale: str = "group",
    eps: float = 1e-4,
) -> Tensor:
    """Several rewards, each normalised in its group first, then summed by weight and whitened over the batch.

    Keeps rewards of different scale from drowning one another. NaN: not scored by that reward; a row of only
    NaN gets 0. rewards_BK (B, K), weights_K (K,) -> (B,). Source: GDPO, arXiv:2601.05242; TRL
    `normalize_then_sum`.
    """
    columns = [grpo(rewards_BK[:, k], groups, scale=scale, eps=eps) for k in range(rewards_BK.shape[1])]
    summed = (torch.stack(columns, dim=1) * weights_K).sum(dim=1)
    scored = ~rewards_BK.isnan().all(dim=1)
    return _standardised(summed, scored, eps)


def _settle(stats: GroupStats, advantages: Tensor, *, keep_single: bool = False) -> Tensor:
    """Zero where there is no verdict or no variation; equal rewards must not leave rounding noise behind."""
    settled = torch.where(stats.varies & stats.scored, advantages, 0.0)
    return torch.where((stats.count == 1) & stats.scored, stats.rewards, settled) if keep_single else settled


def _standardised(values: Tensor, scored: Tensor, eps: float) -> Tensor:
    """(x - mean) / (std + eps) over the scored ones, 0 elsewhere; a single one has no deviation, and is 0."""
    kept = values[scored]
    if kept.numel() < 2:
        return torch.zeros_like(values)
    return torch.where(scored, (values - kept.mean()) / (kept.std() + eps), 0.0)


def _whiten_by_length(
    values: Tensor, scored: Tensor, lengths: Tensor | None, *, unbiased: bool = True, eps: float
) -> Tensor:
    kept = values[scored]
    if kept.numel() == 0 or kept.min() == kept.max():  # 1 / sqrt(eps) would blow rounding noise up
        return torch.zeros_like(values)
    weight = torch.ones_like(values) if lengths is None else lengths.to(values.dtype)
    weight = torch.where(scored, weight, 0.0)
    return torch.where(scored, whiten(values, weight, unbiased=unbiased, eps=eps), 0.0)


def _group_sum(values: Tensor, index: Tensor) -> Tensor:
    return values.new_zeros(len(index)).index_add(0, index, values)[index]


def _group_extreme(values: Tensor, index: Tensor, how: str) -> Tensor:
    start = values.new_full((len(index),), -torch.inf if how == "amax" else torch.inf)
    return start.scatter_reduce(0, index, values, how)[index]
