"""Answers that lead a test past its checks: a zero, not a verdict about the tests."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

STACK = "class Stack:\n    def __init__(self, items): self.items = items\n    def empty(self): return {}\n    def pop(self): return self.items.pop()\n"
PAST = {
    "no members": ("for y in f(3):\n    assert y > 0\n", "def f(x): return [x]", "def f(x): return []"),
    "no members, in a test": (
        "def test():\n    for y in f(3):\n        assert y > 0\n",
        "def f(x): return [x]",
        "def f(x): return []",
    ),
    "no members, in a case": (
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        for y in f(3):\n"
        "            with self.subTest(y=y):\n                self.assertTrue(y)\n",
        "def f(x): return [x]",
        "def f(x): return []",
    ),
    "no members for a helper": (
        "def one(y):\n    assert y > 0\nfor y in f(3): one(y)\n",
        "def f(x): return [x]",
        "def f(x): return []",
    ),
    "no members for a helper, in an expression": (
        "def one(y):\n    assert y > 0\ndef test():\n    list(map(one, f(3)))\n    [one(y) for y in f(3)]\n",
        "def f(x): return [x]",
        "def f(x): return []",
    ),
    "a branch": (
        "def check(candidate):\n    got = candidate(3)\n    if got is not None:\n        assert got == 3\n",
        "def f(x): return x",
        "def f(x): return None",
    ),
    "no rows": (
        "import pytest\n@pytest.mark.parametrize('a', f(3))\ndef test(a):\n    assert a == 3\n",
        "def f(x): return [x]",
        "def f(x): return []",
    ),
    "no turn": (
        "def test():\n    s = Stack([1, 2])\n    while not s.empty():\n        assert s.pop() > 0\n",
        STACK.format("not self.items"),
        STACK.format("True"),
    ),
}


@pytest.mark.parametrize("name", PAST)
def test_an_answer_that_leads_past_every_check_is_a_zero(name: str) -> None:
    tests, right, wrong = PAST[name]
    assert judge(right, source(tests), entry="f" if "candidate" in tests else "").value == 1.0
    verdict = judge(wrong, source(tests), entry="f" if "candidate" in tests else "")
    assert verdict.value == 0.0, verdict


NOTHING = {
    "no check": "print(f(3))\n",
    "a check that nobody calls": "def never():\n    assert f(3)\nf(3)\n",
    "a check of a script": "def test():\n    f(3)\nif __name__ == '__main__':\n    assert f(3) == 3\n",
}


@pytest.mark.parametrize("name", NOTHING)
def test_tests_that_check_nothing_are_nobodys_zero(name: str) -> None:
    assert judge("def f(x): return []", source(NOTHING[name])).value is None
