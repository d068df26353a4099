"""One program in one slot, as the runner sees it: what goes in, what comes out, and what it came to."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proctor.sandbox.channel import COLLECTED, ENDED, LEAVES, MAX_REPORT, RAISED, READY, RECORD, REPORT
from proctor.sandbox.core import Limits, Outcome
from proctor.sandbox.local.cgroup import Usage
from proctor.sandbox.local.orders import Answer, pack_order, unpack_answer

_PIECE = 1 << 16
_STDERR_DROPPED = (
    64  # times the output limit: what may be poured into stderr and dropped before that ends the run
)


@dataclass(slots=True)
class Ask:
    """A program as it came from the host: header and block are passed on to the jail as they are."""

    header: dict[str, Any]
    frame: bytes  # the encoded order for the jailed process
    limits: Limits
    block: bytes = b""  # what lies behind the header in `frame`


@dataclass(slots=True)
class Run:
    """A program under way. All its descriptors are non-blocking; nothing is kept beyond its bound."""

    ask: Ask
    link: socket.socket
    stdout_fd: int
    stderr_fd: int
    started: float = field(default_factory=time.monotonic)
    unsent: deque[tuple[memoryview, socket.socket | None]] = field(default_factory=deque)
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    stderr_seen: int = 0
    records: bytearray = field(default_factory=bytearray)
    received: int = 0
    is_ready: bool = False  # the jail was closed around it and its own code began
    report: bytes | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    ended: dict[str, Any] | None = None  # the command's own end, told by the jail's number 1
    raised: dict[str, Any] | None = None
    stopped_for: Outcome | None = None
    stopped_at: float = 0.0
    grace_s: float = 0.0  # what the deadline was put off because the machine was busy
    answer: Answer | None = None
    cpu_s: float = 0.0
    earlier_cpu_s: float = 0.0  # of a kept examiner, in the sittings before; where only samples tell
    earlier_delay_s: float | None = 0.0  # for want of a processor, likewise; None: to be sampled
    memory_mb: float = 0.0  # most that was seen, of all its processes together
    kills: int = 0  # of its processes by the kernel, at its own limit of memory
    victims: int = 0  # of its processes, killed by the kernel for want of memory elsewhere
    refusals: int = 0  # forks beyond the limit
    finished: float = 0.0
    decided: bool = False  # the exam was over before this process ended
    sittings: int = 0  # of an examiner
    is_leaving: bool = False  # an examiner that has said so
    is_closed: bool = False  # the jailed process has closed its end of the link

    @property
    def descriptors(self) -> tuple[int, int, int]:
        return self.link.fileno(), self.stdout_fd, self.stderr_fd

    @property
    def last_words(self) -> str:
        return bytes(self.stderr[-500:]).decode(errors="replace")

    @property
    def was_killed(self) -> bool:
        """It ended by SIGKILL, which is how the runner ends a run."""
        return self.answer is not None and as_signal(self.answer.status) == (None, signal.SIGKILL)

    @property
    def is_out_of_time(self) -> bool:
        """Of this sitting's own, which another try would run out of as well."""
        return self.stopped_for in (Outcome.CPU_LIMIT, Outcome.WALL_LIMIT)

    @property
    def deadline(self) -> float:
        return self.started + self.ask.limits.wall_s + self.grace_s

    def begin_sitting(self, ask: Ask) -> None:
        """An examiner that was kept starts anew, for another candidate."""
        self.ask = ask
        self.cpu_s = self.memory_mb = self.grace_s = 0.0
        self.earlier_delay_s = None
        self.started = time.monotonic()
        self.stdout, self.stderr, self.stderr_seen = bytearray(), bytearray(), 0
        self.report, self.received, self.decided = None, 0, False

    def send(self, data: bytes, peer: socket.socket | None = None) -> None:
        """Queues bytes for the jailed process, with the socket to its candidate beside the first of them."""
        self.unsent.append((memoryview(data), peer))
        self.send_more()

    def send_more(self) -> None:
        """Writes as much as the socket takes."""
        while self.unsent:
            data, peer = self.unsent[0]
            try:
                count = (
                    self.link.send(data)
                    if peer is None
                    else socket.send_fds(self.link, [data], [peer.fileno()])
                )
            except BlockingIOError:
                return
            except OSError:  # the process has ended or closed its end: it will show in its own result
                count = len(data)
            if peer is not None:
                peer.close()
            self.unsent.popleft()
            if count < len(data):
                self.unsent.appendleft((data[count:], None))

    def drain(self) -> Outcome | None:
        """Reads what there is. OUTPUT_LIMIT when the program has sent more than it may."""
        most = self.ask.limits.output_bytes
        room = most + 1 - len(self.stdout)
        self.stdout += _read_available(self.stdout_fd, room)
        over = len(self.stdout) > most
        for piece in _pieces(self.stderr_fd, (_STDERR_DROPPED + 1) * most - self.stderr_seen):
            self.stderr_seen += len(piece)
            self.stderr += piece[: most - len(self.stderr)]
        self._drain_records()
        if over or self.stderr_seen > _STDERR_DROPPED * most or self.received > 2 * MAX_REPORT:
            return Outcome.OUTPUT_LIMIT
        return None

    def _drain_records(self) -> None:
        while self.received <= 2 * MAX_REPORT:
            try:
                piece = self.link.recv(_PIECE)
            except OSError:  # nothing there, or reset
                break
            if not piece:
                self.is_closed = True
                break
            self.received += len(piece)
            self.records += piece
        self._split_records()

    def _split_records(self) -> None:
        start = 0
        while len(self.records) - start >= RECORD.size:
            kind, size = RECORD.unpack_from(self.records, start)
            if size > MAX_REPORT or len(self.records) < start + RECORD.size + size:
                break
            self._note(kind, bytes(self.records[start + RECORD.size : start + RECORD.size + size]))
            start += RECORD.size + size
        del self.records[:start]

    def _note(self, kind: bytes, data: bytes) -> None:
        """Takes one record. It comes from the jail: whatever it says, it says of this run alone.

        How a command ended is told by number 1 of its jail, which alone holds the link. A function holds it
        itself, and how it ended is told by its process's end.
        """
        is_command = bool(self.ask.header["argv"])
        if kind == READY:
            self.is_ready = True
        elif kind == REPORT and self.report is None:
            self.report = data
        elif kind == LEAVES:
            self.is_leaving = True
        elif kind == COLLECTED and is_command and data and data[0] < len(self.ask.header["collect"]):
            self.files[self.ask.header["collect"][data[0]]] = data[1:]
        elif kind == ENDED and is_command:
            self.ended = _as_note(data)
        elif kind == RAISED and not is_command:
            self.raised = _as_note(data)

    def take_answer(self, message: bytes) -> None:
        self.answer = unpack_answer(message)
        self.finished = time.monotonic()
        self.cpu_s = max(self.cpu_s, self.answer.cpu_s)
        self.memory_mb = max(self.memory_mb, self.answer.peak_kib / 1024)

    def take_usage(self, usage: Usage) -> None:
        """What the control group has counted."""
        self.cpu_s = max(self.cpu_s, usage.cpu_s)
        self.memory_mb = max(self.memory_mb, usage.peak_mb)
        self.kills, self.victims, self.refusals = usage.kills, usage.victims, usage.refusals

    def close(self) -> None:
        self.link.close()
        for _, peer in self.unsent:
            if peer is not None:
                peer.close()
        os.close(self.stdout_fd)
        os.close(self.stderr_fd)


def start(ask: Ask, control: socket.socket, peer: socket.socket | None, *, is_counted: bool) -> Run:
    """Hands a program to a slot. Raises OSError where the slot is gone."""
    ours, theirs = socket.socketpair()
    stdout_read, stdout_write = os.pipe()
    stderr_read, stderr_write = os.pipe()
    for descriptor in (stdout_read, stderr_read):
        os.set_blocking(descriptor, False)
    ours.setblocking(False)
    run = Run(ask, ours, stdout_read, stderr_read)
    run.send(ask.frame)
    # In the order in which the slot receives them as 1, 2, 3 and 4.
    descriptors = [stdout_write, stderr_write, theirs.fileno()]
    if peer is not None:
        descriptors.append(peer.fileno())
    order = pack_order(ask.limits, is_command=bool(ask.header["argv"]), is_counted=is_counted)
    try:
        socket.send_fds(control, [order], descriptors)
    except OSError:
        run.close()
        raise
    finally:
        theirs.close()
        os.close(stdout_write)
        os.close(stderr_write)
    return run


def _as_note(data: bytes) -> dict[str, Any] | None:
    """A JSON object, if it is one."""
    try:
        note = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return note if isinstance(note, dict) else None


def _read_available(descriptor: int, most: int) -> bytes:
    return b"".join(_pieces(descriptor, most))


def _pieces(descriptor: int, most: int) -> Iterator[bytes]:
    """What can be read without waiting, up to `most` bytes in all."""
    while most > 0:
        try:
            piece = os.read(descriptor, min(most, _PIECE))
        except BlockingIOError:
            return
        if not piece:
            return
        most -= len(piece)
        yield piece


def as_signal(status: int) -> tuple[int | None, int | None]:
    """(exit code, signal) of a wait status; one of them is None."""
    code = os.waitstatus_to_exitcode(status)
    return (code, None) if code >= 0 else (None, -code)
