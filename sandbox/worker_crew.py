"""The crew: a fork server and its workers, as the caller's dispatcher thread keeps them at work.

A worker is handed several short tasks at once: they queue in its socket. Each still has its own deadline,
counted from the reply to the one before it. When one hangs or crashes, those behind it go back to the queue.

A worker's death shows as the end of its connection, and how it died in the server's report; either may come
first. Nothing here waits for the one or the other, or for anything that is up to a worker.
"""

from __future__ import annotations

import math
import os
import select
import socket
import time
from dataclasses import dataclass

from proctor.sandbox.worker_handle import WorkerHandle
from proctor.sandbox.worker_launch import ForkServer, Message
from proctor.sandbox.worker_queue import TaskQueue, fail
from proctor.sandbox.worker_task import Failure, TaskResult, judge_death, judge_reply, timed_out
from proctor.sandbox.worker_wire import Reply, ReplyKind

_START_S = (
    120.0  # for a server to import, and for a worker to be forked, on a machine with other things to do
)
_GRACE_S = 2.0  # between the end of a worker's connection and the report of its death
_STUCK_S = 0.05  # a task that runs this long gives back the ones that wait behind it
_MAX_MISFIRES = 5  # servers or workers in a row that ended before they did anything
_MAX_READS = 64  # enough for the longest reply
_PAUSE_S = 0.1  # after the first of those; it doubles


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a pool was asked for."""

    size: int
    imports: tuple[str, ...]
    memory_mb: int


class Crew:
    """Runs what is in the queue. For one thread; `turn` is its whole life."""

    def __init__(self, settings: PoolSettings, queue: TaskQueue, wakeup: int) -> None:
        self._settings = settings
        self._queue = queue
        self._epoll = select.epoll()
        self._epoll.register(wakeup, select.EPOLLIN)
        self._server: ForkServer | None = None
        self._server_deadline = math.inf  # until which it must have done what it owes us
        self._server_ready = False
        self._workers: dict[int, WorkerHandle] = {}  # by descriptor
        self._dying: dict[int, WorkerHandle] = {}  # by number: connection ended, death not yet reported
        self._forking = 0  # workers asked for that have not arrived
        self._numbers = 0  # workers ever asked for
        self._wanted = 0  # workers to keep: the most that were ever of use at once
        self._imported: set[str] = set()  # modules that the server has been told to import
        self._misfires = 0
        self._fork_after = 0.0

    def turn(self) -> None:
        """Waits until something happens or is due, and deals with it."""
        for descriptor, _ in self._epoll.poll(self._patience()):
            if descriptor in self._workers:
                self._hear_worker(self._workers[descriptor])
            elif self._server and descriptor in self._server.descriptors:
                self._hear_server()
        self._enforce(time.monotonic())

    def serve(self) -> None:
        """Hands out what waits, and sees to it that there are workers enough."""
        if self._server:
            self._prepare()
        usable = [worker for worker in self._workers.values() if worker.ready and not worker.retiring]
        share = math.ceil(len(self._queue) / max(1, len(usable)))
        for worker in sorted(usable, key=lambda worker: len(worker.outstanding)):
            if tasks := self._queue.take(worker.outstanding, share):
                worker.hand(tasks, time.monotonic())
                self._watch(worker)
        self._recruit()

    def close(self, why: str) -> None:
        """Kills everything, and fails what was running."""
        for worker in list(self._workers.values()):
            self._discard(worker)
        for worker in self._dying.values():
            self._queue.put_back(worker.outstanding)
            worker.close()
        if self._server:
            self._server.close(at_once=not self._server_ready)
        self._epoll.close()
        self._queue.fail_all(why)

    def abandon(self) -> None:
        """In a forked child: lets go of what was inherited; the parent's server and workers go on."""
        for worker in (*self._workers.values(), *self._dying.values()):
            worker.close()
        if self._server:
            self._server.abandon()
        self._epoll.close()

    def _patience(self) -> float:
        """Seconds until something is due; -1 is for ever."""
        now = time.monotonic()
        due = self._server_deadline
        for worker in (*self._workers.values(), *self._dying.values()):
            due = min(due, worker.deadline)
            if len(worker.outstanding) > 1:
                due = min(due, worker.started + _STUCK_S)
        if self._fork_after > now:
            due = min(due, self._fork_after)
        # epoll counts whole milliseconds, rounded up: it does not wake before its time.
        return -1.0 if due == math.inf else max(0.0, due - now)

    def _watch(self, worker: WorkerHandle) -> None:
        """Asks epoll for what this worker makes us wait for."""
        writing = select.EPOLLOUT if worker.has_unsent else 0
        self._epoll.modify(worker.fileno(), select.EPOLLIN | writing)

    # Workers: their arrival, their answers, their end.

    def _welcome(self, number: int, descriptors: list[int]) -> None:
        self._forking -= 1
        if len(descriptors) != 2:  # we have no descriptors left
            for descriptor in descriptors:
                os.close(descriptor)
            self._misfire()
            return
        connection, pidfd = socket.socket(fileno=descriptors[0]), descriptors[1]
        worker = WorkerHandle(number, connection, pidfd, deadline=time.monotonic() + _START_S)
        self._workers[worker.fileno()] = worker
        self._epoll.register(worker.fileno(), select.EPOLLIN)

    def _hear_worker(self, worker: WorkerHandle) -> bool:
        """Deals with what a worker has written; False where that is nothing."""
        if worker.has_unsent:
            worker.send()
            self._watch(worker)
        received = worker.receive()
        for reply in received.replies:
            if not self._take_reply(worker, reply):
                return True
        worker.fault = received.fault
        if received.ended or received.fault:
            self._bury(worker)
        return received.anything

    def _drain(self, worker: WorkerHandle) -> None:
        """Hears all that has come in by now; a worker that goes on writing does not keep us here."""
        for _ in range(_MAX_READS):
            if worker.fileno() not in self._workers or not self._hear_worker(worker):
                return

    def _take_reply(self, worker: WorkerHandle, reply: Reply) -> bool:
        """False: that was the last reply that this worker was kept for."""
        now = time.monotonic()
        if reply.kind is ReplyKind.READY and not worker.ready:
            worker.ready, worker.deadline = True, math.inf
        elif reply.kind is ReplyKind.READY or not worker.outstanding:
            worker.fault = "wrote a reply that nothing asked for"
            self._bury(worker)
            return False
        else:
            self._misfires = 0
            task = worker.outstanding.popleft()
            result = judge_reply(task, reply, now - worker.started)
            self._queue.note(task.function, result.seconds)
            worker.start_first(now)
            task.finish(result)
        if reply.worn or (worker.retiring and not worker.outstanding):
            self._discard(worker)
            return False
        return True

    def _enforce(self, now: float) -> None:
        """Acts on all that is overdue."""
        for worker in list(self._workers.values()):
            if now >= worker.deadline:
                self._time_out(worker, now)
            elif len(worker.outstanding) > 1 and now >= worker.started + _STUCK_S:
                # It would still run the others in the end, so it is kept for the first of them only.
                first, *others = worker.outstanding
                worker.outstanding.clear()
                worker.outstanding.append(first)
                worker.retiring = True
                self._queue.put_back(others)
        for worker in [worker for worker in self._dying.values() if now >= worker.deadline]:
            worker.kill()
            self._finish_dying(worker, None, 0)
        if now >= self._server_deadline:
            self._lose_server(f"the fork server did nothing for {_START_S:g} s")

    def _time_out(self, worker: WorkerHandle, now: float) -> None:
        """At the deadline: reads what may have been waiting for us all the while, then kills."""
        self._drain(worker)
        if worker.fileno() not in self._workers or now < worker.deadline:
            return
        if not worker.ready:
            self._misfire()
            self._discard(worker)
            return
        task = worker.outstanding.popleft()
        self._discard(worker)
        task.finish(timed_out(task, now - worker.started))

    def _discard(self, worker: WorkerHandle) -> None:
        """Kills a worker; what it was handed goes back to the front of the queue."""
        self._forget(worker)
        worker.kill()
        worker.close()
        self._queue.put_back(worker.outstanding)

    def _forget(self, worker: WorkerHandle) -> None:
        del self._workers[worker.fileno()]
        self._epoll.unregister(worker.fileno())

    def _bury(self, worker: WorkerHandle) -> None:
        """Takes leave of a worker that hung up or broke the protocol, until it is known how it died."""
        self._forget(worker)
        if not worker.outstanding:
            self._misfire()
        if worker.fault:
            worker.kill()
        victims = [worker.outstanding.popleft()] if worker.outstanding else []
        self._queue.put_back(worker.outstanding)
        worker.outstanding.clear()
        worker.outstanding.extend(victims)
        worker.deadline = time.monotonic() + _GRACE_S
        self._dying[worker.number] = worker

    def _finish_dying(self, worker: WorkerHandle, exit_code: int | None, grown_kb: int) -> None:
        del self._dying[worker.number]
        worker.close()
        seconds = time.monotonic() - worker.started
        for task in worker.outstanding:
            if worker.fault:
                task.finish(TaskResult(None, Failure.CRASH, worker.fault, seconds))
            else:
                task.finish(judge_death(exit_code, grown_kb, self._settings.memory_mb, seconds))

    # The fork server.

    def _recruit(self) -> None:
        """Forks as many workers as there is use for, and replaces those that were lost."""
        now = time.monotonic()
        workers = self._workers.values()
        in_use = len(self._queue) + sum(1 for worker in workers if worker.outstanding)
        self._wanted = max(self._wanted, min(self._settings.size, in_use))
        missing = self._wanted - self._forking - sum(1 for worker in workers if not worker.retiring)
        if missing <= 0 or now < self._fork_after:
            return
        try:
            server = self._server or self._start_server()
            for _ in range(missing):
                server.fork(self._numbers)
                self._numbers += 1
                self._forking += 1
        except BlockingIOError:  # it has not read yet: the rest is asked for at a later turn
            pass
        except (OSError, ValueError) as error:
            self._lose_server(f"no fork server: {type(error).__name__}: {error}")
        self._note_debt()

    def _start_server(self) -> ForkServer:
        self._server = server = ForkServer(self._settings.imports, self._settings.memory_mb)
        self._imported = set(self._settings.imports)
        self._server_ready = False
        for descriptor in server.descriptors:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._prepare()
        return server

    def _prepare(self) -> None:
        """Has the server import the modules of tasks, once, and replaces the workers that lack them.

        Left to the workers, an import would be on the time of a task, and done again after each kill.
        """
        lacking = self._queue.modules - self._imported
        if not lacking or not self._server:
            return
        try:
            for module in lacking:
                self._server.import_module(module)
                self._imported.add(module)
        except OSError:  # its queue is full, or it is gone, which shows when it is read from
            return
        for worker in list(self._workers.values()):
            worker.retiring = True
            if worker.ready and not worker.outstanding:
                self._discard(worker)

    def _note_debt(self) -> None:
        """Sets the clock of the server, when there is something that it owes us."""
        owes = self._server is not None and (self._forking > 0 or not self._server_ready)
        self._server_deadline = time.monotonic() + _START_S if owes else math.inf

    def _misfire(self) -> None:
        """Something ended before it did anything: waits before the next try, longer each time."""
        self._fork_after = time.monotonic() + _PAUSE_S * 2**self._misfires
        self._misfires += 1
        if self._misfires < _MAX_MISFIRES:
            return
        self._misfires -= 1
        if not any(worker.ready for worker in self._workers.values()):
            said = self._server.stderr() if self._server else ""
            self._give_up(f"{_MAX_MISFIRES} workers in a row ended before they did anything. {said}".strip())

    def _give_up(self, why: str) -> None:
        """Fails what waits. The next task makes a new attempt."""
        self._misfires = self._wanted = 0
        self._fork_after = 0.0
        self._queue.fail_all(why)

    def _hear_server(self) -> None:
        while self._server:
            try:
                message = self._server.hear()
            except BlockingIOError:
                if self._server.has_ended():
                    self._lose_server("")
                return
            except OSError as error:
                message = Message("failed", [f"lost the fork server: {error}"], [])
            if message is None:
                self._lose_server("")
            else:
                self._obey_server(message)

    def _obey_server(self, message: Message) -> None:
        if message.kind == "ready":
            self._server_ready = True
        elif message.kind == "worker":
            self._welcome(message.details[0], message.descriptors)
        elif message.kind == "exit":
            self._note_exit(*message.details)
        elif message.kind == "unforked":
            self._forking -= 1
            self._misfire()
        elif message.kind == "failed":
            self._lose_server(message.details[0])
        self._note_debt()

    def _note_exit(self, number: int, exit_code: int, grown_kb: int) -> None:
        """The report can overtake the end of the connection: what the worker wrote before is read first."""
        for worker in [worker for worker in self._workers.values() if worker.number == number]:
            self._drain(worker)
            if worker.fileno() in self._workers:  # a child of its own holds the connection open
                self._bury(worker)
        if number in self._dying:
            self._finish_dying(self._dying[number], exit_code, grown_kb)

    def _lose_server(self, why: str) -> None:
        """Its workers die with it. What they ran is tried once more, unless it never was ready."""
        victims = [task for worker in self._dying.values() for task in worker.outstanding]
        for worker in self._dying.values():
            worker.close()
        self._dying.clear()
        for worker in list(self._workers.values()):
            if worker.outstanding:
                victims.append(worker.outstanding.popleft())
            self._discard(worker)
        never_ready = not self._server_ready
        if self._server:
            for descriptor in self._server.descriptors:
                self._epoll.unregister(descriptor)
            ended = self._server.close(at_once=never_ready)
            why = why or ended
        self._server, self._server_ready, self._forking = None, False, 0
        self._note_debt()
        for task in victims:
            task.losses += 1
            if task.losses > 1:
                fail(task, why)
        self._queue.put_back([task for task in victims if task.losses <= 1])
        if never_ready:
            self._give_up(why)
        else:
            self._misfire()
