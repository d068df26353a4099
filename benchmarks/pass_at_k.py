"""pass@k: the chance that one of k samples is right, estimated without bias, with an interval over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class PassAtK:
    """One estimate over a set of tasks."""

    k: int
    value: float  # mean over the tasks, 0 to 1
    low: float  # 95% bootstrap interval over the tasks
    high: float
    num_tasks: int

    def __str__(self) -> str:
        if self.num_tasks == 1:
            return f"pass@{self.k} {100 * self.value:.1f}% (1 task, which has no interval)"
        half = 100 * (self.high - self.low) / 2
        return f"pass@{self.k} {100 * self.value:.1f}% ±{half:.1f} ({self.num_tasks:,} tasks)"


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k): the chance that k samples, drawn without replacement, hold a right one.

    Computed as 1 - prod over i from n - c + 1 to n of (1 - k / i), which never overflows.
    Raises ValueError for k above n. Source: HumanEval, arXiv:2107.03374, equation 1.
    """
    if k > num_samples:
        raise ValueError(f"pass@{k} needs {k} samples of a task, there are {num_samples}")
    if num_samples - num_correct < k:
        return 1.0
    terms = 1.0 - k / np.arange(num_samples - num_correct + 1, num_samples + 1)
    return float(1.0 - np.prod(terms))


def estimate(counts: Sequence[tuple[int, int]], k: int, *, seed: int = 0) -> PassAtK:
    """pass@k over tasks from (samples, right ones) of each, with a bootstrap interval.

    The bootstrap draws tasks, not samples: what an interval should say is how another set of such tasks
    would have come out. Raises ValueError where a task has fewer than k samples, or there is none.
    """
    if not counts:
        raise ValueError("pass@k needs at least one task")
    values = np.array([pass_at_k(samples, correct, k) for samples, correct in counts])
    drawn = np.random.default_rng(seed).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return PassAtK(k, float(values.mean()), float(low), float(high), len(values))
