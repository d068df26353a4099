"""Exact values of written expressions."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.steps.arithmetic import MAX_DEPTH, Number, evaluate
from proctor.verifiers.steps.notation import scan


def value_of(text: str) -> Number | None:
    return evaluate(scan(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4", 14),
        ("2 - 3 - 4", -5),
        ("12 / 2 / 3", 2),
        ("1 / 3", Fraction(1, 3)),
        ("-2^2", -4),  # as in mathematics and in Python: the sign comes last
        ("2^3^2", 512),
        ("2^-1", Fraction(1, 2)),
        ("2(3 + 4)(5)", 70),
        ("1 1/2 * 4", 6),
        ("50% * 8", 4),
        ("5!", 120),
        ("5 - -3", 8),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("1,234.50", Fraction(2469, 2)),
    ],
)
def test_values(text: str, expected: Number) -> None:
    assert value_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "1 2",
        "(1",
        "1)",
        "1 / 0",
        "0^-1",
        "2^0.5",
        "x + 1",
        "101!",
        "9^9^9^9",
        "10^99999",
        "9" * 41,
        "1.5 1/2",
        "(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1),
        "1" + "+1" * 200,
    ],
)
def test_no_expression_or_too_large(text: str) -> None:
    assert value_of(text) is None


def test_powers_of_powers_stop_at_the_bound() -> None:
    start = time.process_time()
    assert value_of("9^99" + "*9^99" * 30) is None
    assert value_of("*".join(["100!"] * 60)) is None
    assert time.process_time() - start < 0.5


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, Fraction | None]:
    """An expression with the fewest brackets, and its value as Python's own fractions give it."""
    if depth == 0 or draw(st.booleans()):
        whole, tenths = draw(st.integers(0, 999)), draw(st.integers(0, 9))
        text = f"{whole}.{tenths}" if tenths else str(whole)
        return text, Fraction(text)
    (left, a), (right, b) = draw(expressions(depth=depth - 1)), draw(expressions(depth=depth - 1))
    operator = draw(st.sampled_from("+-*/"))
    space = draw(st.sampled_from(["", " "]))
    text = f"({left}){space}{operator}{space}({right})"
    if a is None or b is None or (operator == "/" and b == 0):
        return text, None
    return text, {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}[operator]


@given(expressions())
def test_agrees_with_pythons_fractions(case: tuple[str, Fraction | None]) -> None:
    text, expected = case
    assert value_of(text) == expected


@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 99)), min_size=1, max_size=8))
def test_precedence_agrees_with_python(terms: list[tuple[str, int]]) -> None:
    text = "1" + "".join(f" {operator} {number}" for operator, number in terms)
    assert value_of(text) == eval(text)  # our own digits and + - *: nothing hostile


@given(st.text(alphabet="0123456789.,+-*/^()%! x$\\{}", max_size=60))
def test_no_text_makes_it_raise(text: str) -> None:
    value_of(text)
