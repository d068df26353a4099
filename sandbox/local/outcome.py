"""From the facts of a run to its Outcome. One place, one order of precedence.

The first that holds: the kernel killed one of its processes for want of memory; the runner stopped it, or
found at its end that it would have, had it looked a moment sooner; it ended by itself with code 0, whatever
else it met on the way; a forbidden call; processor time; then what the exit tells: exceptions behind which a
limit stands (MemoryError, no space left), named by the jail or, for a foreign runtime, by the last lines of
its standard error. A program can print such a line on purpose: it then calls its own failure by another name,
which earns it nothing. At last its peak, all that its largest process had mapped, where it has failed.
"""

from __future__ import annotations

import errno
import re
import signal
from typing import Any

from proctor.sandbox.core import Outcome
from proctor.sandbox.local.orders import Answer
from proctor.sandbox.local.running import Run, as_signal

_TAIL = 4096
_MEMORY_WORDS = re.compile(
    rb"MemoryError|std::bad_alloc|heap out of memory|OutOfMemoryError|runtime: out of memory"
    rb"|memory allocation of|[Cc]annot allocate memory|virtual memory exhausted"
)
_FILE_WORDS = re.compile(rb"No space left on device|File too large|File size limit exceeded")
_PROCESS_WORDS = re.compile(
    rb"BlockingIOError: \[Errno 11\]|fork: (retry: )?Resource temporarily"
    rb"|[Cc]annot fork|can't start new thread"
)
_FILE_ERRORS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def decide(run: Run) -> Outcome:
    """The outcome of a run whose slot has answered."""
    if run.kills:
        return Outcome.MEMORY_LIMIT
    if run.stopped_for is not None:
        return _stopped(run, run.stopped_for)
    if ended_with_exam(run):
        return Outcome.OK
    code, number = ending(run)
    if code == 0:
        return Outcome.OK
    if number == signal.SIGSYS or code == 128 + signal.SIGSYS:
        return Outcome.SECURITY_VIOLATION
    if number == signal.SIGXCPU or (number == signal.SIGKILL and run.cpu_s >= run.ask.limits.cpu_s):
        return Outcome.CPU_LIMIT
    if number == signal.SIGXFSZ:
        return Outcome.FILE_LIMIT
    told = _by_exception(run.raised or {}) or _by_last_words(bytes(run.stderr[-_TAIL:]))
    told = told or _by_space(run.answer)
    if told is None and run.refusals:
        return Outcome.PROCESS_LIMIT
    if told is None and run.memory_mb > run.ask.limits.memory_mb:
        return Outcome.MEMORY_LIMIT
    return told or Outcome.RUNTIME_ERROR


def _stopped(run: Run, reason: Outcome) -> Outcome:
    """Who meets a limit of the kernel's, and then hangs on to the deadline, has met that limit first."""
    if reason is not Outcome.OUTPUT_LIMIT and run.refusals:
        return Outcome.PROCESS_LIMIT
    return reason


def ended_with_exam(run: Run) -> bool:
    """It was still there when the examiner had reported, and was ended for no fault of its own."""
    return run.decided and (run.answer is None or run.was_killed)


def ending(run: Run) -> tuple[int | None, int | None]:
    """(exit code, signal): the command's own where the jail's number 1 told them, else the process's.

    Both None: it was ended together with its exam.
    """
    if ended_with_exam(run):
        return None, None
    if run.ended is not None:
        return run.ended.get("exit_code"), run.ended.get("signal")
    assert run.answer is not None
    return as_signal(run.answer.status)


def _by_exception(raised: dict[str, Any]) -> Outcome | None:
    if raised.get("type") == "MemoryError" or raised.get("errno") == errno.ENOMEM:
        return Outcome.MEMORY_LIMIT
    if raised.get("errno") in _FILE_ERRORS:
        return Outcome.FILE_LIMIT
    if raised.get("errno") == errno.EAGAIN:
        return Outcome.PROCESS_LIMIT
    return None


def _by_last_words(stderr: bytes) -> Outcome | None:
    if _MEMORY_WORDS.search(stderr):
        return Outcome.MEMORY_LIMIT
    if _FILE_WORDS.search(stderr):
        return Outcome.FILE_LIMIT
    if _PROCESS_WORDS.search(stderr):
        return Outcome.PROCESS_LIMIT
    return None


def _by_space(answer: Answer | None) -> Outcome | None:
    full = answer is not None and 0 in (answer.free_blocks, answer.free_files)
    return Outcome.FILE_LIMIT if full else None
