"""What happened in one exam: which tests passed, how many checks ran, and the first failure with its evidence."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from proctor.sandbox.exam.link import ExamOverError

CHECKED = "__proctor_checked__"  # names that instrumented tests call; no test can mean them by accident
UNIT = "__proctor_unit__"
CHECKED_UNIT = "__proctor_checked_unit__"


class Sheet:
    """Filled in while the tests run.

    Attributes:
        passed: one entry a test: True, False, or None where it was not reached.
        checks: assertions (and the like) that were executed.
        failure: what the first failing test raised.
        evidence: what `note` made of it.
    """

    def __init__(
        self, count: int, keep_going: bool, note: Callable[[BaseException, int | None], Any]
    ) -> None:
        self.passed: list[bool | None] = [None] * count
        self.checks = 0
        self.failure: BaseException | None = None
        self.evidence: Any = None
        self._keep_going = keep_going
        self._note = note  # collects evidence while it is fresh
        self._current = -1

    def checked(self) -> None:
        self.checks += 1

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
        self.passed[self._current] = False
        self.fail(error, self._current)
        return self._keep_going and not isinstance(error, ExamOverError)

    def fail(self, error: BaseException, number: int | None = None) -> None:
        if self.failure is None:
            self.failure = error
            self.evidence = self._note(error, number)
