"""Tasks that wait for a worker, and how many of them to hand to one at a time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from proctor.sandbox.worker_task import Failure, Task, TaskResult

_AHEAD_S = 0.002  # work that may queue in one worker: more saves nothing, and waits longer behind a hung task
_AHEAD_TASKS = 64
_AHEAD_BYTES = 1 << 16  # about what a socket takes without being read
_NEW_SHARE = 0.2  # of the latest time in the running mean


class TaskQueue:
    """First in, first out, but for tasks that come back: those go to the front."""

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()
        self._typical_s: dict[str, float] = {}  # function -> running mean of its time
        self.modules: set[str] = set()  # of all tasks that ever waited here

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, tasks: Sequence[Task]) -> None:
        self._waiting.extend(tasks)
        self.modules.update(task.module for task in tasks)

    def put_back(self, tasks: Sequence[Task]) -> None:
        self._waiting.extendleft(reversed(tasks))

    def note(self, function: str, seconds: float) -> None:
        """Remembers how long a function took."""
        typical = self._typical_s.get(function, seconds)
        self._typical_s[function] = typical + _NEW_SHARE * (seconds - typical)

    def take(self, busy_with: Sequence[Task], share: int) -> list[Task]:
        """The next tasks for a worker: one where it is idle, more only while all of them are short."""
        taken: list[Task] = []
        ahead_s = sum(self._expected_s(task) for task in busy_with)
        room = min(share, _AHEAD_TASKS - len(busy_with))
        num_bytes = 0
        while self._waiting and len(taken) < room:
            task = self._waiting[0]
            ahead_s += self._expected_s(task)
            num_bytes += len(task.frame)
            if (busy_with or taken) and (ahead_s > _AHEAD_S or num_bytes > _AHEAD_BYTES):
                break
            self._waiting.popleft()
            if task.is_wanted():
                taken.append(task)
        return taken

    def fail_all(self, why: str) -> None:
        """Ends everything that waits, as a failure of ours."""
        while self._waiting:
            fail(self._waiting.popleft(), why)

    def _expected_s(self, task: Task) -> float:
        return self._typical_s.get(task.function, math.inf)


def fail(task: Task, why: str) -> None:
    """Ends a task as a failure of ours."""
    if task.is_wanted():
        task.finish(TaskResult(None, Failure.POOL, why))
