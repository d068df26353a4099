"""Calls that can be killed: a pool of worker processes for whatever may loop, blow up or crash.

    pool = WorkerPool(imports=["sympy"])
    result = pool.run("mypackage.algebra:simplify", "x + x", timeout_s=2.0)
    result.value if result.failure is None else result.failure

What it covers
- A wall-clock deadline per task, counted from when it starts in its worker, and kept with SIGKILL.
- A memory limit per task (RLIMIT_AS over the warmed interpreter), told apart from other failures.
- Crashes: a segfault, an abort, os._exit. The worker is replaced by a fork; the tasks that waited behind it
  are run by another.
- Any caller: main or other threads, asyncio, a forked or spawned child, a Ray actor, many at once. A forked
  child starts its own server at its first task. `__main__` is never run again.
- The end of the caller, also by SIGKILL: server and workers are gone within moments. The end of the server
  itself: running tasks are tried once more, then fail as POOL.
- What a worker writes is bounded and decoded as JSON; it is never unpickled.

What it does not
- It is no jail. Text that gets Python to run code can read what the caller can read and, as one worker runs
  many tasks, forge the results of later ones. What it is refused (network, writing, signals) depends on the
  kernel: see worker_walls. Hostile *programs* belong into the sandbox.
- A MemoryError that the function itself swallows is not seen, and CPython raises one too where source text
  nests too deeply for its parser.
- A process that a task starts is killed when its worker ends, not before, and has memory limits of its own.
- Tasks may be run twice (when a server or a neighbour died), and what one leaves in its interpreter (caches,
  settings, threads) the next one finds: they should be functions of their arguments.
- While another thread of the caller holds the GIL, or the caller is stopped, a kill is late; its verdict is
  not.
- Linux 5.3 or later with /proc.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import math
import os
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from types import TracebackType

from proctor.sandbox import processors
from proctor.sandbox.worker_dispatch import Dispatcher
from proctor.sandbox.worker_queue import fail
from proctor.sandbox.worker_supply import PoolSettings
from proctor.sandbox.worker_task import Failure, Task, TaskResult
from proctor.sandbox.worker_wire import JSON, MAX_REQUEST_BYTES, TooLargeError, encode

__all__ = ["JSON", "Failure", "TaskResult", "WorkerPool", "shared_pool"]

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class WorkerPool:
    """Runs functions, named "package.module:function", in processes of their own. Thread-safe.

    Nothing is started before the first task. `size` is the most workers at once (default: see
    `processors.usable`); `imports` are loaded once, before anything is forked; `memory_mb` is what one task
    may take beyond the warmed interpreter.
    """

    def __init__(
        self, *, size: int | None = None, imports: Sequence[str] = (), memory_mb: int = 2048
    ) -> None:
        if (size is not None and size < 1) or memory_mb < 1:
            raise ValueError(f"a pool needs at least one worker and 1 MB, got size {size} and {memory_mb} MB")
        self._size, self._imports, self._memory_mb = size, tuple(imports), memory_mb
        self._lock = threading.RLock()
        self._dispatcher: Dispatcher | None = None
        self._stop_unused: weakref.finalize[..., WorkerPool] | None = None
        self._closed = False
        _POOLS.add(self)

    def submit(self, function: str, *args: JSON, timeout_s: float) -> Future[TaskResult]:
        """Starts one call. The future never raises for what the function does: see `TaskResult.failure`.

        Arguments that are not plain data raise TypeError, a name that cannot be called ValueError, and a pool
        that is closed RuntimeError; arguments that are too large are a failure of the task. Callbacks of the
        future run in the pool's own thread and must be short. A running task is not cancelled; its deadline
        ends it.
        """
        future: Future[TaskResult] = Future()
        begin, finish = future.set_running_or_notify_cancel, future.set_result
        self._post([self._make_task(function, args, timeout_s, begin, finish)])
        return future

    def run(self, function: str, *args: JSON, timeout_s: float) -> TaskResult:
        """As `submit`, and waits for the result."""
        self._refuse_own_thread()
        return self.submit(function, *args, timeout_s=timeout_s).result()

    async def arun(self, function: str, *args: JSON, timeout_s: float) -> TaskResult:
        """As `submit`, for a running event loop, which is not blocked."""
        return await asyncio.wrap_future(self.submit(function, *args, timeout_s=timeout_s))

    def map(self, function: str, rows: Iterable[Sequence[JSON]], *, timeout_s: float) -> list[TaskResult]:
        """One result per row of arguments, in order. The deadline is each task's own."""
        self._refuse_own_thread()
        rows = list(rows)
        results = _Results(len(rows))
        make = functools.partial(self._make_task, function)
        self._post(
            [
                make(row, timeout_s, results.are_awaited, functools.partial(results.put, index))
                for index, row in enumerate(rows)
            ]
        )
        return results.wait()

    def close(self) -> None:
        """Kills what runs, and ends the server. Tasks that had no result fail as POOL. Idempotent."""
        self._closed = True
        self._stop()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_task(
        self,
        function: str,
        args: Sequence[JSON],
        timeout_s: float,
        begin: Callable[[], bool],
        finish: Callable[[TaskResult], None],
    ) -> Task | None:
        """None: its arguments cannot cross, and it has been finished with that."""
        if not _FUNCTION.fullmatch(function) or function.startswith("__main__:"):
            raise ValueError(
                f"a worker cannot call {function!r}: expected 'package.module:function', of a module that "
                "can be imported (__main__ is not: it is never run again)"
            )
        if not 0 < timeout_s < math.inf:
            raise ValueError(
                f"a task needs a deadline: timeout_s must be positive and finite, got {timeout_s}"
            )
        try:
            frame = encode([function, list(args)], MAX_REQUEST_BYTES)
        except (TooLargeError, RecursionError) as error:
            finish(TaskResult(None, Failure.EXCEPTION, f"arguments: {error}"))
            return None
        return Task(function, frame, timeout_s, begin, finish, keeper=self)

    def _post(self, made: Iterable[Task | None]) -> None:
        tasks = [task for task in made if task]
        with self._lock:
            if self._closed:
                raise RuntimeError("this WorkerPool is closed")
            if self._dispatcher and self._dispatcher.post(tasks):
                return
            if self._stop_unused:
                self._stop_unused.detach()
            try:
                size = self._size or processors.usable()
                self._dispatcher = Dispatcher(PoolSettings(size, self._imports, self._memory_mb))
            except (OSError, RuntimeError) as error:  # out of descriptors or threads
                self._dispatcher = self._stop_unused = None
                why = f"{type(error).__name__}: {error}"
            else:
                # It may run in any thread, at any moment: it waits for nothing.
                self._stop_unused = weakref.finalize(self, self._dispatcher.stop, wait=False)
                self._stop_unused.atexit = False  # _stop_all is for that
                self._dispatcher.post(tasks)
                return
        for task in tasks:
            fail(task, why)

    def _refuse_own_thread(self) -> None:
        if self._dispatcher and self._dispatcher.is_own_thread():
            raise RuntimeError("a callback of a future must not wait for its pool: it would wait for itself")

    def _stop(self) -> None:
        with self._lock:
            if self._stop_unused:
                self._stop_unused.detach()
            dispatcher, self._dispatcher, self._stop_unused = self._dispatcher, None, None
        if dispatcher:
            dispatcher.stop(wait=True)

    def _forget(self) -> None:
        """In a forked child: the dispatcher's thread did not come along, so the next task starts anew."""
        self._lock = threading.RLock()
        if self._stop_unused:
            self._stop_unused.detach()
        if self._dispatcher:
            self._dispatcher.abandon()
        self._dispatcher = self._stop_unused = None


class _Results:
    """The results of one `map`: put in by the dispatcher's thread, waited for by the caller's."""

    def __init__(self, count: int) -> None:
        self._results: list[TaskResult | None] = [None] * count
        self._missing = count
        self._complete = threading.Event()
        self._awaited = True

    def put(self, index: int, result: TaskResult) -> None:
        self._results[index] = result
        self._missing -= 1
        if not self._missing:
            self._complete.set()

    def are_awaited(self) -> bool:
        return self._awaited

    def wait(self) -> list[TaskResult]:
        try:
            if self._results:
                self._complete.wait()
        finally:
            self._awaited = False  # interrupted: what has not begun need not
        return [result for result in self._results if result is not None]


_POOLS: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in list(_POOLS):
        pool._forget()


def _stop_all() -> None:
    for pool in list(_POOLS):
        pool._stop()


os.register_at_fork(after_in_child=_forget_all)
atexit.register(_stop_all)


_SHARED = WorkerPool(imports=("sympy", "math_verify"))


def shared_pool() -> WorkerPool:
    """The pool of this process, with what judges mathematics imported. It is not to be closed."""
    return _SHARED
