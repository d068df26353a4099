"""Suites of pytest's and unittest's kind: every test of a file is run, or nobody is blamed."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Status
from tests.judging import judge, source

RIGHT = "def f(x):\n    if x < 0: raise ValueError('neg')\n    return x * 2"
WRONG = "def f(x):\n    if x < 0: raise ValueError('neg')\n    return x + 1"  # right for 1
ABOUT_ONE = "\ndef test_one(): assert f(1) == 2\n"
WORDS_OF_ITS_OWN = (
    "class raises:\n    def __init__(self, *a, **k): pass\n    def __enter__(self): return self\n"
    "    def __exit__(self, *a): return True\n"
    "approx = fail = mark = lambda *a, **k: True\ndef f(x): return 2\n"
)


@pytest.mark.parametrize(
    "tests",
    [
        "from pytest import raises\ndef test_error():\n    with raises(ValueError): f(-1)",
        "import pytest\ndef test_error():\n    with pytest.raises(ValueError): f(-1)",
        "import pytest as pt\ndef test_error():\n    with pt.raises(ValueError): f(-1)",
    ],
)
def test_words_of_pytest_are_not_asked_of_the_program(tests: str) -> None:
    assert judge(RIGHT, source(tests + ABOUT_ONE)).status is Status.CORRECT
    assert judge(WORDS_OF_ITS_OWN, source(ABOUT_ONE + tests)).value == 0.0
