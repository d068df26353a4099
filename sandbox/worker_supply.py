"""Where workers come from: a fork server, started when one is needed, and how long to go on asking it."""

from __future__ import annotations

import contextlib
import math
import select
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from proctor.sandbox.worker_launch import ForkServer, Message, ServerEnd

START_S = 120.0  # for a server to import or a worker to be forked, on a machine that is busy
_MAX_MISFIRES = 5  # servers or workers in a row that ended before they did anything
_PAUSE_S = 0.1  # after the first of those; it doubles


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a pool was asked for."""

    size: int
    imports: tuple[str, ...]
    memory_mb: int


class ServerLostError(ConnectionError):
    """The fork server is gone, and all its workers with it. The text says how it ended."""


class WorkerSupply:
    """Orders workers. Does not block, but for moments when a server is started or ended."""

    def __init__(self, settings: PoolSettings, epoll: select.epoll) -> None:
        self._settings = settings
        self._epoll = epoll
        self._server: ForkServer | None = None
        self.is_ready = False  # the server has imported what it was started with
        self.due = math.inf  # monotonic time by which it must have done what it owes us
        self._imported: set[str] = set()  # modules that it has been told to import
        self.ordered = 0  # workers asked for that have not arrived
        self._number = 0  # of the next worker
        self._misfires = 0
        self._pause_until = 0.0

    def owns(self, descriptor: int) -> bool:
        return self._server is not None and descriptor in self._server.descriptors

    def next_step(self, now: float) -> float:
        """When to come back though nothing was heard."""
        return min(self.due, self._pause_until) if self._pause_until > now else self.due

    def order(self, count: int, modules: AbstractSet[str]) -> None:
        """Asks for so many more workers, which have these modules imported. Raises ServerLostError."""
        if count <= 0 or time.monotonic() < self._pause_until:
            return
        try:
            server = self._server or self._start()
            self.prepare(modules)
            for _ in range(count):
                server.fork(self._number)
                self._number += 1
                self.ordered += 1
        except BlockingIOError:
            pass  # it has not read yet: the rest is asked for when it answers
        except (OSError, ValueError) as error:
            raise ServerLostError(f"no fork server: {type(error).__name__}: {error}") from error
        self._note_debt()

    def prepare(self, modules: AbstractSet[str]) -> bool:
        """Has a running server import what it lacks; True where workers that it forked before lack something.

        Left to the workers, an import would be on the time of a task, and done again after each kill.
        """
        lacking = modules - self._imported
        if not lacking or not self._server:
            return False
        with contextlib.suppress(OSError):  # it has not read yet, or is gone: shows when it is read from
            for module in sorted(lacking):
                self._server.import_module(module)
                self._imported.add(module)
            return True
        return False

    def hear(self) -> Iterator[Message]:
        """What the server says: "worker" with its number and descriptors, "exit" with number, code, growth.

        Raises ServerLostError.
        """
        while self._server:
            try:
                message = self._server.hear()
            except BlockingIOError:
                if self._server.has_ended():
                    raise ServerLostError("") from None
                return
            except OSError as error:
                raise ServerLostError(f"the fork server was lost: {error}") from error
            if message is None:
                raise ServerLostError("")
            if message.kind == "failed":
                raise ServerLostError(f"the fork server failed: {message.details[0]}")
            if message.kind == "ready":
                self.is_ready = True
            if message.kind in ("worker", "unforked"):
                self.ordered -= 1
            self._note_debt()
            yield message

    def enforce(self, now: float) -> None:
        """Raises ServerLostError where the server has not done what it owes."""
        if now >= self.due:
            raise ServerLostError(f"the fork server did nothing for {START_S:g} s")

    def misfire(self, why: str) -> str:
        """Something ended before it did anything: waits before the next try, longer each time.

        Returns the reason to give up, once there is one.
        """
        self._pause_until = time.monotonic() + _PAUSE_S * 2**self._misfires
        self._misfires = min(self._misfires + 1, _MAX_MISFIRES)
        if self._misfires < _MAX_MISFIRES:
            return ""
        said = self._server.stderr() if self._server else ""
        return f"{_MAX_MISFIRES} failures in a row, at last: {why}. {said}".strip()

    def forgive(self) -> None:
        """Something worked."""
        self._misfires, self._pause_until = 0, 0.0

    def close(self) -> ServerEnd | None:
        """Ends the server; None where there is none."""
        server, self._server = self._server, None
        was_ready, self.is_ready, self.ordered = self.is_ready, False, 0
        self._note_debt()
        if not server:
            return None
        for descriptor in server.descriptors:
            self._epoll.unregister(descriptor)
        return server.close(at_once=not was_ready)

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's server."""
        if self._server:
            self._server.abandon()

    def _start(self) -> ForkServer:
        self._server = server = ForkServer(self._settings.imports, self._settings.memory_mb)
        self._imported = set(self._settings.imports)
        for descriptor in server.descriptors:
            self._epoll.register(descriptor, select.EPOLLIN)
        return server

    def _note_debt(self) -> None:
        owes = self._server is not None and (self.ordered > 0 or not self.is_ready)
        self.due = time.monotonic() + START_S if owes else math.inf
