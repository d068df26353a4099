"""The program that runs programs: a small event loop between a host and the slots of one jail.

    python -I -S runner.py DESCRIPTOR ROOT      DESCRIPTOR: a socket to the host, or - for standard input and
                                                output; ROOT: the folder in which `proctor` lies

It is started by exec, with an empty environment: the host's memory, environment and __main__ are not here.
Slots are forked from the zygote, another exec, and not from this process, which sees payloads.
It ends when the host closes the link, or is gone. Standard library only: containers run it as well.
"""

from __future__ import annotations

import math
import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any

if __name__ == "__main__":
    sys.path.append(sys.argv[2])

from proctor.sandbox import wire
from proctor.sandbox.core import Limits, PoolError
from proctor.sandbox.local.jobs import Job, result_frame
from proctor.sandbox.local.orders import pack_program
from proctor.sandbox.local.running import Ask
from proctor.sandbox.local.setting import Setting
from proctor.sandbox.local.supervisor import Supervisor

_PIECE = 1 << 18
_GATHER_S = 0.03  # each piece that comes wakes the host, on a processor that programs could have
_IDLE_S = 1.0  # how often an idle runner looks whether its parent is still there


class Runner:
    """Host on one side, supervisor of the slots on the other."""

    def __init__(self, read_fd: int, write_fd: int, package_root: str) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self._package_root = package_root
        self._parent = os.getppid()
        self._decoder = wire.Decoder()
        self._unsent = bytearray()
        self._due = 0.0  # when what is unsent has been held back for long enough
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._supervisor: Supervisor | None = None
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self.watch(read_fd, self._read_host)

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Calls `handler` whenever the descriptor can be read."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._handlers[descriptor] = handler

    def unwatch(self, descriptor: int) -> None:
        if self._handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def serve(self) -> None:
        """Until the host is gone."""
        while os.getppid() == self._parent:
            for descriptor, event in self._epoll.poll(self._seconds_to_wait()):
                if event & select.EPOLLOUT:
                    self._flush()
                if event & ~select.EPOLLOUT and descriptor in self._handlers:
                    self._handlers[descriptor]()
            if self._supervisor is not None:
                now = time.monotonic()
                self._supervisor.check(now)
                if self._unsent and (now >= self._due or not self._supervisor.has_queue):
                    self._flush()

    def _seconds_to_wait(self) -> float:
        most = min(_IDLE_S, max(0.0, self._due - time.monotonic())) if self._unsent else _IDLE_S
        return most if self._supervisor is None else self._supervisor.seconds_to_next_check(most)

    def close(self) -> None:
        if self._supervisor is not None:
            self._supervisor.close()

    def _read_host(self) -> None:
        try:
            data = os.read(self._read_fd, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise EOFError("the host is gone")
        for header, block in self._decoder.feed(data):
            self._handle(header, block)

    def _handle(self, header: dict[str, Any], block: bytes) -> None:
        supervisor = self._supervisor
        if header["op"] == "setup":
            self._set_up(header)
        elif supervisor is None:
            self.send(wire.pack({"id": header["id"], "error": "the runner was not set up"}))
        elif header["op"] == "import":
            self._answer(header["id"], lambda: supervisor.add_modules(header["modules"]))
        else:
            supervisor.submit(_as_job(header, block))

    def _set_up(self, header: dict[str, Any]) -> None:
        setting = Setting.from_dict(header["setting"])
        supervisor = self._supervisor = Supervisor(
            setting, header["slots"], header["processors"], self._package_root, self
        )
        self._answer(header["id"], lambda: {"group": supervisor.start()})

    def _answer(self, identity: int, action: Callable[[], dict[str, Any] | None]) -> None:
        try:
            self.send(wire.pack({"id": identity, **(action() or {})}))
        except PoolError as error:
            self.send(wire.pack({"id": identity, "error": str(error)}))

    def finish(self, job: Job) -> None:
        """Sends a job's result to the host; while others wait for a slot, together with those that follow."""
        if not self._unsent:
            self._due = time.monotonic() + _GATHER_S
        self._unsent += result_frame(job)

    def refuse(self, job: Job, reason: str) -> None:
        """Tells the host that there is nothing to run its job on."""
        self.send(wire.pack({"id": job.identity, "error": reason}))

    def send(self, frame: bytes) -> None:
        self._unsent += frame
        self._flush()

    def _flush(self) -> None:
        """Writes as much as the link takes; registers for more only while something is left."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self._write_fd, self._unsent)]
        except BlockingIOError:
            self._due = math.inf  # the host is slow to read: epoll says when it has
        self._want_to_write(bool(self._unsent))

    def _want_to_write(self, wanted: bool) -> None:
        if self._write_fd == self._read_fd:
            self._epoll.modify(self._read_fd, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))
        elif wanted and self._write_fd not in self._handlers:
            self._handlers[self._write_fd] = lambda: None
            self._epoll.register(self._write_fd, select.EPOLLOUT)
        elif not wanted:
            self.unwatch(self._write_fd)


def _as_job(header: dict[str, Any], block: bytes) -> Job:
    """One or two programs; their blocks lie one behind the other, as long as the headers' sizes say."""
    asks = []
    start = 0
    for program in header["programs"]:
        piece = block[start : start + program["size"]]
        start += program["size"]
        asks.append(Ask(program, pack_program(program, piece), Limits(**program["limits"]), piece))
    return Job(header["id"], asks[-1], asks[0] if len(asks) > 1 else None)


def main(link: str, package_root: str) -> None:
    read_fd, write_fd = (0, 1) if link == "-" else (int(link), int(link))
    runner = Runner(read_fd, write_fd, package_root)
    try:
        runner.serve()
    except (EOFError, BrokenPipeError, ConnectionError):
        pass  # the host is gone, and nobody is left to tell
    finally:
        runner.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
