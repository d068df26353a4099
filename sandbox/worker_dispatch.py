"""The dispatcher: the one thread of the caller that runs a crew of workers.

Callers only put tasks into an inbox and write to an eventfd; every other step happens in this thread, so
there is no state that two threads change.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence

from proctor.sandbox.worker_crew import Crew
from proctor.sandbox.worker_queue import TaskQueue
from proctor.sandbox.worker_supply import PoolSettings
from proctor.sandbox.worker_task import Task


class Dispatcher:
    """Runs tasks until it is stopped. Raises OSError or RuntimeError where it cannot start.

    `post` and `stop` are for any thread, also inside a signal handler or a finaliser.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self._owner = os.getpid()
        # Re-entrant: a finaliser may run in a thread that is inside of it.
        self._lock = threading.RLock()
        self._inbox: list[Task] = []
        self._is_open = True
        self._is_woken = False
        self._stopping = False
        self._queue = TaskQueue()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="proctor-workers", daemon=True)
        try:
            self._crew = Crew(settings, self._queue, self._wakeup)
            self._thread.start()
        except BaseException:
            os.close(self._wakeup)
            raise

    def post(self, tasks: Sequence[Task]) -> bool:
        """Takes tasks over: the `finish` of each will be called once. False: it has ended, and takes none."""
        with self._lock:
            if self._is_open:
                self._inbox.extend(tasks)
                self._wake()
            return self._is_open

    def stop(self, *, wait: bool) -> None:
        """Kills what runs, and fails what waits; returns when that is done if told to wait. Idempotent."""
        if os.getpid() != self._owner:
            return
        self._stopping = True
        with self._lock:
            self._wake()
        if wait and not self.is_own_thread():
            self._thread.join(timeout=10.0)

    def is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def abandon(self) -> None:
        """In a forked child, where the thread does not exist: closes what was inherited, and stops no one."""
        if self._is_open:
            self._crew.abandon()
            os.close(self._wakeup)

    def _wake(self) -> None:
        if self._is_open and not self._is_woken:
            self._is_woken = True
            os.eventfd_write(self._wakeup, 1)

    def _run(self) -> None:
        why = "the pool was closed"
        try:
            while not self._stopping:
                self._collect()
                self._crew.turn()
        except BaseException as error:  # the thread's border: a fault of ours must not leave callers waiting
            why = f"the dispatcher failed: {type(error).__name__}: {error}"
        with self._lock:
            self._is_open = False
            self._queue.add(self._inbox)
        try:
            self._crew.close(why)
        finally:
            os.close(self._wakeup)

    def _collect(self) -> None:
        if not self._is_woken:
            return
        with self._lock:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wakeup)
            self._is_woken = False
            tasks, self._inbox = self._inbox, []
        self._queue.add(tasks)
