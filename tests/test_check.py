"""The static checker: each weakness is found where it is, and nothing is said of what is sound."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given, settings

from proctor.verifiers import nodes
from proctor.verifiers.core import Rollout, Verdict
from proctor.verifiers.expression import reward
from proctor.verifiers.expressions.check import Weakness, check
from proctor.verifiers.nodes import Node
from proctor.verifiers.part import Bounds, Part
from tests.expressions import CALM, EXPRESSIONS
from tests.scripted_parts import Red, registered


@pytest.fixture(scope="module", autouse=True)
def _parts() -> Iterator[None]:
    with registered():
        yield


# `exam` verifies, is dear and has range 0 to 1; red, blue and shape("boxed") are style, 0 to 1 each.
SOUND = [
    "exam",
    "0.9 * exam + 0.1 * shape('boxed')",
    "exam + 0.5 * red - 0.4 * blue",  # style moves 0.9 in all, being right 1
    "exam and 5 * red",  # style is paid for right answers only
    "exam and (exam + 5 * red)",
    "exam * (1 + 3 * red)",
    "shape('boxed') and exam",
    "exam if task == 'code' else exam(scale=2) + red",
    "clip(exam - 0.5 * red, 0, 1)",
    "exam - clip(0.0001 * max(0, len - 2000), 0, 0.5)",
    "exam / (1 + red)",
    "exam + schedule(0.5, 0.1, steps=100) * red",
    "exam or -1",
    "red > 0.5 and exam",
    "exam + min(red, 0.5)",
    "None if truncated else exam",
    "red + blue",  # no correctness to be outweighed
]


@pytest.mark.parametrize("source", SOUND)
def test_sound_expressions_pass(source: str) -> None:
    assert reward(source).check() == []


WEAK = [
    # style that pays as much as being right
    ("exam + red", "dominance", "red", "'red' can move the total by 1, and 'exam' by 1"),
    ("exam + 0.6 * red - 0.4 * blue", "dominance", "red", "'red' and 1 more can move the total by 1"),
    ("0.1 * exam - 0.2 * red", "dominance", "red", "by 0.2, and 'exam' by 0.1"),
    ("clip(exam - 2 * red, -1, 1)", "dominance", "red", "by 2, and 'exam' by 1"),
    ("(exam + 3 * red) / 2", "dominance", "red", "by 1.5, and 'exam' by 0.5"),
    ("exam if task == 'code' else 0.1 * exam + red", "dominance", "red", "by 1, and 'exam' by 0.1"),
    ("shape('boxed') and exam + 2 * red", "dominance", "red", "by 2, and 'exam' by 1"),
    (
        "schedule(1, 0.1, steps=9) * exam + 0.2 * red",
        "dominance",
        "red",
        "by 0.2 at step 9, and",
    ),
    ("exam + schedule(1, 3, steps=9) * red", "dominance", "red", "by 3 at step 9, and"),
    ("exam - (red - -blue)", "dominance", "red", "'red' and 1 more can move the total by 2"),
    ("exam + when(red > 0, blue)", "dominance", "when(red > 0, blue)", "by 1, and 'exam' by 1"),
    # gates
    ("red > 1 and blue", "dead_gate", "red > 1", "never pays more than 0, and so never passes"),
    ("-red and blue", "dead_gate", "-red", "never pays more than 0"),
    ("red - 2 or blue", "dead_gate", "red - 2", "never pays more than -1"),
    ("1 + red and blue", "open_gate", "1 + red", "always pays at least 1, and so always passes"),
    ("1 + red or blue", "open_gate", "1 + red", "always passes"),
    ("exam and red", "dear_first", "exam", "'exam' is run on every rollout, though 'red' is cheaper"),
    # comparisons and branches
    ("red if blue > 2 else 1", "constant", "blue > 2", "this never holds: 'blue' is from 0 to 1, '2' is 2"),
    ("red if blue >= 0 else 1", "constant", "blue >= 0", "this always holds"),
    ("red if blue == 5 else 1", "constant", "blue == 5", "this never holds"),
    ("red if truncated <= 1 else 1", "constant", "truncated <= 1", "this always holds"),
    ("red if blue > 2 else 1", "dead_branch", "blue > 2", "'blue > 2' never passes, so 'red' never counts"),
    ("when(1 + red, blue, 5)", "dead_branch", "1 + red", "'1 + red' always passes, so '5' never counts"),
    # arithmetic
    ("red / blue", "division", "blue", "'blue' can be 0 (from 0 to 1), and there is no reward then"),
    ("1 / (blue - 0.5)", "division", "blue - 0.5", "can be 0"),
    (
        "exam - 0.0001 * max(0, len - 2000)",
        "unbounded",
        "len",
        "no lower limit, because of 'len'",
    ),
    ("field('x') + clip(len, 0, 1)", "unbounded", 'field("x")', "no lower and no upper limit"),
    ("clip(red, 0, 1)", "idle", "clip(red, 0, 1)", "'red' never leaves 0 to 1: it is from 0 to 1"),
    ("clip(red + 2, 0, 1)", "idle", "clip(red + 2, 0, 1)", "this is always 1: 'red + 2' is from 2 to 3"),
    ("max(0, red)", "idle", "0", "'0' is 0 and never larger"),
    ("min(2, red)", "idle", "2", "'2' is 2 and never smaller"),
]


@pytest.mark.parametrize(("source", "weakness", "where", "problem"), WEAK)
def test_weaknesses_are_found(source: str, weakness: str, where: str, problem: str) -> None:
    found = [concern for concern in reward(source).check() if concern.weakness.value == weakness]
    assert [concern.where for concern in found] == [where]
    assert problem in found[0].problem
    assert found[0].fix


def test_missing_columns() -> None:
    made = reward("exam + when(level > 2, 0.5 * red) + 0.1 * (task == None)")
    assert made.check(["answer", "level"]) == []
    concerns = made.check(["gold", "difficulty"])
    assert [(concern.weakness, concern.where) for concern in concerns] == [
        (Weakness.MISSING_COLUMN, "exam"),
        (Weakness.MISSING_COLUMN, 'field("level")'),
    ]
    assert "no row that was looked at has a column 'answer'" in concerns[0].problem
    assert "--map answer=" in concerns[0].fix
    assert "there are: difficulty, gold" in concerns[0].fix


def test_a_concern_points_with_carets() -> None:
    (concern,) = reward("red / blue - red").check()[:1]
    assert str(concern) == (
        "division: 'blue' can be 0 (from 0 to 1), and there is no reward then\n"
        "    red / blue - red\n"
        "          ^^^^\n"
        "    fix: keep it away from 0: max(blue, 1)"
    )


def test_the_second_of_two_equal_expressions_is_pointed_at() -> None:
    (concern,) = reward("red + clip(2 * red, 0, 1) + clip(red, 0, 1)").check()
    assert concern.span == (28, 43)


@dataclass(frozen=True)
class Unregistered(Part):
    name: ClassVar[str] = "unregistered"

    @property
    def bounds(self) -> Bounds:
        return Bounds(-math.inf, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        raise NotImplementedError


def test_parts_that_are_not_registered_are_checked_as_well() -> None:
    (concern,) = check(Unregistered() + Red())
    assert concern.weakness is Weakness.UNBOUNDED
    assert concern.where == "unregistered + red"


@settings(CALM, max_examples=300)
@given(EXPRESSIONS)
def test_any_expression_can_be_checked(node: Node) -> None:
    for concern in check(node, []):
        assert concern.source[slice(*concern.span)] == concern.where != ""
        assert " nan" not in str(concern)


@pytest.mark.parametrize(
    ("source", "low", "high"),
    [
        ("red - 2 * blue", -2, 1),
        ("red * -3", -3, 0),
        ("(red - 0.5) * (blue - 2)", -1, 1),  # corners: -0.5 * -2 = 1, 0.5 * -2 = -1
        ("red / (blue + 1)", 0, 1),
        ("1 / (blue - 2)", -1, -0.5),
        ("red / (blue - 0.5)", -math.inf, math.inf),
        ("1 / (1 + len)", 0, 1),
        ("abs(red - 2 * blue)", 0, 2),
        ("abs(red - 3)", 2, 3),
        ("not red", 0, 1),
        ("red and -blue", -1, 0),
        ("red or -blue", -1, 1),
        ("2 + red or -blue", 2, 3),
        ("red > 0.5", 0, 1),
        ("when(red, 3, -2)", -2, 3),
        ("red if task == 'a' else None", 0, 1),
        ("clip(5 * red, 1, 2)", 1, 2),
        ("min(red, blue + 0.5)", 0, 1),
        ("max(red, blue + 0.5)", 0.5, 1.5),
        ("schedule(0.2, -1, steps=5)", -1, 0.2),
        ("0 * len", 0, 0),
        ("len - len", -math.inf, math.inf),
        ("truncated", 0, 1),
        ("num_tokens", 0, math.inf),
    ],
)
def test_ranges_by_hand(source: str, low: float, high: float) -> None:
    assert reward(source).bounds == Bounds(low, high)


def test_a_reward_that_never_is_one() -> None:
    assert reward("None").bounds.low > reward("None").bounds.high
    assert reward(nodes.Constant(None)).check() == []
