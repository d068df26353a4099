"""The dispatcher: one thread of the caller that owns a fork server and its workers.

Callers only append to an inbox and write to an eventfd; every other step happens in this thread, so there is no
state that two threads change. The thread never blocks but in epoll, and nothing it waits for is up to a worker.

A worker is handed several short tasks at once (they queue in its socket), at most `_AHEAD_S` of work as
measured for their functions. Each still has its own deadline, counted from the reply to the one before it.
When one of them hangs, those behind it go back to the queue.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from proctor.sandbox.worker_handle import WorkerHandle
from proctor.sandbox.worker_launch import ForkServer, Message
from proctor.sandbox.worker_wire import Answer, Failure, Reply, Task, TaskResult, WireError, decode_answer

_START_S = (
    120.0  # for a server to import and a worker to be forked, on a machine that is busy with other things
)
_GRACE_S = 2.0  # between the end of a worker's connection and the report of its death
_AHEAD_S = 0.002
_AHEAD_TASKS = 64
_STUCK_S = 0.05  # a task that runs this long gives back the ones that wait behind it
_MAX_MISFIRES = 3  # servers or workers in a row that ended before they did anything
_MEMORY_SHARE = 0.8  # a crash above this share of the memory limit was for want of memory


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a pool was asked for."""

    size: int
    imports: tuple[str, ...]
    memory_mb: int


@dataclass(slots=True)
class _Dying:
    """A worker whose connection has ended, until the server reports how it died."""

    worker: WorkerHandle
    victim: Task | None
    deadline: float
    seconds: float
    fault: str


class Dispatcher:
    """Runs tasks until it is stopped. `post` and `stop` are for any thread; the rest is for its own."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._owner = os.getpid()
        # Re-entrant: a finaliser or a signal handler may run in a thread that is inside of it.
        self._lock = threading.RLock()
        self._inbox: list[Task] = []
        self._is_open = True
        self._is_awake = False
        self._stopping = False
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll = select.epoll()
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._server: ForkServer | None = None
        self._server_deadline = math.inf
        self._workers: dict[int, WorkerHandle] = {}  # by descriptor
        self._dying: dict[int, _Dying] = {}  # by number
        self._queue: deque[Task] = deque()
        self._forking = 0  # workers asked for that have not arrived
        self._forked = 0  # workers ever asked for; the number of the next
        self._wanted = 0  # workers to keep: the most that were ever needed at once
        self._imported: set[str] = set(settings.imports)
        self._typical_s: dict[str, float] = {}  # function -> running mean of its time
        self._misfires = 0
        self._thread = threading.Thread(target=self._run, name="proctor-workers", daemon=True)
        self._thread.start()

    # Any thread.

    def post(self, tasks: Sequence[Task]) -> bool:
        """Takes tasks over; each one's `finish` will be called once. False: it has ended and takes none."""
        with self._lock:
            if not self._is_open:
                return False
            self._inbox.extend(tasks)
            self._wake()
        return True

    def stop(self) -> None:
        """Kills what runs, fails what waits, and returns when that is done. Idempotent."""
        if os.getpid() != self._owner:
            return
        self._stopping = True
        with self._lock:
            self._wake()
        if not self.is_own_thread():
            self._thread.join(timeout=10.0)

    def is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def abandon(self) -> None:
        """In a forked child: closes what was inherited. The parent's server and workers go on as they were."""
        os.close(self._wakeup)
        self._epoll.close()
        for worker in (*self._workers.values(), *(dying.worker for dying in self._dying.values())):
            worker.close()
        if self._server:
            self._server.abandon()

    def _wake(self) -> None:
        if self._is_open and not self._is_awake:
            self._is_awake = True
            os.eventfd_write(self._wakeup, 1)

    # The dispatcher's thread.

    def _run(self) -> None:
        why = "the pool was closed"
        try:
            while not self._stopping:
                self._turn()
        except BaseException as error:  # the thread's border: a fault of ours must not leave callers waiting
            why = f"the dispatcher failed: {type(error).__name__}: {error}"
        finally:
            self._end(why)

    def _turn(self) -> None:
        for descriptor, _ in self._epoll.poll(self._patience()):
            if descriptor == self._wakeup:
                self._collect()
            elif descriptor in self._workers:
                self._hear_worker(self._workers[descriptor])
            elif self._server and descriptor == self._server.fileno():
                self._hear_server()
        self._enforce(time.monotonic())
        self._hand_out()
        self._grow()

    def _patience(self) -> float:
        """Seconds until something is due; epoll takes None for ever."""
        due = min(
            self._server_deadline,
            *(worker.deadline for worker in self._workers.values()),
            *(worker.started + _STUCK_S for worker in self._workers.values() if len(worker.outstanding) > 1),
            *(dying.deadline for dying in self._dying.values()),
            math.inf,
        )
        return -1.0 if due == math.inf else max(0.0, due - time.monotonic()) + 0.0005

    def _collect(self) -> None:
        with self._lock:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wakeup)
            self._is_awake = False
            tasks, self._inbox = self._inbox, []
        self._queue.extend(tasks)

    def _hand_out(self) -> None:
        """Gives queued tasks to workers with room, the idlest first, an even share to each."""
        if not self._queue:
            return
        workers = [worker for worker in self._workers.values() if worker.ready and not worker.retiring]
        share = math.ceil(len(self._queue) / max(1, len(workers)))
        for worker in sorted(workers, key=lambda worker: len(worker.outstanding)):
            self._fill(worker, share)

    def _fill(self, worker: WorkerHandle, share: int) -> None:
        ahead_s = sum(self._typical_s.get(task.function, math.inf) for task in worker.outstanding)
        frames = bytearray()
        was_idle = not worker.outstanding
        while self._queue and share > 0 and len(worker.outstanding) < _AHEAD_TASKS:
            task = self._queue[0]
            ahead_s += self._typical_s.get(task.function, math.inf)
            if worker.outstanding and ahead_s > _AHEAD_S:
                break
            self._queue.popleft()
            if not task.begun and not task.begin():
                continue
            task.begun = True
            if not self._is_prepared(task):
                self._queue.appendleft(task)
                break
            worker.outstanding.append(task)
            frames += task.frame
            share -= 1
        if not frames:
            return
        worker.send(frames)
        if worker.has_unsent:
            self._epoll.modify(worker.fileno(), select.EPOLLIN | select.EPOLLOUT)
        if was_idle:
            self._start_first(worker, time.monotonic())

    def _is_prepared(self, task: Task) -> bool:
        """Whether workers have the task's module imported; if not, has the server import it and fork new ones."""
        module = task.function.partition(":")[0]
        if module in self._imported or self._server is None:
            return True
        self._imported.add(module)
        with contextlib.suppress(OSError):  # the end of a server is noticed when it is read from
            self._server.import_module(module)
        for worker in list(self._workers.values()):
            self._retire(worker)
        return False

    @staticmethod
    def _start_first(worker: WorkerHandle, now: float) -> None:
        worker.started = now
        worker.deadline = now + worker.outstanding[0].timeout_s if worker.outstanding else math.inf

    def _grow(self) -> None:
        """Forks as many workers as the queue has use for, and replaces those that were lost."""
        busy = sum(1 for worker in self._workers.values() if worker.outstanding)
        self._wanted = max(self._wanted, min(self._settings.size, len(self._queue) + busy))
        missing = self._wanted - self._forking - sum(1 for w in self._workers.values() if not w.retiring)
        if missing <= 0:
            return
        if self._misfires >= _MAX_MISFIRES:
            self._give_up(f"{self._misfires} workers in a row ended before they were ready")
            return
        try:
            if self._server is None:
                self._start_server()
            for _ in range(missing):
                self._server.fork(self._forked)  # type: ignore[union-attr]
                self._forked += 1
                self._forking += 1
        except BlockingIOError:
            pass  # its queue is full: the rest is asked for in a later turn
        except (OSError, ValueError) as error:
            self._lose_server(f"the fork server could not be used: {type(error).__name__}: {error}")

    def _start_server(self) -> None:
        self._server = ForkServer(self._settings.imports, self._settings.memory_mb)
        self._server_deadline = time.monotonic() + _START_S
        self._imported = set(self._settings.imports)
        self._epoll.register(self._server.fileno(), select.EPOLLIN)

    # Workers.

    def _hear_worker(self, worker: WorkerHandle) -> None:
        if worker.has_unsent:
            worker.send()
            if not worker.has_unsent:
                self._epoll.modify(worker.fileno(), select.EPOLLIN)
        received = worker.receive()
        fault = received.fault
        for body in received.replies:
            try:
                self._take_answer(worker, decode_answer(body))
            except WireError as error:
                fault = str(error)
                break
        if fault or received.ended:
            self._bury(worker, fault)
        elif worker.retiring and not worker.outstanding:
            self._discard(worker)

    def _take_answer(self, worker: WorkerHandle, answer: Answer) -> None:
        now = time.monotonic()
        if not worker.ready and answer.kind is Reply.READY:
            worker.ready, worker.deadline, self._misfires = True, math.inf, 0
            return
        if not worker.outstanding or answer.kind is Reply.READY:
            raise WireError("a reply that nothing asked for")
        task = worker.outstanding.popleft()
        seconds = min(answer.seconds, now - worker.started)
        typical = self._typical_s.get(task.function, seconds)
        self._typical_s[task.function] = typical + 0.2 * (seconds - typical)
        worker.retiring |= answer.worn
        self._start_first(worker, now)
        task.finish(_judge(task, answer, seconds))

    def _enforce(self, now: float) -> None:
        """Acts on everything that is overdue."""
        for worker in list(self._workers.values()):
            if now >= worker.deadline:
                self._hear_worker(worker)  # its reply may have been waiting for us, not we for it
                if worker.fileno() in self._workers and now >= worker.deadline:
                    self._time_out(worker, now)
            elif len(worker.outstanding) > 1 and now >= worker.started + _STUCK_S:
                self._take_back(worker)
        for dying in [dying for dying in self._dying.values() if now >= dying.deadline]:
            dying.worker.kill()
            dying.fault = dying.fault or "closed its connection and went on running"
            self._finish_dying(dying, None, 0)
        if now >= self._server_deadline:
            self._lose_server(f"the fork server was not ready after {_START_S:g} s")

    def _time_out(self, worker: WorkerHandle, now: float) -> None:
        if not worker.ready:
            self._misfires += 1
            self._discard(worker)
            return
        task = worker.outstanding.popleft()
        seconds = now - worker.started
        self._discard(worker)
        task.finish(TaskResult(None, Failure.TIMEOUT, f"killed after {task.timeout_s:g} s", seconds))

    def _take_back(self, worker: WorkerHandle) -> None:
        """Puts the tasks behind a slow one back in the queue. The worker would still run them: so it goes."""
        first = worker.outstanding.popleft()
        self._queue.extendleft(reversed(worker.outstanding))
        worker.outstanding = deque([first])
        worker.retiring = True

    def _retire(self, worker: WorkerHandle) -> None:
        worker.retiring = True
        if worker.ready and not worker.outstanding:
            self._discard(worker)

    def _discard(self, worker: WorkerHandle) -> None:
        """Kills a worker. What it was handed and has not begun goes back to the front of the queue."""
        self._queue.extendleft(reversed(worker.outstanding))
        self._forget(worker)
        worker.kill()
        worker.close()

    def _forget(self, worker: WorkerHandle) -> None:
        del self._workers[worker.fileno()]
        self._epoll.unregister(worker.fileno())

    def _bury(self, worker: WorkerHandle, fault: str) -> None:
        """A worker that hung up or broke the protocol. The verdict waits for the report of how it died."""
        now = time.monotonic()
        self._forget(worker)
        victim = worker.outstanding.popleft() if worker.outstanding else None
        self._queue.extendleft(reversed(worker.outstanding))
        worker.outstanding.clear()
        if fault:
            worker.kill()
        if not worker.ready:
            self._misfires += 1
        self._dying[worker.number] = _Dying(worker, victim, now + _GRACE_S, now - worker.started, fault)

    def _finish_dying(self, dying: _Dying, exit_code: int | None, grown_kb: int) -> None:
        del self._dying[dying.worker.number]
        dying.worker.close()
        if dying.victim is None:
            return
        detail = dying.fault or _describe_exit(exit_code)
        grew = grown_kb >= _MEMORY_SHARE * self._settings.memory_mb * 1024
        if grew and not dying.fault:
            detail += f", having taken {grown_kb >> 10} MB of {self._settings.memory_mb} MB"
        failure = Failure.MEMORY if grew and not dying.fault else Failure.CRASH
        dying.victim.finish(TaskResult(None, failure, detail, dying.seconds))

    # The fork server.

    def _hear_server(self) -> None:
        while self._server:
            try:
                message = self._server.hear()
            except BlockingIOError:
                return
            except OSError as error:
                self._lose_server(f"lost the fork server: {error}")
                return
            if message is None:
                self._lose_server("")
            else:
                self._obey_server(message)

    def _obey_server(self, message: Message) -> None:
        if message.kind == "ready":
            self._server_deadline = math.inf
        elif message.kind == "worker":
            self._welcome(message)
        elif message.kind == "exit":
            self._note_exit(*message.details)
        elif message.kind == "unforked":
            self._forking -= 1
            self._misfires += 1
        elif message.kind == "failed":
            self._misfires = _MAX_MISFIRES  # an import that raised raises again
            self._lose_server(str(message.details[0]))

    def _welcome(self, message: Message) -> None:
        import socket

        number, _ = message.details
        connection, pidfd = message.descriptors
        self._forking -= 1
        deadline = time.monotonic() + _START_S
        worker = WorkerHandle(number, socket.socket(fileno=connection), pidfd, deadline=deadline)
        self._workers[worker.fileno()] = worker
        self._epoll.register(worker.fileno(), select.EPOLLIN)

    def _note_exit(self, number: int, exit_code: int, grown_kb: int) -> None:
        """The report can overtake the end of the connection: what the worker wrote before is read first."""
        for worker in list(self._workers.values()):
            while worker.number == number and worker.fileno() in self._workers:
                self._hear_worker(worker)
        if number in self._dying:
            self._finish_dying(self._dying[number], exit_code, grown_kb)

    def _lose_server(self, why: str) -> None:
        """Its workers died with it. What they ran is tried once more; a server that never was ready is an end."""
        never_ready = self._server_deadline != math.inf
        victims = [dying.victim for dying in self._dying.values() if dying.victim]
        for dying in self._dying.values():
            dying.worker.close()
        self._dying.clear()
        for worker in list(self._workers.values()):
            if worker.outstanding:
                victims.append(worker.outstanding.popleft())
            self._discard(worker)
        self._forking = 0
        self._server_deadline = math.inf
        if self._server:
            self._epoll.unregister(self._server.fileno())
            ended = self._server.close()
            why = why or ended
            self._server = None
        self._misfires += 1
        for task in victims:
            task.lost += 1
        self._fail([task for task in victims if task.lost > 1], why)
        self._queue.extendleft(task for task in reversed(victims) if task.lost <= 1)
        if never_ready or self._misfires >= _MAX_MISFIRES:
            self._give_up(why)

    def _give_up(self, why: str) -> None:
        """Fails what waits. The next task that is submitted makes a new attempt."""
        self._misfires = self._wanted = 0
        waiting = list(self._queue)
        self._queue.clear()
        self._fail(waiting, why)

    @staticmethod
    def _fail(tasks: Iterable[Task], why: str) -> None:
        for task in tasks:
            if task.begun or task.begin():
                task.finish(TaskResult(None, Failure.POOL, why))

    def _end(self, why: str) -> None:
        with self._lock:
            self._is_open = False
            waiting = [*self._queue, *self._inbox]
        running = [task for worker in self._workers.values() for task in worker.outstanding]
        running += [dying.victim for dying in self._dying.values() if dying.victim]
        steps: list[Callable[[], object]] = []
        for worker in self._workers.values():
            steps += [worker.kill, worker.close]
        steps += [dying.worker.close for dying in self._dying.values()]
        steps += [self._server.close] if self._server else []
        steps += [
            self._epoll.close,
            lambda: os.close(self._wakeup),
            lambda: self._fail([*running, *waiting], why),
        ]
        for step in steps:
            with contextlib.suppress(
                Exception
            ):  # the thread's border: every step is tried, whatever the last did
                step()


def _judge(task: Task, answer: Answer, seconds: float) -> TaskResult:
    # A reply that we were too busy to read in time is judged by the worker's own clock, as it would be otherwise.
    if answer.seconds > task.timeout_s:
        return TaskResult(None, Failure.TIMEOUT, f"took {seconds:.3g} s of {task.timeout_s:g} s", seconds)
    if answer.kind is Reply.VALUE:
        return TaskResult(answer.value, seconds=seconds)
    failure = Failure.MEMORY if answer.kind is Reply.MEMORY else Failure.EXCEPTION
    return TaskResult(None, failure, str(answer.value), seconds)


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "died"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
