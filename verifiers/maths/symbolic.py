"""The symbolic path: what the exact path leaves open goes to workers that are killed at their deadline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proctor.sandbox.workers import Failure, TaskResult, shared_pool
from proctor.verifiers.core import Status
from proctor.verifiers.maths.rules import Rules

_FUNCTION = "proctor.verifiers.maths.symbolic_worker:equal"
# An answer that is this much longer than the reference has itself to blame for the time it takes.
_LONGER, _SPARE = 4, 100


@dataclass(frozen=True, slots=True)
class OpenPair:
    """A reference and an answer that exact arithmetic left open."""

    gold: str
    answer: str
    rules: Rules


@dataclass(frozen=True, slots=True)
class Settled:
    """How an open pair ended."""

    status: Status  # correct, incorrect, grader_error or unavailable
    why: str
    seconds: float


def settle(pairs: Sequence[OpenPair], timeout_s: float) -> list[Settled]:
    """Decides pairs in the worker pool, in order; `timeout_s` is for each."""
    rows = [(pair.gold, pair.answer, pair.rules.to_json()) for pair in pairs]
    results = shared_pool().map(_FUNCTION, rows, timeout_s=timeout_s)
    return [_settled(pair, result) for pair, result in zip(pairs, results, strict=True)]


def _settled(pair: OpenPair, result: TaskResult) -> Settled:
    if result.failure is None:
        status = Status.CORRECT if result.value["equal"] else Status.INCORRECT
        return Settled(status, result.value["why"], result.seconds)
    why = f"symbolic comparison: {result.failure.value} ({result.detail})"
    if result.failure is Failure.POOL:
        return Settled(Status.UNAVAILABLE, why, result.seconds)
    if (
        result.failure in (Failure.TIMEOUT, Failure.MEMORY)
        and len(pair.answer) > _LONGER * len(pair.gold) + _SPARE
    ):
        return Settled(Status.INCORRECT, f"too large to evaluate: {why}", result.seconds)
    return Settled(Status.GRADER_ERROR, why, result.seconds)
