"""The reward that an expression describes: scores batches; knows its range, columns, hash and weaknesses."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from proctor.verifiers.carets import ExpressionError, Span
from proctor.verifiers.check import Concern, check
from proctor.verifiers.columns import needed_columns
from proctor.verifiers.core import Rollout, Score
from proctor.verifiers.nodes import Negative, Node, Number, as_node, walk
from proctor.verifiers.occurrences import occurrences
from proctor.verifiers.parse import parse
from proctor.verifiers.part import Bounds, Part
from proctor.verifiers.plan import Plan
from proctor.verifiers.ranges import range_of

__all__ = ["Expression", "ExpressionError", "parse", "reward"]


@dataclass(frozen=True)
class Expression:
    """A reward made of nodes. Pickles, compares and prints as its source."""

    node: Node

    def __str__(self) -> str:
        return str(self.node)

    @cached_property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the source text; scores carry it."""
        return hashlib.sha256(str(self.node).encode()).hexdigest()[:16]

    @cached_property
    def plan(self) -> Plan:
        return Plan(self.node, self.hash)

    @cached_property
    def bounds(self) -> Bounds:
        """Range of the totals over all steps of training, known before anything runs."""
        return range_of(self.node)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns, beyond prompt and completion, without which some rollouts can have no total."""
        return tuple(dict.fromkeys(name for _, names in needed_columns(self.node) for name in names))

    @cached_property
    def by_group(self) -> bool:
        """Whether a part compares within a group, so that all rollouts of a prompt must come in one call."""
        return any(isinstance(node, Part) and node.by_group for node in walk(self.node))

    def score(self, rollouts: Sequence[Rollout], *, step: int = 0) -> list[Score]:
        """One score for each rollout, in order. step: of training, for `schedule`.

        A part that compares within a group needs all rollouts of a prompt in one call. Never raises
        for what a rollout holds or a part does; that is in the verdicts.
        """
        return self.plan.score(rollouts, step)

    async def ascore(self, rollouts: Sequence[Rollout], *, step: int = 0) -> list[Score]:
        """`score` that leaves the event loop free, and awaits what parts await."""
        return await self.plan.ascore(rollouts, step)

    def check(self, columns: Iterable[str] | None = None) -> list[Concern]:
        """Weaknesses that show before anything runs. columns: those of the data; None: not known."""
        return check(self.node, columns)

    def explain(self, columns: Iterable[str] | None = None) -> dict[str, Any]:
        """Plan, ranges and warnings as plain data for JSON; a limit that does not exist is None."""
        return {
            "expression": str(self.node),
            "hash": self.hash,
            "range": _limits(self.bounds),
            "columns": list(self.columns),
            "by_group": self.by_group,
            "parts": [self._explain_part(part) for part in self.plan.parts.values()],
            "warnings": [warning.to_json() for warning in self.check(columns)],
        }

    def _explain_part(self, part: Part) -> dict[str, Any]:
        places = [gates for found, gates in occurrences(self.node) if found == part]
        shortest = min(places, key=len)
        where = " or ".join(dict.fromkeys(" and ".join(map(str, gates)) for gates in places))
        return {
            "part": str(part),
            "name": part.name,
            "round": self.plan.due[str(part)] + 1,
            "runs": f"where {where}" if shortest else "on every rollout",
            "range": _limits(part.bounds),
            "cost": part.cost.name.lower(),
            "verifies": part.exam,
            "by_group": part.by_group,
            "columns": list(part.columns),
        }


def reward(expression: str | Node | Callable[..., Part] | Mapping[str, float | str]) -> Expression:
    """The reward that an expression describes.

    expression: source text, nodes, a part's class, or a table of weights by source text, as TOML and
    YAML write it: {"math": 0.9, 'format("boxed")': 0.1} is `0.9 * math + 0.1 * format("boxed")`.
    Raises ExpressionError where the text cannot be read, TypeError for anything else.
    """
    if isinstance(expression, str):
        return Expression(parse(expression))
    if isinstance(expression, Mapping):
        return Expression(_weighted_sum(expression))
    if isinstance(expression, type):
        expression = cast("type[Part]", expression)()
    return Expression(as_node(cast(Node, expression)))


def _weighted_sum(weights: Mapping[str, float | str]) -> Node:
    if not weights:
        raise ExpressionError("a table of weights needs at least one part", "", span=Span(0, 0))
    total: Node | None = None
    for text, weight in weights.items():
        factor = parse(weight) if isinstance(weight, str) else as_node(weight)
        term = parse(text)
        if isinstance(factor, Negative):
            term = term if factor.operand == Number(1) else factor.operand * term
            total = -term if total is None else total - term
        else:
            term = term if factor == Number(1) else factor * term
            total = term if total is None else total + term
    assert total is not None
    return total


def _limits(bounds: Bounds) -> list[float | None]:
    return [limit if math.isfinite(limit) else None for limit in (bounds.low, bounds.high)]
