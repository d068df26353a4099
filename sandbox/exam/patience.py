"""How much processor time of the tests' process a candidate may take, by its requests and by long answers.

Its own limit does not end a candidate that only waits for a callback of the tests on a number of a million digits,
or for a regular expression on a text of a megabyte. So a timer of this process ends the exam, to its loss.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

from proctor.sandbox.exam.link import ExamOverError

_MOST_S = 10.0  # what tests do themselves seldom takes more than 0.1 s
_running: list[Patience] = []
_can_end: list[bool] = []  # there is a handler, without which the signal would end the process


class Patience:
    """With one candidate. Time counts between `begin` and `end`; without an `end`, to the end of the exam."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note  # takes the reason why the exam is over
        self._left_s = _MOST_S
        self._depth = 0

    def begin(self) -> None:
        self._depth += 1
        if self._depth == 1 and _can_end:
            _running.append(self)
            signal.setitimer(signal.ITIMER_PROF, self._left_s)

    def end(self) -> None:
        self._depth -= 1
        if self._depth == 0 and _can_end:
            self._left_s = signal.setitimer(signal.ITIMER_PROF, 0)[0] or self._left_s
            _running.clear()

    def lose(self) -> None:
        reason = "slow: what it asked of the tests, or their work with a long answer, took too much time"
        self._note(reason)
        raise ExamOverError(reason)


def watch() -> None:
    """Once in a process, in its main thread: from then on patience ends."""
    signal.signal(signal.SIGPROF, _on_signal)  # which no test uses, as it is for profilers
    _can_end.append(True)


def forget() -> None:
    """After an exam."""
    if _running:
        _running.clear()
        signal.setitimer(signal.ITIMER_PROF, 0)


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _running:
        _running.pop().lose()
