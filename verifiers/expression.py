"""The reward that an expression describes: scores batches; knows its range, columns, hash and weaknesses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from proctor.verifiers.core import Rollout, Score
from proctor.verifiers.expressions.check import Concern, check
from proctor.verifiers.expressions.outline import Outline, outline
from proctor.verifiers.expressions.parse import ExpressionError, check_made, parse, parse_table
from proctor.verifiers.expressions.plan import Plan
from proctor.verifiers.nodes import Node, as_node
from proctor.verifiers.part import Bounds, Part

__all__ = ["Expression", "ExpressionError", "parse", "reward"]


@dataclass(frozen=True)
class Expression:
    """A reward made of nodes. Pickles, compares and prints as its source."""

    node: Node

    def __str__(self) -> str:
        return str(self.node)

    def __reduce__(self) -> tuple[type[Expression], tuple[Node]]:
        return Expression, (self.node,)  # without the plan and what else is kept once it was asked for

    @cached_property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the source text; scores carry it."""
        return hashlib.sha256(str(self.node).encode()).hexdigest()[:16]

    @cached_property
    def plan(self) -> Plan:
        return Plan(self.node, self.hash)

    @cached_property
    def outline(self) -> Outline:
        return outline(self.node)

    @property
    def bounds(self) -> Bounds:
        """Range of the totals over all steps of training, known before anything runs."""
        return self.outline.bounds

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns, beyond prompt and completion, without which some rollouts can have no total."""
        return self.outline.columns

    @property
    def by_group(self) -> bool:
        """Whether a part compares within a group, so that all rollouts of a prompt must come in one call."""
        return self.outline.by_group

    @property
    def exams(self) -> tuple[str, ...]:
        """Names of the parts that judge whether an answer is right, as verdicts carry them."""
        return tuple(str(planned.part) for planned in self.outline.parts if planned.part.exam)

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
        """Plan, range and concerns as plain data for JSON; a limit that does not exist is None."""
        found = [concern.to_json() for concern in self.check(columns)]
        about = {"expression": str(self.node), "hash": self.hash}
        return about | self.outline.to_json() | {"concerns": found}


def reward(expression: str | Node | Callable[..., Part] | Mapping[str, float | str]) -> Expression:
    """The reward that an expression describes.

    expression: source text, nodes, a part's class, or a table of weights by source text, as TOML and
    YAML write it: {"math": 0.9, 'format("boxed")': 0.1} is `0.9 * math + 0.1 * format("boxed")`.
    Raises ExpressionError where the text cannot be read, ValueError where an option of a part made in Python is
    not what it may be, TypeError for anything else.
    """
    if isinstance(expression, str):
        return Expression(parse(expression))
    if isinstance(expression, Mapping):
        return Expression(parse_table(expression))
    if isinstance(expression, type):
        expression = cast("type[Part]", expression)()
    return Expression(check_made(as_node(cast(Node, expression))))
