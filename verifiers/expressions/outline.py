"""What is known about an expression before anything runs: range, columns, and when each part is run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from proctor.verifiers.expressions.occurrences import needed_columns, occurrences, rounds
from proctor.verifiers.expressions.ranges import range_of
from proctor.verifiers.nodes import Node
from proctor.verifiers.part import Bounds, Part


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """A part, and when it is run."""

    part: Part
    round: int  # from 1; parts of one round do not wait for each other
    runs: str  # "on every rollout", or "where format(...) passes"

    def to_json(self) -> dict[str, Any]:
        return {
            "part": str(self.part),
            "name": self.part.name,
            "round": self.round,
            "runs": self.runs,
            "range": _limits(self.part.bounds),
            "cost": self.part.cost.name.lower(),
            "verifies": self.part.exam,
            "by_group": self.part.by_group,
            "columns": list(self.part.columns),
        }


@dataclass(frozen=True, slots=True)
class Outline:
    """Range of the totals, columns that are needed, and the parts in the order of the source."""

    bounds: Bounds
    columns: tuple[str, ...]
    parts: tuple[PlannedPart, ...]

    @property
    def by_group(self) -> bool:
        return any(planned.part.by_group for planned in self.parts)

    def to_json(self) -> dict[str, Any]:
        """Plain data; a limit that does not exist is None."""
        return {
            "range": _limits(self.bounds),
            "columns": list(self.columns),
            "by_group": self.by_group,
            "parts": [planned.to_json() for planned in self.parts],
        }


def outline(node: Node) -> Outline:
    """The outline of an expression."""
    columns = dict.fromkeys(name for _, names in needed_columns(node) for name in names)
    parts = {str(part): part for part, _ in occurrences(node)}
    due = rounds(node)
    planned = tuple(PlannedPart(part, due[text] + 1, _when(node, text)) for text, part in parts.items())
    return Outline(range_of(node), tuple(columns), planned)


def _when(node: Node, text: str) -> str:
    """Which rollouts a part is run on, over all the places where it stands."""
    places = [gates for part, gates in occurrences(node) if str(part) == text]
    if () in places:
        return "on every rollout"
    return "where " + " or ".join(dict.fromkeys(" and ".join(map(str, gates)) for gates in places))


def _limits(bounds: Bounds) -> list[float | None]:
    return [limit if math.isfinite(limit) else None for limit in (bounds.low, bounds.high)]
