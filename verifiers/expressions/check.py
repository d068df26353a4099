"""The static checker: what an expression says that its author cannot have meant, before anything runs.

It covers ranges, gates, comparisons, branches, columns, and style that outweighs correctness. It does not
know how often something happens, only what can: a warning is about the possible, not the likely.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from proctor.verifiers.expressions.dominance import find_dominance
from proctor.verifiers.expressions.occurrences import needed_columns
from proctor.verifiers.expressions.parse import parse_with_spans
from proctor.verifiers.expressions.ranges import EMPTY, can_fail, can_pass, range_of
from proctor.verifiers.expressions.syntax import ExpressionError, Span, point_at
from proctor.verifiers.nodes import (
    And,
    Arithmetic,
    Clip,
    Compare,
    Max,
    Min,
    Node,
    Not,
    Or,
    Schedule,
    When,
    children,
    walk,
)
from proctor.verifiers.part import Part


class Weakness(str, Enum):
    """What is wrong with an expression."""

    DOMINANCE = "dominance"  # style can move the total as much as being right does, or more
    DEAD_GATE = "dead_gate"  # never opens: what is behind it never counts
    OPEN_GATE = "open_gate"  # is always open, and so is no gate
    CONSTANT = "constant"  # a comparison that always, or never, holds
    DEAD_BRANCH = "dead_branch"  # a branch that is never taken
    MISSING_COLUMN = "missing_column"  # a column that the data does not have
    DIVISION = "division"  # the divisor can be 0; there is no reward then
    UNBOUNDED = "unbounded"  # the total has no limit
    IDLE = "idle"  # clip, min or max that changes nothing
    DEAR_FIRST = "dear_first"  # a gate that runs the dear part on every rollout, and the cheap one on some


@dataclass(frozen=True, slots=True)
class Concern:
    """One weakness, where it is, and what to do."""

    weakness: Weakness
    problem: str
    fix: str
    source: str  # of the whole expression
    span: Span  # of the sub-expression in it

    @property
    def where(self) -> str:
        """The sub-expression."""
        return self.source[slice(*self.span)]

    def __str__(self) -> str:
        return (
            f"{self.weakness.value}: {self.problem}\n{point_at(self.source, self.span)}\n    fix: {self.fix}"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "weakness": self.weakness.value,
            "problem": self.problem,
            "where": self.where,
            "start": self.span.start,
            "end": self.span.end,
            "fix": self.fix,
        }


def check(node: Node, columns: Iterable[str] | None = None) -> list[Concern]:
    """All weaknesses, the gravest kind first. columns: those that the data has; None: not known."""
    source = str(node)
    try:
        node, spans = parse_with_spans(source)
    except ExpressionError:  # made of parts that are not registered; then carets stand under the whole
        spans = {}
    found = [*_dominated(node), *_unbounded(node)]
    for under in walk(node):
        found += _RULES[type(under)](under) if type(under) in _RULES else []
    if columns is not None:
        found += _missing(node, set(columns))
    order = list(Weakness)
    found.sort(key=lambda one: order.index(one.weakness))
    whole = Span(0, len(source))
    return [
        Concern(one.weakness, one.problem, one.fix, source, spans.get(id(one.node), whole)) for one in found
    ]


@dataclass(frozen=True, slots=True)
class _Found:
    weakness: Weakness
    node: Node
    problem: str
    fix: str


def _dominated(node: Node) -> Iterator[_Found]:
    for case in find_dominance(node):
        when = f" at step {case.step}" if any(isinstance(x, Schedule) for x in walk(node)) else ""
        first, *rest = case.style
        swing = f"by {case.swing:g}" if math.isfinite(case.swing) else "without limit"
        terms = f"'{first.node}'" + (f" and {len(rest)} more" if rest else "")
        yield _Found(
            Weakness.DOMINANCE,
            first.node,
            f"{terms} can move the total {swing}{when}, and '{case.exam.node}' by {case.gap:g}: "
            "a wrong answer in good style can score as much as a right one",
            f"weigh style so that it moves less than {case.gap:g} in all, "
            f"or pay it for right answers only: when({case.exam.node} > 0, ...)",
        )


def _unbounded(node: Node) -> Iterator[_Found]:
    bounds = range_of(node)
    if bounds == EMPTY or (math.isfinite(bounds.low) and math.isfinite(bounds.high)):
        return
    ends = [word for word, end in (("lower", bounds.low), ("upper", bounds.high)) if math.isinf(end)]
    culprit = node
    while deeper := [child for child in children(culprit) if _is_unbounded(child)]:
        culprit = deeper[0]
    yield _Found(
        Weakness.UNBOUNDED,
        culprit,
        f"the total has no {' and no '.join(ends)} limit, because of '{culprit}'",
        f"limit it: clip({culprit}, low, high)",
    )


def _is_unbounded(node: Node) -> bool:
    bounds = range_of(node)
    return bounds != EMPTY and (math.isinf(bounds.low) or math.isinf(bounds.high))


def _missing(node: Node, known: set[str]) -> Iterator[_Found]:
    for under, columns in needed_columns(node):
        for column in columns:
            if column not in known:
                yield _Found(
                    Weakness.MISSING_COLUMN,
                    under,
                    f"no row that was looked at has a column '{column}'; a rollout without it gets no reward here",
                    f"name the one that holds it (--map {column}=...); there are: {', '.join(sorted(known))}",
                )


def _gate(node: And | Or) -> Iterator[_Found]:
    left = range_of(node.left)
    is_and = isinstance(node, And)
    if left == EMPTY:
        return
    if not can_pass(left):
        what = f"never pays more than {left.high:g}, and so never passes"
        dead = node.right if is_and else node.left
        yield _Found(
            Weakness.DEAD_GATE, node.left, f"'{node.left}' {what}", f"leave '{dead}' out, or compare"
        )
    elif not can_fail(left):
        what = f"always pays at least {left.low:g}, and so always passes"
        fix = (
            f"'{node.right}' alone says the same" if is_and else f"'{node.right}' is never run; leave it out"
        )
        yield _Found(Weakness.OPEN_GATE, node.left, f"'{node.left}' {what}", fix)
    if is_and and _is_condition(node.right) and _cost(node.left) > _cost(node.right):
        problem = f"'{node.left}' is run on every rollout, though '{node.right}' is cheaper"
        fix = f"where both are just 0 or 1, this says the same: {And(node.right, node.left)}"
        yield _Found(Weakness.DEAR_FIRST, node.left, problem, fix)


def _is_condition(node: Node) -> bool:
    """Whether a node looks like a yes or no, and not like an amount that is paid."""
    if isinstance(node, (And, Or)):
        return _is_condition(node.left) and _is_condition(node.right)
    return isinstance(node, (Part, Compare, Not))


def _cost(node: Node) -> int:
    return max((part.cost for part in walk(node) if isinstance(part, Part)), default=0)


def _comparison(node: Compare) -> Iterator[_Found]:
    bounds = range_of(node)
    if bounds.low == bounds.high:
        holds = "always" if bounds.low else "never"
        sides = [f"'{side}' is {_shown(side)}" for side in (node.left, node.right)]
        fix = "compare with a value inside the range, or leave the comparison out"
        yield _Found(Weakness.CONSTANT, node, f"this {holds} holds: {', '.join(sides)}", fix)


def _shown(node: Node) -> str:
    bounds = range_of(node)
    return f"{bounds.low:g}" if bounds.low == bounds.high else f"from {bounds.low:g} to {bounds.high:g}"


def _branch(node: When) -> Iterator[_Found]:
    condition = range_of(node.condition)
    if condition == EMPTY or (can_pass(condition) and can_fail(condition)):
        return
    dead, other = (node.otherwise, node.then) if can_pass(condition) else (node.then, node.otherwise)
    holds = "always" if can_pass(condition) else "never"
    problem = f"'{node.condition}' {holds} passes, so '{dead}' never counts"
    yield _Found(Weakness.DEAD_BRANCH, node.condition, problem, f"write {other}")


def _division(node: Arithmetic) -> Iterator[_Found]:
    divisor = range_of(node.right)
    if node.symbol == "/" and divisor.low <= 0 <= divisor.high:
        problem = f"'{node.right}' can be 0 ({_shown(node.right)}), and there is no reward then"
        yield _Found(Weakness.DIVISION, node.right, problem, f"keep it away from 0: max({node.right}, 1)")


def _clip(node: Clip) -> Iterator[_Found]:
    inner = range_of(node.operand)
    if inner == EMPTY:
        return
    if node.low <= inner.low and inner.high <= node.high:
        problem = f"'{node.operand}' never leaves {node.low:g} to {node.high:g}: it is {_shown(node.operand)}"
        yield _Found(Weakness.IDLE, node, problem, f"write {node.operand}")
    elif inner.high <= node.low or inner.low >= node.high:
        problem = f"this is always {_shown(node)}: '{node.operand}' is {_shown(node.operand)}"
        yield _Found(Weakness.IDLE, node, problem, "choose limits that the values can lie between")


def _extreme(node: Min | Max) -> Iterator[_Found]:
    bounds = [range_of(operand) for operand in node.operands]
    if EMPTY in bounds:
        return
    for place, operand in enumerate(node.operands):
        others = bounds[:place] + bounds[place + 1 :]
        if isinstance(node, Max):
            never = any(bounds[place].high <= other.low for other in others)
        else:
            never = any(bounds[place].low >= other.high for other in others)
        if never and bounds.count(bounds[place]) == 1:
            word = "larger" if isinstance(node, Max) else "smaller"
            problem = f"'{operand}' is {_shown(operand)} and never {word} than the rest of '{node}'"
            yield _Found(Weakness.IDLE, operand, problem, f"leave '{operand}' out")


_RULES: dict[type, Any] = {
    And: _gate,
    Or: _gate,
    Compare: _comparison,
    When: _branch,
    Arithmetic: _division,
    Clip: _clip,
    Min: _extreme,
    Max: _extreme,
}
