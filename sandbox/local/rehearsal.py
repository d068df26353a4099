"""One submission that is known, in a slot that is ready for others, to see which memory they will write to.

It takes the way of them all, closing of the jail included: what a submission touches depends on where the
allocator stands when it is forked.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

from proctor.sandbox.channel import Channel, Rehearsal
from proctor.sandbox.local import child, descriptors, pages, syscalls
from proctor.sandbox.local.orders import pack_program
from proctor.sandbox.local.seal import LINK, PEER, Closing, Traits

_OUT, _ERR = 1, 2
_PIECE = 1 << 16
_regions: list[pages.Region] = []  # for the fork to look at


class _Watched:
    """A seal that leaves a view of the process's memory open, as its standard output."""

    def __init__(self, seal: Closing, proc: int) -> None:
        self.has_namespaces = seal.has_namespaces
        self._seal, self._proc = seal, proc

    def close(self, traits: Traits) -> None:
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # else what lies in /proc is not its own
        os.dup2(os.open("self/pagemap", os.O_RDONLY, dir_fd=self._proc), _OUT)
        self._seal.close(traits)


def act(payload: bytes, channel: Channel) -> None:
    """Entry: does what the one named in the first line does, and looks."""
    name, _, rest = payload.partition(b"\n")
    child.find_entry(name.decode())(rest, channel)
    view = memoryview(pages.snapshot(_OUT, _regions))
    while view:
        view = view[os.write(_ERR, view) :]


def find_written(
    clone: Callable[[], int], seal: Closing, part: Rehearsal, work: str, proc: int
) -> list[pages.Region]:
    """The pages of this process that a submission writes to, or this process meanwhile.

    Args:
        clone: forks this process, as for every submission.
        work: the submission's folder.
        proc: descriptor of the folder /proc.

    Raises:
        OSError: it cannot be told.
    """
    _regions[:] = pages.writable(proc)
    with contextlib.ExitStack() as opened:
        link, theirs = _pair(opened, socket.socketpair())
        peer, its_peer = _pair(opened, socket.socketpair())
        seen, shown = _pair(opened, os.pipe())
        program = {"entry": f"{__name__}:{act.__name__}"}
        os.write(link, pack_program(program, part.entry.encode() + b"\n" + part.payload))
        os.write(peer, part.requests)
        opened.callback(os.closerange, _OUT, PEER + 1)
        for descriptor, target in ((shown, _OUT), (shown, _ERR), (theirs, LINK), (its_peer, PEER)):
            os.dup2(descriptor, target)
        for descriptor in (theirs, its_peer, shown, peer):
            os.close(descriptor)
        process = clone()
        if process == 0:
            child.main(_Watched(seal, proc), work, is_command=False, has_peer=True)
        # As little as can be is done here until it has looked: a page that we write to becomes its own as well.
        os.closerange(_OUT, PEER + 1)
        view = b"".join(iter(lambda: os.read(seen, _PIECE), b""))
        os.waitpid(process, 0)
    return pages.own(_regions, view)


def _pair(opened: contextlib.ExitStack, pair: tuple[Any, Any]) -> list[int]:
    """Their descriptors, under numbers that no submission's are received as, for as long as `opened` is."""
    moved = [descriptors.move(each if isinstance(each, int) else each.detach()) for each in pair]
    for number in moved:
        opened.callback(descriptors.close, number)
    return moved
