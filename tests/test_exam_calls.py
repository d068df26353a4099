"""Calls whose answers a reference solution tells are compared as EvalPlus 0.3.1 does (evalplus/eval/__init__.py)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.judging import judge

FIB = "def f(n):\n    a, b = 0, 1\n    for _ in range(n): a, b = b, a + b\n    return a\n"
BINET = "def f(n):\n    s = 5 ** .5\n    return ((1 + s) / 2) ** n / s\n"


def compared(expected: list[Any], got: list[Any], atol: float = 0) -> float | None:
    """The value of a program that answers `got`, one by one, where the reference answers `expected`."""
    inf = "from math import inf, nan\n"
    tests = {
        "inputs": [[place] for place in range(len(expected))],
        "reference": f"{inf}def f(place): return {expected!r}[place]",
        "entry_point": "f",
        "tolerance": atol,
    }
    return judge(f"{inf}def f(place): return {got!r}[place]", tests).value


def test_a_float_near_an_int_is_not_the_int() -> None:
    tests = {"inputs": [[30], [60]], "reference": FIB, "entry_point": "f"}
    assert judge(BINET, tests).value == 0
    assert judge(BINET.replace("return ", "return round(").replace("/ s\n", "/ s)\n"), tests).value == 1
    assert compared([3], [3.0]) == 1


NEAR = 1 + 1e-9
# Each: expected, got, tolerance of the task, whether EvalPlus takes it.
CASES = [
    ([1.0], [NEAR], 0, 1),
    ([1.0], [1.001], 0, 0),
    ([1.0], [1.001], 0.01, 1),
    ([1.0], [1], 0, 1),
    ([NEAR], [1], 0, 0),  # near, and not of the type
    ([5], [5.0000000001], 0, 0),
    ([5], [6], 2, 1),  # a tolerance that the task names is for ints too
    ([[1.0, 2.0]], [[NEAR, 2.0]], 0, 1),
    ([[1.0, 2.0]], [(NEAR, 2.0)], 0, 0),
    ([[1.0, 2.0]], [[NEAR]], 0, 0),
    ([[1, 2.0]], [[1, 2 * NEAR]], 0, 0),  # not floats only
    ([1.0, [1, 2.0]], [1.0, [1, 2 * NEAR]], 0, 1),  # but after an answer that is floats
    ([[[1.0], [2.0]]], [[(NEAR,), [2.0]]], 1e-6, 1),
    ([{"a": 1.0}], [{"a": NEAR}], 1e-6, 0),
    ([["a", 1.0]], [["a", NEAR]], 1e-6, 0),
    ([["a", 1.0]], [["a", 1.0]], 1e-6, 1),
    ([1j], [1j * NEAR], 1e-6, 1),
    ([math.inf], [math.inf], 0, 1),
    ([math.inf], [1e308], 0, 0),
    ([1.0], [math.inf], 0, 0),
    ([math.nan], [math.nan], 0, 0),
    ([10**400], [10**400 + 1], 1e-6, 0),
    ([None], [0.0], 0, 0),
]


@pytest.mark.parametrize(("expected", "got", "atol", "value"), CASES)
def test_answers_are_compared_as_evalplus_does(
    expected: list[Any], got: list[Any], atol: float, value: float
) -> None:
    assert compared(expected, got, atol) == value
