"""What happened in one exam: which tests passed, how many checks ran, and the first failure with its evidence."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, TracebackType
from typing import Any

from proctor.sandbox.exam.examinee import is_of_candidate
from proctor.sandbox.exam.link import ExamOverError
from proctor.sandbox.exam.pytest_words import Failed, UnknownWordError

CHECKED = "__proctor_checked__"  # names that instrumented tests call; no test can mean them by accident
UNIT = "__proctor_unit__"
CHECKED_UNIT = "__proctor_checked_unit__"
REACHED = "__proctor_reached__"
CAUGHT = "__proctor_caught__"
DOUBLE = "__proctor_double__"
FAILS = "__proctor_fails__"
_TESTS = "tests"  # the name of the tests' own module


def _is_failed_check(error: BaseException) -> bool:
    return type(error) in (AssertionError, Failed) and not is_of_candidate(error)


class Sheet:
    """Filled in while the tests run.

    Attributes:
        passed: one entry a test: True, False, or None where it was not reached.
        checks: assertions (and the like) that were executed.
        reached: loops and branches that hold some.
        failure: what the first failing test raised.
        evidence: what `note` made of it.
    """

    def __init__(
        self, count: int, keep_going: bool, note: Callable[[BaseException, int | None], Any]
    ) -> None:
        self.passed: list[bool | None] = [None] * count
        self.checks = 0
        self.reached = 0
        self.failure: BaseException | None = None
        self.evidence: Any = None
        self._keep_going = keep_going
        self._note = note  # collects evidence while it is fresh
        self._current = -1

    def checked(self) -> None:
        self.checks += 1

    def reach(self) -> None:
        self.reached += 1

    def caught(self) -> None:
        """In a handler: counts what was caught, but for a failed check, which a class of the candidate's is not for.

        `class Full(Exception)` cannot catch one; `Full = Exception` would catch the `assert False` behind a call.
        """
        self.checks += 1
        error = sys.exc_info()[1]
        if error is not None and _is_failed_check(error):
            raise error

    @contextmanager
    def fails(self) -> Iterator[None]:
        """Around what is to raise: a check that fails there has failed, whatever the candidate's names expect."""
        try:
            yield
        except (AssertionError, Failed) as error:
            if _is_failed_check(error):
                self._fail_current(error)
            raise

    def double(self, value: Any) -> Any:
        """What a check asks whether it was called: where there are doubles, none of the candidate's in their place."""
        mock = sys.modules.get("unittest.mock")
        is_ours = type(value) is FunctionType or type(value).__module__ == _TESTS
        if mock is None or is_ours or issubclass(type(value), mock.NonCallableMock):
            return value
        raise AssertionError("the program has put something else in place of a test double")

    def unit(self, number: int) -> Sheet:
        """Opens a test; used as a context manager around it."""
        self._current = number
        return self

    def checked_unit(self, number: int) -> Sheet:
        """Opens a test that is one check, and counts it."""
        self.checks += 1
        self._current = number
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            if self.passed[self._current] is None:
                self.passed[self._current] = True
            return False
        self._fail_current(error)
        return self._keep_going and not isinstance(error, ExamOverError | UnknownWordError)

    def _fail_current(self, error: BaseException) -> None:
        if self._current < 0:  # before the first test
            self.fail(error)
        else:
            self.passed[self._current] = False
            self.fail(error, self._current)

    def fail(self, error: BaseException, number: int | None = None) -> None:
        if self.failure is None:
            self.failure = error
            self.evidence = self._note(error, number)
