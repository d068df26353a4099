"""The batched plan: what it computes, and whom it calls for what."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import proctor
from proctor.verifiers import nodes
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.expression import reward
from proctor.verifiers.nodes import Node
from proctor.verifiers.part import Bounds, Part
from tests.expressions import BATCHES, CALM, EXPRESSIONS
from tests.scripted_parts import CALLS, Blue, Exam, Rank, Red, registered


@pytest.fixture(scope="module", autouse=True)
def _parts() -> Iterator[None]:
    with registered():
        yield


def rows(*values: float | str | None, **columns: Any) -> list[Rollout]:
    """Rollouts "0", "1" ... whose column `red` holds the values."""
    return [
        Rollout(str(place), answer="1", fields={"red": value, **columns})
        for place, value in enumerate(values)
    ]


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


def called(text: str) -> list[list[str]]:
    return [completions for part, completions in CALLS if part == text]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    CALLS.clear()


def test_a_rejected_rollout_never_reaches_the_dear_part() -> None:
    scores = reward("red and exam").score(rows(1, 0, 0.5, "error", exam=1))
    assert called("exam") == [["0", "2"]]
    assert [score.total for score in scores] == [1, 0, 1, None]
    assert [score.verdicts["exam"].status.value for score in scores] == [
        "measured",
        "skipped",
        "measured",
        "skipped",
    ]


def test_rows_that_share_a_part_share_a_call() -> None:
    batch = [replace(row, task=task) for row, task in zip(rows(1, 1, 1, 1), "abca", strict=True)]
    reward('red if task == "a" else 0.5 * red if task == "b" else -red').score(batch)
    assert called("red") == [["0", "1", "2", "3"]]


def test_a_part_in_several_places_waits_for_all_its_gates() -> None:
    # blue stands behind red, behind nothing on odd rows, and behind exam: still one call.
    batch = [replace(row, num_tokens=place) for place, row in enumerate(rows(1, 0, 0, exam=1, blue=1))]
    reward("(red and blue) + (blue if num_tokens == 1 else 0) + (exam > 2 and blue)").score(batch)
    assert called("blue") == [["0", "1"]]


def test_two_parts_behind_each_other_are_both_decided() -> None:
    batch = [replace(row, task=task) for row, task in zip(rows(1, 1, blue=1), "ab", strict=True)]
    scores = reward('(red and blue) if task == "a" else (blue and red)').score(batch)
    assert [score.total for score in scores] == [1, 1]


def test_a_group_part_sees_whole_groups_behind_a_gate() -> None:
    batch = [replace(row, group=group) for row, group in zip(rows(0, 1, 0, 0), "aabb", strict=True)]
    scores = reward("red and rank").score(batch)
    assert called("rank") == [["0", "1"]]  # group b is not needed at all
    assert [score.total for score in scores] == [0, 1, 0, 0]
    assert scores[0].verdicts["rank"].status is Status.SKIPPED  # looked at for the sake of the other


@dataclass(frozen=True)
class Faulty(Part):
    """Returns what the test wants."""

    returns: ClassVar[Any] = None
    name: ClassVar[str] = "faulty"

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return self.returns(rollouts)  # type: ignore[no-any-return]


GOOD = Verdict(1.0, Status.CORRECT)


@pytest.mark.parametrize(
    ("returns", "why"),
    [
        (lambda batch: [GOOD, GOOD, GOOD], "ValueError: 3 verdicts for 1 rollouts"),
        (lambda batch: [1.0] * len(batch), "TypeError: a Verdict was expected, got 1.0"),
        (lambda batch: None, "TypeError: object of type 'NoneType' has no len()"),
        (
            lambda batch: [Verdict(math.nan, Status.CORRECT)],
            "ValueError: a verdict's value must be finite, got nan",
        ),
        (
            lambda batch: [Verdict(-math.inf, Status.CORRECT)],
            "ValueError: a verdict's value must be finite, got -inf",
        ),
        (
            lambda batch: [Verdict(0.0, Status.UNAVAILABLE)],
            "ValueError: a verdict of status 'unavailable' must",
        ),
    ],
)
def test_a_part_that_returns_rubbish_blames_the_grader(
    monkeypatch: pytest.MonkeyPatch, returns: Any, why: str
) -> None:
    monkeypatch.setattr(Faulty, "returns", staticmethod(returns))
    for score in reward(Faulty() * 0.5 + 0.25).score(rows(1, 1)):
        assert score.total is None
        assert score.verdicts["faulty"].blame is proctor.Blame.GRADER
        assert score.verdicts["faulty"].evidence["exception"].startswith(why)


def test_a_row_that_breaks_a_whole_call_costs_only_itself() -> None:
    scores = reward("red").score(rows(1, "raise", 0.5))
    assert [score.total for score in scores] == [1, None, 0.5]
    assert scores[1].verdicts["red"].evidence == {"exception": "ZeroDivisionError: scripted"}


def test_a_group_that_breaks_a_whole_call_costs_only_itself() -> None:
    batch = [replace(row, group=group) for row, group in zip(rows(0, 0, 0, 0), "abab", strict=True)]
    batch[1] = replace(batch[1], fields={"rank": "raise"})
    scores = reward("rank").score(batch)
    assert [score.total for score in scores] == [0.5, None, 1.0, None]
    assert called("rank") == [["0", "1", "2", "3"], ["0", "2"], ["1", "3"]]


def test_a_missing_column_is_named_and_never_reaches_the_part() -> None:
    batch = [Rollout("0", fields={"exam": 1}), Rollout("1", answer="1", fields={"exam": 1})]
    scores = reward("exam").score(batch)
    assert called("exam") == [["1"]]
    assert scores[0].verdicts["exam"].status is Status.MISCONFIGURED
    assert scores[0].verdicts["exam"].evidence["column"] == "answer"


def test_a_missing_field_has_a_verdict_of_its_own() -> None:
    (score,) = reward('red if task == "a" else blue').score([Rollout("x")])
    assert score.total is None
    assert str(score.verdicts["task"]) == (
        "none (misconfigured, blame configuration): problem column 'task' is missing; column task"
    )


@pytest.mark.parametrize(
    "source", ["1 / (red - 1)", "red * 1e300 * 1e300", "field('text') + red", "field('text') > 2"]
)
def test_arithmetic_without_a_result_says_so(source: str) -> None:
    (score,) = reward(source).score([Rollout("x", fields={"red": 1.0, "text": "12"})])
    assert score.total is None
    assert Status.MISCONFIGURED in {verdict.status for verdict in score.verdicts.values()}


def test_a_part_of_weight_zero_is_reported_and_cannot_take_the_reward_away() -> None:
    made = reward("blue + schedule(1, 0, steps=10) * red")
    (batch,) = rows("error", blue=0.5)
    assert made.score([batch], step=9)[0].total is None
    (score,) = made.score([batch], step=10)
    assert score.total == 0.5
    assert score.verdicts["red"].status is Status.GRADER_ERROR


@pytest.mark.parametrize(("step", "weight"), [(0, 0.2), (125, 0.15), (250, 0.1), (500, 0.0), (10_000, 0.0)])
def test_schedule(step: int, weight: float) -> None:
    (score,) = reward("schedule(0.2, 0.0, steps=500)").score([Rollout("x")], step=step)
    assert score.total == pytest.approx(weight, abs=1e-15)


@pytest.mark.parametrize(
    ("source", "red", "total"),
    [
        ("red and 5", 0.5, 5),  # above 0 passes
        ("red and 5", 0, 0),
        ("-red and 5", 1, 0),  # below 0 does not, and a closed gate pays 0
        ("red or 5", 0.5, 0.5),
        ("red or 5", 0, 5),
        ("red or -1", 0, -1),  # right is 1, wrong is -1
        ("not red", 0.5, 0),
        ("not red", 0, 1),
        ("red > 0.5", 1, 1),
        ("0 < red < 1", 0.5, 1),
        ("0 < red < 1", 1, 0),
        ("when(red, 3)", 1, 3),
        ("when(red, 3)", 0, 0),
        ("when(red, 3, 4)", 0, 4),
        ("clip(2 * red - 1, -0.5, 0.5)", 0, -0.5),
        ("min(red, 2, 0.5)", 1, 0.5),
        ("abs(red - 3)", 1, 2),
        ("2 * -red / 4", 1, -0.5),
        ("red if red == None else 7", 1, 7),
        ("red != None", "error", 0),
        ("None", 1, None),
        ("None and red", 1, None),
        ("red and None", 0, 0),
    ],
)
def test_values_by_hand(source: str, red: float | str, total: float | None) -> None:
    (score,) = reward(source).score(rows(red))
    assert score.total == total


def test_the_seed_reward_word_for_word() -> None:
    made = reward("exam + 0.2 * red - max(0, len - 2000) * 0.0001")
    right, long = Rollout("x", answer="1", num_tokens=2000, fields={"exam": 1, "red": 1}), 4000
    assert made.score([right])[0].total == pytest.approx(1.2)
    # 2,000 tokens too many cost 0.2
    assert made.score([replace(right, num_tokens=long)])[0].total == pytest.approx(1.0)


def test_nothing_to_score() -> None:
    assert reward("red and rank").score([]) == []
    assert asyncio.run(reward("red").ascore([])) == []


async def test_ascore_leaves_the_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    # The part waits until the event loop has run something: a blocked loop would make it time out.
    loop = asyncio.get_running_loop()

    def verify(batch: Sequence[Rollout]) -> list[Verdict]:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(timeout=10)
        return [GOOD] * len(batch)

    monkeypatch.setattr(Faulty, "returns", staticmethod(verify))
    (score,) = await reward(Faulty()).ascore(rows(1))
    assert score.total == 1


def test_expressions_of_the_greatest_depth_are_scored() -> None:
    source = "red" + " + red" * 98
    assert reward(source).score(rows(1))[0].total == 99


def test_python_objects_score_like_text() -> None:
    batch = rows(0.5, 1, "error", blue=0.25)
    made = reward(Red() * 0.9 + (Blue() & Exam()) - Rank())
    assert made.score(batch) == reward("red * 0.9 + (blue and exam) - rank").score(batch)
