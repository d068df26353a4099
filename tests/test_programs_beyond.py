"""Tests that reach into their own process: a right program that they fail is not blamed for it."""

import pytest

from proctor.verifiers.core import Status
from tests.judging import judge

READ = "def f(path):\n    with open(path) as file:\n        return file.read()\n"
FILE = """
import tempfile
def test_file():
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write("x")
    assert f(file.name) == "x"
"""
OPENED = """
from unittest.mock import mock_open, patch
def test_opened():
    with patch("builtins.open", mock_open(read_data="x")):
        assert f("any") == "x"
"""
SLEEP = "import time\ndef f():\n    time.sleep(0)\n    return 1\n"
SLEPT = """
from unittest.mock import patch
def test_slept():
    with patch("time.sleep") as sleep:
        assert f() == 1
        sleep.assert_called_once()
"""
LOG = "import logging\ndef f():\n    logging.getLogger('a').warning('w')\n    return 1\n"
LOGGED = """
import unittest
class TestLog(unittest.TestCase):
    def test_log(self):
        with self.assertLogs("a"):
            self.assertEqual(f(), 1)
"""


@pytest.mark.parametrize(
    ("program", "tests", "word"),
    [
        (READ, FILE, "tempfile"),
        (READ, OPENED, "mock_open"),
        (SLEEP, SLEPT, "patch"),
        (LOG, LOGGED, "assertLogs"),
    ],
)
def test_a_failure_that_may_be_the_protocols_is_no_zero(program: str, tests: str, word: str) -> None:
    verdict = judge(program, tests)
    assert (verdict.value, verdict.status) == (None, Status.MISCONFIGURED)
    assert f"the tests use {word}," in verdict.evidence["problem"]
    assert judge(program, tests, tests_in_process=True).value == 1.0


def test_a_program_that_does_not_load_has_its_zero_all_the_same() -> None:
    assert judge("def f(:", FILE).status is Status.COMPILE_ERROR
    assert judge("1 / 0", FILE).status is Status.RUNTIME_ERROR
    assert judge("def g(): pass", FILE).value == 0.0


def test_what_passes_such_tests_is_paid() -> None:
    quiet = SLEPT.replace("        sleep.assert_called_once()\n", "")
    assert judge(SLEEP, quiet).value == 1.0


def test_patches_of_the_console_are_carried() -> None:
    tests = "from unittest.mock import patch\ndef test_it():\n    with patch('builtins.print') as said:\n        f()\n    said.assert_called_once_with(1)\n"
    assert judge("def f(): print(1)", tests).value == 1.0
    assert judge("def f(): print(2)", tests).value == 0.0
    assert judge("def f(): print(2)", tests.replace("'", '"')).value == 0.0


def test_a_client_that_patches_is_no_mock() -> None:
    assert (
        judge(
            "class C:\n    def patch(self, x): return 2", "def test_it():\n    assert C().patch(1) == 1\n"
        ).value
        == 0.0
    )
