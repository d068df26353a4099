"""What an `entry` function holds beside its payload: its way to report, and its sockets to the other side.

    def examine(payload: bytes, channel: Channel) -> None:      # the examiner of an exam
        for sitting in channel.sittings():                      # one, or many where Program.keep allows it
            ... talk over sitting.peer ...
            channel.report(verdict)                             # ends this sitting

    def sit(payload: bytes, channel: Channel) -> None:          # the candidate
        ... talk over channel.peer ...

The report travels on a socket that only this process and the host's side hold. A candidate's code runs in
the process of its `entry` and can write on that socket what it likes: its own report is worth nothing, and
nothing it writes reaches the examiner's. Standard library only: runs inside the jail.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

RECORD = struct.Struct("<cI")  # kind, length: what a jailed process sends, one record after the other
READY, REPORT, RAISED, COLLECTED, ENDED, LEAVES = b"Y", b"R", b"X", b"F", b"E", b"L"
MAX_REPORT = 32 << 20  # what of a run's records the host's side keeps; more is cut
SITTING = struct.Struct("<?I")  # comes beside each peer: is the payload new, and its size


@dataclass(frozen=True, slots=True)
class Sitting:
    """One candidate before an examiner."""

    payload: bytes  # of this exam's examiner Program
    peer: socket.socket  # stream socket to the candidate; at its end of file the candidate is gone


class Rehearsal(NamedTuple):
    """What the module of an `entry` may offer, as `REHEARSAL`: a typical submission.

    A slot runs it once, to see which memory its submissions write to.
    """

    entry: str  # "package.module:function"
    payload: bytes
    requests: bytes  # what the peer sends; then it closes its end


class Channel:
    """One jailed process's socket to the host's side, and in an exam the one to its peer, by descriptor."""

    def __init__(self, link: int, peer: int | None, payload: bytes) -> None:
        self._link = link
        self._peer_number = peer
        self._peer: socket.socket | None = None
        self._payload = payload

    @property
    def peer(self) -> socket.socket:
        """The candidate's socket to its examiner. Raises RuntimeError outside an exam."""
        if self._peer_number is None:
            raise RuntimeError("this program was run alone, not as the candidate of an exam: it has no peer")
        if self._peer is None:
            self._peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, self._peer_number)
        return self._peer

    def report(self, data: bytes) -> None:
        """Sends the verdict; in an exam the first report of a sitting counts and ends it. Up to 32 MiB."""
        write_record(self._link, REPORT, data)

    def leave(self) -> None:
        """Said before a report: this process serves no further sitting, for the last one left traces in it."""
        write_record(self._link, LEAVES, b"")

    def sittings(self) -> Iterator[Sitting]:
        """Candidates to examine, as they come. A sitting's peer is closed when the next one is asked for."""
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, self._link)
        try:
            while (sitting := self._next_sitting(link)) is not None:
                yield sitting
                sitting.peer.close()
        finally:
            link.detach()

    def _next_sitting(self, link: socket.socket) -> Sitting | None:
        """None: there will be no more. Python's own recv_fds, but with less in between."""
        head, ancillary, _, _ = link.recvmsg(SITTING.size, socket.CMSG_SPACE(struct.calcsize("i")))
        if len(head) < SITTING.size or not ancillary:
            return None
        (number,) = struct.unpack("i", ancillary[0][2])
        is_new, size = SITTING.unpack(head)
        if is_new:
            self._payload = read_exactly(self._link, size)
        return Sitting(self._payload, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, number))


def write_record(descriptor: int, kind: bytes, data: bytes) -> None:
    """Raises OSError where the other end is gone."""
    view = memoryview(RECORD.pack(kind, len(data)) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_exactly(descriptor: int, size: int) -> bytes:
    """`size` bytes, however they come. Raises EOFError where the stream ends before."""
    data = os.read(descriptor, size)
    if len(data) == size:
        return data
    pieces = [data]
    missing = size - len(data)
    while missing:
        data = os.read(descriptor, missing)
        if not data:
            raise EOFError(f"{missing} of {size} bytes were missing when the other end closed")
        pieces.append(data)
        missing -= len(data)
    return b"".join(pieces)
