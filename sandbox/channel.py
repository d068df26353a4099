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

import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from proctor.sandbox.wire import LENGTHS

RECORD = struct.Struct("<cI")  # kind, length: what a jailed process sends, one record after the other
READY, REPORT, RAISED, COLLECTED, ENDED = b"Y", b"R", b"X", b"F", b"E"
MAX_REPORT = 32 << 20  # what of a run's records the host's side keeps; more is cut


@dataclass(frozen=True, slots=True)
class Sitting:
    """One candidate before an examiner."""

    payload: bytes  # of this exam's examiner Program
    peer: socket.socket  # stream socket to the candidate; at its end of file the candidate is gone


class Channel:
    """The socket of one jailed process to the host's side, and in an exam the peer's."""

    def __init__(self, link: socket.socket, peer: socket.socket | None = None, payload: bytes = b"") -> None:
        self._link = link
        self._peer = peer
        self._payload = payload

    @property
    def peer(self) -> socket.socket:
        """The candidate's socket to its examiner. Raises RuntimeError outside an exam."""
        if self._peer is None:
            raise RuntimeError("this program was run alone, not as the candidate of an exam: it has no peer")
        return self._peer

    def report(self, data: bytes) -> None:
        """Sends the verdict; in an exam the first report of a sitting counts and ends it. Up to 32 MiB."""
        self._link.sendall(RECORD.pack(REPORT, len(data)) + data)

    def sittings(self) -> Iterator[Sitting]:
        """Candidates to examine, as they come. A sitting's peer is closed when the next one is asked for."""
        while True:
            sitting = self._next_sitting()
            if sitting is None:
                return
            yield sitting
            sitting.peer.close()

    def _next_sitting(self) -> Sitting | None:
        lengths, descriptors, _, _ = socket.recv_fds(self._link, LENGTHS.size, 1)
        if len(lengths) < LENGTHS.size or not descriptors:
            return None
        peer = socket.socket(fileno=descriptors[0])
        header_size, block_size = LENGTHS.unpack(lengths)
        header = json.loads(receive_exactly(self._link, header_size))
        block = receive_exactly(self._link, block_size)
        if not header["same"]:
            self._payload = block
        return Sitting(self._payload, peer)


def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """`size` bytes, however they come. Raises EOFError where the stream ends before."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = sock.recv_into(view)
        if count == 0:
            raise EOFError(f"{len(view)} of {size} bytes were missing when the other end closed")
        view = view[count:]
    return bytes(data)
