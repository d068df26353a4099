"""Requests inside requests: as deep as functions of the tests recurse through what a program makes of them."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Status
from tests.judging import judge, source

MEMO = """
def memoize(function):
    known = {}
    def get(n):
        if n not in known: known[n] = function(n)
        return known[n]
    return get
"""
FACTORIAL = source(
    "import math\ndef test_it():\n    @memoize\n    def factorial(n): return n * factorial(n - 1) if n else 1\n"
    "    assert factorial(300) == math.factorial(300)\n"
)


def test_a_decorated_function_of_the_tests_may_recurse() -> None:
    verdict = judge(MEMO, FACTORIAL)
    assert verdict.value == 1.0, verdict
    assert judge(MEMO.replace("function(n)", "n"), FACTORIAL).value == 0.0


ENDLESS = {
    "plainly": "def f(again, n): return again(n)",
    "through C": "def f(again, n): return max([n], key=lambda x: sorted([x], key=lambda y: again(n)))",
    "with a stack of its own": "import sys\nsys.setrecursionlimit(10**6)\ndef f(again, n): return again(n)",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_comes_back_is_the_candidates_zero(name: str) -> None:
    tests = source(
        "def test_it():\n    def again(n): return max([n], key=lambda x: f(again, n + 1))\n    assert f(again, 0) == 3\n"
    )
    verdict = judge(ENDLESS[name], tests)
    assert (verdict.value, verdict.status) == (0.0, Status.RUNTIME_ERROR), verdict
