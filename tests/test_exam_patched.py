"""Doubles that tests put in place of functions of the program: its own functions call them."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

PROGRAM = "import time\ndef now(): return time.time()\ndef greet(): return 'am' if now() % 2 < 1 else 'pm'\n"
HEAD = "import solution\nfrom solution import greet, now\nfrom unittest.mock import patch, Mock\n"
WAYS = {
    "in a with": "    with patch('solution.now', return_value=0.5): assert greet() == 'am'\n"
    "    with patch('solution.now', return_value=1.5) as double: assert greet() == 'pm'\n    double.assert_called_once()\n",
    "by the module": "    with patch.object(solution, 'now', lambda: 1.5): assert greet() == 'pm'\n"
    "    with patch.object(solution, 'now', lambda: 0.5): assert greet() == 'am'\n",
    "and put back": "    with patch('solution.now', return_value=1.5):\n        assert greet() == 'pm' and now() > 2\n"
    "    assert solution.now() > 2 and greet() in ('am', 'pm')\n"
    "    with patch('solution.now', return_value=0.5): assert greet() == 'am'\n",
}


@pytest.mark.parametrize("name", WAYS)
def test_functions_of_the_program_call_the_double(name: str) -> None:
    tests = source(f"{HEAD}def test_it():\n{WAYS[name]}")
    verdict = judge(PROGRAM, tests)
    assert verdict.value == 1.0, verdict
    assert judge("def now(): return 3\ndef greet(): return 'am'", tests).value != 1.0


def test_a_decorator_without_an_import() -> None:
    tests = source(
        "import unittest\nfrom unittest.mock import patch\nclass T(unittest.TestCase):\n"
        "    @patch('solution.now', return_value=1.5)\n    def test_it(self, double):\n"
        "        self.assertEqual(greet(), 'pm')\n        double.assert_called_once_with()\n"
    )
    verdict = judge(PROGRAM, tests)
    assert verdict.value == 1.0, verdict
    assert judge("def now(): return 3\ndef greet(): return 'pm'", tests).value != 1.0
