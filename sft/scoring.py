"""Generations scored by our own rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proctor.sft.generate import Generation
from proctor.verifiers.core import Reward, Score
from proctor.verifiers.files.rows import find_columns


@dataclass(frozen=True, slots=True)
class Scored:
    """Mean reward of generations. Those without a verdict are left out and counted, never taken for zero."""

    mean: float | None  # None: nothing could be scored
    num_unscored: int
    scores: tuple[Score, ...]


def score(generations: Sequence[Generation], reward: Reward) -> Scored:
    """Scores generations; the reference comes from each question's row, under any of its usual names."""
    rows = [
        {
            **generation.question.row,
            "completion": generation.completion,
            "prompt": generation.question.prompt,
            "num_tokens": generation.num_tokens,
            "truncated": generation.is_truncated,
        }
        for generation in generations
    ]
    columns = find_columns(rows)
    scores = tuple(reward.score([columns.rollout(row) for row in rows]))
    totals = [score.total for score in scores if score.total is not None]
    mean = sum(totals) / len(totals) if totals else None
    return Scored(mean, len(scores) - len(totals), scores)
