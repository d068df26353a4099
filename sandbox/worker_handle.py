"""The caller's end of one worker process: its connection, its pidfd, and what it has been given to do."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from proctor.sandbox.worker_task import Task
from proctor.sandbox.worker_wire import MAX_REPLY_BYTES, FrameReader, Reply, WireError, decode_reply

_MAX_READ = 1 << 18


@dataclass(frozen=True, slots=True)
class Received:
    """What one read of a worker's connection gave."""

    replies: list[Reply]
    anything: bool = True  # False: there was nothing to read
    ended: bool = False  # the connection is at its end
    fault: str = ""  # after these replies the worker broke the protocol


class WorkerHandle:
    """One worker. Nothing here blocks, and nothing here relies on the worker to do its part."""

    def __init__(self, number: int, connection: socket.socket, pidfd: int, *, deadline: float) -> None:
        self.number = number
        self.outstanding: deque[Task] = deque()  # handed out, unanswered; the first of them is running
        self.started = 0.0  # monotonic time at which the first of them started
        self.deadline = (
            deadline  # of the first of them; until it is ready, of that; then, of the report of its death
        )
        self.ready = False
        self.retiring = False  # gets no further task, and is killed when it has answered what it has
        self.fault = ""  # how it broke the protocol
        self._connection = connection
        self._pidfd = pidfd
        self._reader = FrameReader(MAX_REPLY_BYTES)
        self._unsent = bytearray()
        connection.setblocking(False)

    def fileno(self) -> int:
        return self._connection.fileno()

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def hand(self, tasks: Sequence[Task], now: float) -> None:
        was_idle = not self.outstanding
        self.outstanding.extend(tasks)
        self.send(b"".join(task.frame for task in tasks))
        if was_idle:
            self.start_first(now)

    def start_first(self, now: float) -> None:
        """Sets the clock of the task that has just become the running one."""
        self.started = now
        self.deadline = now + self.outstanding[0].timeout_s if self.outstanding else math.inf

    def send(self, frames: bytes = b"") -> None:
        """Writes as much as the connection takes. A dead worker is noticed when it is read from."""
        self._unsent += frames
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            sent = self._connection.send(self._unsent)
            del self._unsent[:sent]

    def receive(self) -> Received:
        try:
            data = self._connection.recv(_MAX_READ)
        except BlockingIOError:
            return Received([], anything=False)
        except ConnectionResetError:
            data = b""
        replies: list[Reply] = []
        try:
            for body in self._reader.feed(data):
                replies.append(decode_reply(body))  # one by one: those before a fault count
        except WireError as error:
            return Received(replies, fault=str(error))
        return Received(replies, ended=not data)

    def kill(self) -> None:
        """SIGKILL to that very process: a pidfd cannot come to mean another one that got its number."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        self._connection.close()
        os.close(self._pidfd)
