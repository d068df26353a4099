"""Tests that expect exceptions: a check that fails among them has failed, whatever the candidate's names stand for."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

FAIL = "import pytest\ndef test_it():\n    with pytest.raises(Full):\n        f(1)\n        pytest.fail('did not raise')\n"
STACK = """
import unittest
class T(unittest.TestCase):
    def test_it(self):
        with self.assertRaises{}:
            s = Stack()
            s.push(1)
            self.assertEqual(s.size(), 1)
            s.push(2)
"""
BY_NAME, BY_TEXT = STACK.format("(Stack.Full)"), STACK.format("Regex(Stack.Full, '')")
BY_KEYWORD = STACK.format("(expected_exception=Stack.Full)")
SUPPRESS = """
from contextlib import suppress
def test_it():
    for x, expected in ((1, 0), (2, 4)):
        with suppress(Full):
            assert f(x) == expected
"""
CONTEXT = """
import pytest
def test_it():
    with pytest.raises(ValueError):
        with f(1) as got:
            assert got == 4
            raise ValueError('x')
"""
HELPER = """
import pytest
def check_even(x): assert x % 2 == 0
def test_it():
    check_even(f(2))
    with pytest.raises(AssertionError):
        check_even(f(1))
    with pytest.raises((ValueError, Exception)):
        check_even(f(1))
"""
WRONG_STACK = "class Stack:\n    Full = Exception\n    def push(self, x): pass\n    def size(self): return 9"
RIGHT_STACK = """
class Stack:
    Full = IndexError
    def __init__(self): self.n = 0
    def push(self, x):
        if self.n: raise IndexError('full')
        self.n += 1
    def size(self): return self.n
"""

# Each: tests, a right program, and wrong ones.
CASES = {
    "a tuple in place of a class": (
        FAIL,
        "class Full(Exception): pass\ndef f(x): raise Full",
        ["Full = (AssertionError,)\ndef f(x): return 0", "Full = (KeyError, Exception)\ndef f(x): return 0"],
    ),
    "an exception that the program asserts": (
        FAIL,
        "Full = AssertionError\ndef f(x): assert not x",
        ["Full = AssertionError\ndef f(x): return 0"],
    ),
    "an attribute of a class": (BY_NAME, RIGHT_STACK, [WRONG_STACK]),
    "an attribute of a class, and a text": (BY_TEXT, RIGHT_STACK, [WRONG_STACK]),
    "an attribute of a class, by the argument's name": (BY_KEYWORD, RIGHT_STACK, [WRONG_STACK]),
    "what is suppressed": (
        SUPPRESS,
        "class Full(Exception): pass\ndef f(x):\n    if x == 1: raise Full\n    return 4",
        ["Full = (AssertionError,)\ndef f(x): return 0", "Full = (AssertionError,)\ndef f(x): return 9"],
    ),
    "a context manager that raises in the end": (
        CONTEXT,
        "class f:\n    def __init__(self, x): pass\n    def __enter__(self): return 4\n"
        "    def __exit__(self, *error): raise ValueError('y')",
        [
            "class f:\n    def __init__(self, x): pass\n    def __enter__(self): return 0\n"
            "    def __exit__(self, *error): raise ValueError",
            "from contextlib import contextmanager\n@contextmanager\ndef f(x):\n    try: yield 0\n"
            "    except BaseException as error: raise ValueError from error",
        ],
    ),
    "a context manager that raises where nothing did": (
        "import pytest\ndef test_it():\n    with pytest.raises(KeyError):\n        with f(1) as got: assert got == 4\n",
        "class f:\n    def __init__(self, x): pass\n    def __enter__(self): return 4\n"
        "    def __exit__(self, *error): raise KeyError",
        [
            "class f:\n    def __init__(self, x): pass\n    def __enter__(self): return 4\n    __exit__ = lambda *error: None"
        ],
    ),
    "failed checks that tests expect": (HELPER, "def f(x): return x", ["def f(x): return 2 * x"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_failed_check_has_failed(name: str) -> None:
    tests, right, wrong = CASES[name]
    verdict = judge(right, source(tests))
    assert verdict.value == 1.0, verdict.evidence
    for program in wrong:
        verdict = judge(program, source(tests))
        assert verdict.value == 0.0, verdict.evidence
