"""Reward parts whose verdicts the test writes into the rollouts, and which note who called them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from proctor.verifiers import registry
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Cost, Part

CALLS: list[tuple[str, list[str]]] = []  # part, and the completions that it was given


@dataclass(frozen=True)
class Scripted(Part):
    """The number that the rollout's column of the part's name holds; "error" is a failure of the grader's.

    "raise" makes the whole call raise.
    """

    scale: float = 1.0

    name: ClassVar[str] = "scripted"

    @property
    def bounds(self) -> Bounds:
        return Bounds(min(0.0, self.scale), max(0.0, self.scale))

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        CALLS.append((str(self), [rollout.completion for rollout in rollouts]))
        return [self._verdict(rollout.fields.get(self.name, 0.0)) for rollout in rollouts]

    def _verdict(self, found: float | str) -> Verdict:
        if found == "raise":
            raise ZeroDivisionError("scripted")
        if found == "error":
            return Verdict(None, Status.GRADER_ERROR, {"exception": "scripted"})
        return Verdict(self.scale * float(found), Status.MEASURED)


@dataclass(frozen=True)
class Red(Scripted):
    name: ClassVar[str] = "red"


@dataclass(frozen=True)
class Blue(Scripted):
    name: ClassVar[str] = "blue"


@dataclass(frozen=True)
class Exam(Scripted):
    """Needs a reference, costs seconds, and verifies."""

    name: ClassVar[str] = "exam"
    cost: ClassVar[Cost] = Cost.SECONDS
    exam: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[str, ...]:
        return ("answer",)


@dataclass(frozen=True)
class Rank(Part):
    """Share of the rollouts of the group whose completion is not greater: 1 for the greatest.

    "raise" in the column `rank` makes the whole call raise.
    """

    name: ClassVar[str] = "rank"
    by_group: ClassVar[bool] = True

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        CALLS.append((str(self), [rollout.completion for rollout in rollouts]))
        if any(rollout.fields.get("rank") == "raise" for rollout in rollouts):
            raise ZeroDivisionError("scripted")
        return [self._verdict(rollout, rollouts) for rollout in rollouts]

    def _verdict(self, rollout: Rollout, rollouts: Sequence[Rollout]) -> Verdict:
        peers = [other for other in rollouts if other.group_key == rollout.group_key]
        below = [other for other in peers if other.completion <= rollout.completion]
        return Verdict(len(below) / len(peers), Status.MEASURED)


@dataclass(frozen=True)
class Shape(Part):
    """An option that must be given, and shapes with an argument of their own."""

    shape: str
    schema: dict[str, object] | None = None
    tags: tuple[str, ...] = ()

    name: ClassVar[str] = "shape"
    shapes: ClassVar[dict[str, str]] = {"json": "schema", "xml": "tags"}

    def __post_init__(self) -> None:
        if self.shape not in ("boxed", "json", "xml"):
            raise ValueError(f"no shape is called '{self.shape}'")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(float(self.shape in rollout.completion), Status.MEASURED) for rollout in rollouts]


PARTS = (Red, Blue, Exam, Rank, Shape)


@contextmanager
def registered() -> Iterator[None]:
    """The parts above stand in expressions; afterwards the table of parts is as it was."""
    before = registry.parts()
    try:
        for part in PARTS:
            registry.register(part)
        yield
    finally:
        registry._PARTS.clear()
        registry._PARTS.update(before)
