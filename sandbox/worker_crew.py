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
import signal
import socket
import time

from proctor.sandbox.worker_handle import WorkerHandle
from proctor.sandbox.worker_queue import TaskQueue, fail
from proctor.sandbox.worker_supply import START_S, PoolSettings, ServerLostError, WorkerSupply
from proctor.sandbox.worker_task import Failure, TaskResult, judge_death, judge_reply, timed_out
from proctor.sandbox.worker_wire import Reply, ReplyKind

_GRACE_S = 2.0  # between the end of a worker's connection and the report of its death
_STUCK_S = 0.05  # a task that runs this long gives back the ones that wait behind it
_MAX_READS = 64  # enough for the longest reply


class Crew:
    """Runs what is in the queue. For one thread; `turn` is its whole life."""

    def __init__(self, settings: PoolSettings, queue: TaskQueue, wakeup: int) -> None:
        self._settings = settings
        self._queue = queue
        self._epoll = select.epoll()
        self._epoll.register(wakeup, select.EPOLLIN)
        self._supply = WorkerSupply(settings, self._epoll)
        self._workers: dict[int, WorkerHandle] = {}  # by descriptor
        self._dying: dict[int, WorkerHandle] = {}  # by number: connection ended, death not yet reported
        self._wanted = 0  # workers to keep: the most that were ever of use at once

    def turn(self) -> None:
        """Hands out what waits in the queue, waits until something happens or is due, and deals with it."""
        try:
            self._hand_out()
            self._supply.order(self._missing(), self._queue.modules)
            for descriptor, _ in self._epoll.poll(self._patience()):
                if descriptor in self._workers:
                    self._hear_worker(self._workers[descriptor])
                elif self._supply.owns(descriptor):
                    self._hear_server()
            self._enforce(time.monotonic())
        except ServerLostError as error:
            self._lose_server(str(error))

    def close(self, why: str) -> None:
        """Kills everything, and fails what was running or waiting."""
        try:
            for worker in (*self._workers.values(), *self._dying.values()):
                self._queue.put_back(worker.outstanding)
                worker.outstanding.clear()
            for worker in list(self._workers.values()):
                self._discard(worker)
            for worker in self._dying.values():
                worker.close()
            self._supply.close()
            self._epoll.close()
        finally:
            self._queue.fail_all(why)

    def abandon(self) -> None:
        """In a forked child: lets go of what was inherited; the parent's server and workers go on."""
        for worker in (*self._workers.values(), *self._dying.values()):
            worker.close()
        self._supply.abandon()
        self._epoll.close()

    def _hand_out(self) -> None:
        """The idlest worker first, an even share to each."""
        if self._supply.prepare(self._queue.modules):
            for worker in list(self._workers.values()):
                self._retire(worker)
        usable = [worker for worker in self._workers.values() if worker.ready and not worker.retiring]
        share = math.ceil(len(self._queue) / max(1, len(usable)))
        for worker in sorted(usable, key=lambda worker: len(worker.outstanding)):
            if tasks := self._queue.take(worker.outstanding, share):
                worker.hand(tasks, time.monotonic())
                self._watch(worker)

    def _missing(self) -> int:
        """How many more workers there is use for, those that were lost among them."""
        workers = self._workers.values()
        in_use = len(self._queue) + sum(1 for worker in workers if worker.outstanding)
        self._wanted = max(self._wanted, min(self._settings.size, in_use))
        return self._wanted - self._supply.ordered - sum(1 for worker in workers if not worker.retiring)

    def _patience(self) -> float:
        """Seconds until something is due; -1 is for ever."""
        now = time.monotonic()
        due = self._supply.next_step(now)
        for worker in (*self._workers.values(), *self._dying.values()):
            due = min(due, worker.deadline)
            if len(worker.outstanding) > 1:
                due = min(due, worker.started + _STUCK_S)
        # epoll counts whole milliseconds, rounded up: it does not wake before its time.
        return -1.0 if due == math.inf else max(0.0, due - now)

    def _watch(self, worker: WorkerHandle) -> None:
        """Asks epoll for what this worker makes us wait for."""
        writing = select.EPOLLOUT if worker.has_unsent else 0
        self._epoll.modify(worker.fileno(), select.EPOLLIN | writing)

    # Workers: their arrival, their answers, their end.

    def _welcome(self, number: int, descriptors: list[int]) -> None:
        if len(descriptors) != 2:
            for descriptor in descriptors:
                os.close(descriptor)
            self._misfire("this process has no file descriptors left")
            return
        connection, pidfd = socket.socket(fileno=descriptors[0]), descriptors[1]
        worker = WorkerHandle(number, connection, pidfd, deadline=time.monotonic() + START_S)
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
            self._supply.forgive()
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
        self._supply.enforce(now)

    def _time_out(self, worker: WorkerHandle, now: float) -> None:
        """At the deadline: reads what may have been waiting for us all the while, then kills."""
        self._drain(worker)
        if worker.fileno() not in self._workers or now < worker.deadline:
            return
        if not worker.ready:
            self._discard(worker)
            self._misfire(f"a worker was not ready after {START_S:g} s")
            return
        task = worker.outstanding.popleft()
        self._discard(worker)
        task.finish(timed_out(task, now - worker.started))

    def _retire(self, worker: WorkerHandle) -> None:
        worker.retiring = True
        if worker.ready and not worker.outstanding:
            self._discard(worker)

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
        if worker.fault:
            worker.kill()
        victims = [worker.outstanding.popleft()] if worker.outstanding else []
        self._queue.put_back(worker.outstanding)
        worker.outstanding.clear()
        worker.outstanding.extend(victims)
        worker.deadline = time.monotonic() + _GRACE_S
        self._dying[worker.number] = worker
        if not worker.ready:
            self._misfire("a worker ended before it was ready")
        elif not victims:
            self._misfire("a worker ended while it was idle")

    def _finish_dying(self, worker: WorkerHandle, exit_code: int | None, grown_kb: int) -> None:
        del self._dying[worker.number]
        worker.close()
        seconds = time.monotonic() - worker.started
        for task in worker.outstanding:
            result = judge_death(exit_code, grown_kb, self._settings.memory_mb, seconds)
            if worker.fault:
                task.finish(TaskResult(None, Failure.CRASH, worker.fault, seconds))
            elif exit_code == -signal.SIGKILL and result.failure is Failure.CRASH and not task.losses:
                # Not ours, and not its own memory: someone's kill, which says nothing about the task.
                task.losses += 1
                self._queue.put_back([task])
            else:
                task.finish(result)

    # The fork server.

    def _hear_server(self) -> None:
        for message in self._supply.hear():
            if message.kind == "worker":
                self._welcome(message.details[0], message.descriptors)
            elif message.kind == "exit":
                self._note_exit(*message.details)
            elif message.kind == "unforked":
                self._misfire(message.details[0])

    def _note_exit(self, number: int, exit_code: int, grown_kb: int) -> None:
        """The report can overtake the end of the connection: what the worker wrote before is read first."""
        for worker in [worker for worker in self._workers.values() if worker.number == number]:
            self._drain(worker)
            if worker.fileno() in self._workers:  # a child of its own holds the connection open
                self._bury(worker)
        if number in self._dying:
            self._finish_dying(self._dying[number], exit_code, grown_kb)

    def _lose_server(self, why: str) -> None:
        """Its workers die with it; what they ran is tried once more, on another one."""
        victims = [task for worker in self._dying.values() for task in worker.outstanding]
        for worker in self._dying.values():
            worker.close()
        self._dying.clear()
        for worker in list(self._workers.values()):
            if worker.outstanding:
                victims.append(worker.outstanding.popleft())
            self._discard(worker)
        never_ready = not self._supply.is_ready
        end = self._supply.close()
        why = why or (end.text if end else "")
        for task in victims:
            task.losses += 1
            if task.losses > 1:
                fail(task, why)
        self._queue.put_back([task for task in victims if task.losses <= 1])
        if never_ready and not (end and end.was_killed):
            self._give_up(why)
        else:
            self._misfire(why)

    def _misfire(self, why: str) -> None:
        enough = self._supply.misfire(why)
        if enough and not any(worker.ready for worker in self._workers.values()):
            self._give_up(enough)

    def _give_up(self, why: str) -> None:
        """Fails what waits. The next task makes a new attempt."""
        self._supply.forgive()
        self._wanted = 0
        self._queue.fail_all(why)
