"""A call that someone waits for, and how it ended."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from proctor.sandbox.worker_wire import Reply, ReplyKind

_MEMORY_SHARE = 0.8  # a crash above this share of the memory limit was for want of memory


class Failure(str, Enum):
    """Why a task gave no value."""

    TIMEOUT = "timeout"  # was still running at its deadline, and was killed
    MEMORY = "memory"  # asked for more memory than it may have
    EXCEPTION = "exception"  # raised, or returned what is not bounded plain data
    CRASH = "crash"  # its process died of a signal or an exit of its own, or broke the protocol
    POOL = "pool"  # ours: no worker could be started, or the pool was closed


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one task ended."""

    value: Any  # JSON data that the function returned; None on failure
    failure: Failure | None = None
    detail: str = ""  # exception text, signal, limit
    seconds: float = 0.0  # by the clock, in the worker; until the kill where there was one


@dataclass(slots=True, eq=False)
class Task:
    """One call that a caller waits for."""

    function: str  # "package.module:function"
    frame: bytes  # the request as it goes to the worker
    timeout_s: float
    begin: Callable[[], bool]  # called once, when it is first handed out; False: nobody waits any more
    finish: Callable[[TaskResult], None]  # called once
    keeper: object  # what must live until then: a pool that nobody else refers to
    begun: bool = False
    losses: int = 0  # times that it was lost with a server

    @property
    def module(self) -> str:
        return self.function.partition(":")[0]

    def is_wanted(self) -> bool:
        self.begun = self.begun or self.begin()
        return self.begun


def judge_reply(task: Task, reply: Reply, seconds: float) -> TaskResult:
    """The result that a worker's reply stands for; `seconds` as the caller saw it."""
    seconds = min(seconds, reply.seconds)
    # We may have been too busy to read it in time, or to kill: the worker's own clock decides.
    if reply.seconds > task.timeout_s:
        return timed_out(task, seconds)
    if reply.kind is ReplyKind.VALUE:
        return TaskResult(reply.value, seconds=seconds)
    failure = Failure.MEMORY if reply.kind is ReplyKind.MEMORY else Failure.EXCEPTION
    return TaskResult(None, failure, str(reply.value), seconds)


def judge_death(exit_code: int | None, grown_kb: int, memory_mb: int, seconds: float) -> TaskResult:
    """The result of a task whose worker died under it.

    exit_code is negative for a signal, None where nobody knows. A C library that gets no memory aborts or
    segfaults: what the process had taken by then tells that from other crashes.
    """
    detail = _describe_exit(exit_code)
    if grown_kb < _MEMORY_SHARE * memory_mb * 1024:
        return TaskResult(None, Failure.CRASH, detail, seconds)
    detail += f" after taking {grown_kb >> 10} MB of the {memory_mb} MB allowed"
    return TaskResult(None, Failure.MEMORY, detail, seconds)


def timed_out(task: Task, seconds: float) -> TaskResult:
    return TaskResult(None, Failure.TIMEOUT, f"took longer than {task.timeout_s:g} s", seconds)


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "closed its connection"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
