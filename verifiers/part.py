"""What a reward part is: a leaf of an expression that turns rollouts into verdicts."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.nodes import Node


class Cost(IntEnum):
    """Order of magnitude per rollout; the plan may run cheaper parts of a gate first."""

    MICROSECONDS = 0  # looks at the text
    MILLISECONDS = 1  # may need a worker process
    SECONDS = 2  # runs programs or calls a model


@dataclass(frozen=True, slots=True)
class Bounds:
    """Closed range of the values that a part or expression can take; infinities where it has no bound."""

    low: float
    high: float


class Part(Node):
    """One reward part. Subclasses are frozen dataclasses whose fields are its options, all with defaults.

    Its docstring has the four headings: what it measures, formula and range, what it pays wrongly, source.
    """

    name: ClassVar[str]  # what it is called in expressions
    cost: ClassVar[Cost] = Cost.MICROSECONDS
    by_group: ClassVar[bool] = False  # True: `verify` must see all rollouts of a prompt together

    @property
    @abstractmethod
    def bounds(self) -> Bounds:
        """Range of the values, known before anything runs."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a rollout, beyond prompt and completion, without which there can be no verdict."""
        return ()

    @abstractmethod
    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict for each rollout, in order. What goes wrong for one must not touch another."""


def each(rollouts: Sequence[Rollout], judge: Callable[[Rollout], Verdict]) -> list[Verdict]:
    """Judges rollouts one by one; an exception becomes a verdict that blames the grader, for that one alone."""
    return [_guarded(judge, rollout) for rollout in rollouts]


def _guarded(judge: Callable[[Rollout], Verdict], rollout: Rollout) -> Verdict:
    start = time.perf_counter()
    try:
        verdict = judge(rollout)
    except Exception as error:  # the leaf's border: whatever a part does, the batch goes on
        evidence = {"exception": f"{type(error).__name__}: {error}"}
        return Verdict(None, Status.GRADER_ERROR, evidence, time.perf_counter() - start)
    return Verdict(verdict.value, verdict.status, verdict.evidence, time.perf_counter() - start)
