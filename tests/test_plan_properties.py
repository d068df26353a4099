"""The batched plan against a row-by-row evaluation, for random expressions and rows."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import proctor
from proctor.verifiers import nodes
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.expression import reward
from proctor.verifiers.nodes import Node
from proctor.verifiers.part import Part
from tests.expressions import BATCHES, CALM, EXPRESSIONS
from tests.scripted_parts import registered


@pytest.fixture(scope="module", autouse=True)
def _parts() -> Iterator[None]:
    with registered():
        yield


class Naive:
    """One rollout at a time, as the docstring of `nodes` says, with nothing batched and nothing kept."""

    def __init__(self, batch: Sequence[Rollout], place: int, step: int) -> None:
        self.batch, self.rollout, self.step = batch, batch[place], step
        self.place = place
        self.found: dict[str, Verdict] = {}

    def value(self, node: Node) -> float | None:
        if isinstance(node, Part):
            return self.part(node)
        name = type(node).__name__.lower()
        return getattr(self, name)(node)  # type: ignore[no-any-return]

    def part(self, part: Part) -> float | None:
        if any(self.rollout.get(column) is None for column in part.columns):
            verdict = Verdict(None, Status.MISCONFIGURED)
        elif part.by_group:
            verdict = part.verify(self.batch)[self.place]
        else:
            verdict = part.verify([self.rollout])[0]
        self.found[str(part)] = verdict
        return verdict.value

    def number(self, node: nodes.Number) -> float:
        return node.value

    def constant(self, node: nodes.Constant) -> None:
        return None

    def schedule(self, node: nodes.Schedule) -> float:
        share = min(self.step / node.steps, 1)
        return node.start * (1 - share) + node.end * share

    def field(self, node: nodes.Field) -> float | None:
        found = self.rollout.get(node.column)
        return float(found) if isinstance(found, (bool, int, float)) else None

    def is_zero(self, node: Node) -> bool:
        match node:
            case nodes.Number() | nodes.Schedule():
                return self.value(node) == 0
            case nodes.Negative(operand):
                return self.is_zero(operand)
            case nodes.Arithmetic("*", left, right):
                return (
                    self.is_weight(left)
                    and self.is_weight(right)
                    and (self.is_zero(left) or self.is_zero(right))
                )
        return False

    def is_weight(self, node: Node) -> bool:
        match node:
            case nodes.Number() | nodes.Schedule():
                return True
            case nodes.Negative(operand):
                return self.is_weight(operand)
            case nodes.Arithmetic("*", left, right):
                return self.is_weight(left) and self.is_weight(right)
        return False

    def arithmetic(self, node: nodes.Arithmetic) -> float | None:
        a, b = self.value(node.left), self.value(node.right)
        if node.symbol == "*" and (self.is_zero(node.left) or self.is_zero(node.right)):
            return 0.0
        if a is None or b is None or (node.symbol == "/" and b == 0):
            return None
        result = {"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1)}[node.symbol]
        return result if math.isfinite(result) else None

    def compare(self, node: nodes.Compare) -> float | None:
        none = nodes.Constant(None)
        sides = [self.side(node.left), self.side(node.right)]
        if node.left == none or node.right == none:
            other = sides[0] if node.right == none else sides[1]
            return float((other is None) == (node.symbol == "=="))
        if None in sides:
            return None
        try:
            return float(self.holds(node.symbol, *sides))
        except TypeError:
            return None

    def side(self, node: Node) -> Any:
        if isinstance(node, nodes.Constant):
            return node.value
        return self.rollout.get(node.column) if isinstance(node, nodes.Field) else self.value(node)

    def holds(self, symbol: str, a: Any, b: Any) -> bool:
        if symbol in ("==", "!="):
            if isinstance(a, str) != isinstance(b, str):
                raise TypeError
            return (a == b) == (symbol == "==")
        if symbol in ("in", "not in"):
            alike = [item for item in b if isinstance(item, str) == isinstance(a, str) or item is None]
            if b and not alike:
                raise TypeError
            return (a in b) == (symbol == "in")
        return {"<": lambda: a < b, "<=": lambda: a <= b, ">": lambda: a > b, ">=": lambda: a >= b}[symbol]()

    def when(self, node: nodes.When) -> float | None:
        condition = self.value(node.condition)
        if condition is None:
            return None
        return self.value(node.then if condition > 0 else node.otherwise)

    # `and` is Python's word, so are `or` and `not`: their nodes' names lowered.
    def gate(self, node: nodes.And | nodes.Or, *, is_and: bool) -> float | None:
        left = self.value(node.left)
        if left is None:
            return None
        if is_and:
            return self.value(node.right) if left > 0 else 0.0
        return left if left > 0 else self.value(node.right)

    def __getattr__(self, name: str) -> Any:
        if name in ("and", "or"):
            return lambda node: self.gate(node, is_and=name == "and")
        if name in ("not", "negative", "abs", "clip", "min", "max"):
            return lambda node: self.function(name, node)
        raise AttributeError(name)

    def function(self, name: str, node: Any) -> float | None:
        operands = node.operands if name in ("min", "max") else [node.operand]
        values = [self.value(operand) for operand in operands]
        if None in values:
            return None
        first: Any = values[0]
        if name == "clip":
            return node.low if first < node.low else node.high if first > node.high else first  # type: ignore[no-any-return]
        if name in ("min", "max"):
            return sorted(values)[0 if name == "min" else -1]  # type: ignore[type-var]
        return {"not": float(first <= 0), "negative": -first, "abs": abs(first)}[name]


def same(a: float | None, b: float | None) -> bool:
    return a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)


@settings(CALM, max_examples=400)
@given(EXPRESSIONS, BATCHES, st.integers(0, 5))
def test_the_plan_equals_row_by_row_evaluation(node: Node, batch: list[Rollout], step: int) -> None:
    for place, score in enumerate(reward(node).score(batch, step=step)):
        naive = Naive(batch, place, step)
        assert same(score.total, naive.value(node))
        parts = {
            text: verdict for text, verdict in score.verdicts.items() if text in map(str, parts_of(node))
        }
        assert parts.keys() == {str(part) for part in parts_of(node)}
        assert {
            text for text, verdict in parts.items() if verdict.status is not Status.SKIPPED
        } == naive.found.keys()
        for text, verdict in naive.found.items():
            assert (parts[text].value, parts[text].status) == (verdict.value, verdict.status)


def parts_of(node: Node) -> list[Part]:
    return [part for part in nodes.walk(node) if isinstance(part, Part)]


@settings(CALM, max_examples=100)
@given(EXPRESSIONS, BATCHES, st.integers(0, 5))
def test_ascore_gives_the_scores_of_score(node: Node, batch: list[Rollout], step: int) -> None:
    made = reward(node)
    assert asyncio.run(made.ascore(batch, step=step)) == made.score(batch, step=step)


@settings(CALM, max_examples=200)
@given(EXPRESSIONS, BATCHES, st.integers(0, 5))
def test_totals_lie_within_the_bounds(node: Node, batch: list[Rollout], step: int) -> None:
    made = reward(node)
    totals = [score.total for score in made.score(batch, step=step) if score.total is not None]
    assert all(made.bounds.low <= total <= made.bounds.high for total in totals)


@settings(CALM, max_examples=200)
@given(EXPRESSIONS, BATCHES)
def test_a_total_is_missing_only_with_a_reason(node: Node, batch: list[Rollout]) -> None:
    says_none = any(isinstance(under, nodes.Constant) and under.value is None for under in nodes.walk(node))
    for score in reward(node).score(batch):
        if score.total is None and not says_none:
            assert {verdict.blame for verdict in score.verdicts.values()} - {None, proctor.Blame.CANDIDATE}
