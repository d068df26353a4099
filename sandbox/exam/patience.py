"""How much processor time of the tests' process a candidate may take, by its requests and by long answers.

Its own limit does not end a candidate that only waits for a callback of the tests on a number of a million digits,
or for a regular expression on a text of a megabyte. So a timer of this process ends the exam, to its loss. A short
answer may be enough, where tests count up to it: then they have longer, for that may be their own work. And tests
may wait without computing, where a candidate calls the `get` of an empty queue of theirs: that ends as soon as the
candidate is gone, at its own limit.

No signal interrupts a call into C, such as `sum(range(answer))`, and none comes before the kernel ends a process that
fills its memory or its stack with an answer. So that there is one is written to standard error beforehand, for whoever
finds that this process ended without a report.
"""

from __future__ import annotations

import _thread
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from proctor.sandbox.exam.link import ExamOverError

_MOST_S = 10.0  # what tests do themselves seldom takes more than 0.1 s
# Of their own work with answers, as a share of the process's limit: that is twice an exam's (sandbox/local/seal.py),
# behind which nobody is left to say whose fault it was.
_MOST_ANSWERED = 0.4
_WITHOUT_LIMIT_S = 24.0
_STDERR = 2
_LOOK_S = 0.5  # between looks whether a candidate that is served is there
ANSWERED = b"\nproctor: from here on the tests work with what the program says\n"
_sleep, _write = time.sleep, os.write  # which tests may have put something else in place of
_running: list[Patience] = []
_can_end: list[bool] = []  # there is a handler, without which the signal would end the process
_looking: list[bool] = []
_answered: list[Patience] = []


class Patience:
    """With one candidate. Time counts between `begin` and `end`; without an `end`, to the end of the exam."""

    def __init__(self, note: Callable[[str], None], is_gone: Callable[[], bool]) -> None:
        self._note = note  # takes the reason why the exam is over
        self._is_gone = is_gone
        self._left_s = _MOST_S
        self._depth = self._num_served = 0
        self._has_answered = self._has_told = False

    @property
    def is_deserted(self) -> bool:
        """Whether nobody is left to whom what is under way could be answered."""
        return self._num_served > 0 and self._is_gone()

    def serve(self) -> None:
        """As `begin`, for a request, on whose answer the candidate waits."""
        self._num_served += 1
        self._tell()
        self.begin()
        if _can_end and not _looking:
            _looking.append(True)
            _thread.start_new_thread(_look, ())

    def note_answer(self) -> None:
        """The first one counts: from then on the tests work with what the candidate says."""
        if not self._has_answered and _can_end:
            self._has_answered = True
            self._tell()
            _answered[:] = [self]
            signal.setitimer(signal.ITIMER_VIRTUAL, _most_answered_s())

    def _tell(self) -> None:
        if not self._has_told and _can_end:
            self._has_told = True
            with suppress(OSError):  # closed by the tests
                _write(_STDERR, ANSWERED)

    def begin(self) -> None:
        self._depth += 1
        if self._depth == 1 and _can_end:
            _running.append(self)
            signal.setitimer(signal.ITIMER_PROF, self._left_s)

    def end(self) -> None:
        """Of what `serve` began."""
        self._num_served -= 1
        self._depth -= 1
        if self._depth == 0 and _can_end:
            self._left_s = signal.setitimer(signal.ITIMER_PROF, 0)[0] or self._left_s
            _running.clear()

    def lose(self) -> None:
        reason = "slow: what it asked of the tests, or their work with a long answer, took too much time"
        if self.is_deserted:
            reason = "gone"
        self._note(reason)
        raise ExamOverError(reason)


def _most_answered_s() -> float:
    limit, _ = resource.getrlimit(resource.RLIMIT_CPU)
    return _WITHOUT_LIMIT_S if limit == resource.RLIM_INFINITY else _MOST_ANSWERED * limit


def watch() -> None:
    """Once in a process, in its main thread: from then on patience ends."""
    signal.signal(signal.SIGPROF, _on_signal)  # which no test uses, as it is for profilers
    signal.signal(signal.SIGVTALRM, _on_late)
    _can_end.append(True)


def forget() -> None:
    """After an exam."""
    if _running:
        _running.clear()
        signal.setitimer(signal.ITIMER_PROF, 0)
    if _answered:
        _answered.clear()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _look() -> None:
    """Has the main thread look, which may be waiting, when a candidate is gone; ends when nobody is served."""
    while _running:
        _sleep(_LOOK_S)
        if any(each.is_deserted for each in tuple(_running)):
            # To the process, and so to its main thread first, which jails do not know by number.
            os.kill(os.getpid(), signal.SIGPROF)
    _looking.clear()


def _on_signal(number: int, frame: FrameType | None) -> None:
    is_late = signal.getitimer(signal.ITIMER_PROF)[0] == 0
    if _running and (is_late or _running[-1].is_deserted):
        _running.pop().lose()


def _on_late(number: int, frame: FrameType | None) -> None:
    if _answered:
        _answered.pop().lose()
