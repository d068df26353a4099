"""Exceptions that tests expect by a name of the program's, which may stand for failed checks as well."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

APART = {
    "a name": "import pytest\ndef test_it():\n    full = pytest.raises(Full)\n    with full:\n        assert f(1) == 4\n",
    "an attribute": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.full = self.assertRaises(Full)\n"
        "        with self.full:\n            self.assertEqual(f(1), 4)\n"
    ),
    "with a text": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        full = self.assertRaisesRegex(Full, '')\n"
        "        with full:\n            self.assertEqual(f(1), 4)\n"
    ),
    "a parameter": (
        "import pytest\n@pytest.mark.parametrize('full', [pytest.raises(Full)])\ndef test_it(full):\n"
        "    with full:\n        assert f(1) == 4\n"
    ),
    "a stack": (
        "import pytest\nfrom contextlib import ExitStack\ndef test_it():\n    with ExitStack() as stack:\n"
        "        stack.enter_context(pytest.raises(Full))\n        assert f(1) == 4\n"
    ),
}


@pytest.mark.parametrize("name", APART)
@pytest.mark.parametrize(
    "full", ["Full = (AssertionError,)", "Full = (Exception, ValueError)", "Full = Exception"]
)
def test_a_failed_check_is_none_of_them(name: str, full: str) -> None:
    assert judge(f"{full}\ndef f(x): return 0", source(APART[name])).value == 0.0


@pytest.mark.parametrize("name", APART)
def test_what_is_raised_is_expected(name: str) -> None:
    verdict = judge("class Full(Exception): pass\ndef f(x): raise Full", source(APART[name]))
    assert verdict.value == 1.0, verdict
