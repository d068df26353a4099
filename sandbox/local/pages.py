"""Copies what every submission writes to along with the fork, instead of page by page as it is written.

After a fork, parent and child share their memory, and each first write to a page is a fault: 2 to 2.5 us, and a
Python program of a few lines writes to 400 pages of its interpreter (reference counts). Pages that a device might
write to, the kernel copies in the fork itself: 0.9 us each, and the parent's stay its own. So the pages that a
rehearsal wrote to are registered as buffers of an io_uring, which does nothing else. Where that is refused (old
kernels, containers, kernel.io_uring_disabled) forks are only slower.

Source: Linux, `copy_present_page` in mm/memory.c (5.10 and later); Documentation/admin-guide/mm/pagemap.rst.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from proctor.sandbox.local import syscalls

_PAGE = os.sysconf("SC_PAGE_SIZE")
_ENTRY = struct.Struct("<Q")
# Bits of an entry of /proc/PID/pagemap.
_PRESENT, _OF_FILE, _EXCLUSIVE = 1 << 63, 1 << 61, 1 << 56
_MOST_BUFFERS = 1024  # of an io_uring, in older kernels
_PARAMETERS_SIZE = 120  # struct io_uring_params
_REGISTER_BUFFERS = 0


class Region(NamedTuple):
    """A piece of memory."""

    start: int
    size: int
    has_file: bool  # a private copy of a file's, such as a library's data


def writable(proc: int) -> list[Region]:
    """This process's private memory. `proc`: descriptor of the folder /proc. Raises OSError."""
    return list(_writable(proc))


def snapshot(table: int, regions: Iterable[Region]) -> bytes:
    """What the kernel says of each page, for `own`; `table` is an open /proc/PID/pagemap."""
    return b"".join(
        os.pread(table, region.size // _PAGE * _ENTRY.size, region.start // _PAGE * _ENTRY.size)
        for region in regions
    )


def own(regions: Sequence[Region], entries: bytes) -> list[Region]:
    """Pages that a process has for itself and does not share with who forked it: one of them has written there.

    Args:
        entries: a `snapshot` of the regions. Raises OSError where it is not whole.
    """
    if len(entries) != sum(region.size // _PAGE * _ENTRY.size for region in regions):
        raise OSError("the snapshot is cut")
    found: list[Region] = []
    for region in regions:
        size = region.size // _PAGE * _ENTRY.size
        found += _own(region, entries[:size])
        entries = entries[size:]
    return found


def _writable(proc: int) -> Iterator[Region]:
    with open("self/maps", opener=lambda path, flags: os.open(path, flags, dir_fd=proc)) as lines:
        for line in lines:
            span, rights, _, _, inode, *_ = line.split()
            if rights.startswith("rw") and rights.endswith("p"):
                start, end = (int(number, 16) for number in span.split("-"))
                yield Region(start, end - start, inode != "0")


def _own(region: Region, entries: bytes) -> Iterator[Region]:
    start = None
    for number, (entry,) in enumerate(_ENTRY.iter_unpack(entries + bytes(_ENTRY.size))):
        is_written = entry & (_PRESENT | _OF_FILE | _EXCLUSIVE) == _PRESENT | _EXCLUSIVE
        if is_written and start is None:
            start = number
        elif not is_written and start is not None:
            yield Region(region.start + start * _PAGE, (number - start) * _PAGE, region.has_file)
            start = None


def make_ring() -> int:
    """A descriptor for `copy_with_forks`. Raises OSError."""
    return syscalls.call("io_uring_setup", 1, ctypes.create_string_buffer(_PARAMETERS_SIZE))


def copy_with_forks(ring: int, regions: Sequence[Region]) -> None:
    """Has the kernel copy these in every fork of this process, as long as the ring is open. Raises OSError.

    Older kernels take none that began as a file's.
    """
    try:
        _register(ring, regions)
    except OSError:
        _register(ring, [region for region in regions if not region.has_file])


def _register(ring: int, regions: Sequence[Region]) -> None:
    regions = regions[:_MOST_BUFFERS]
    vectors = b"".join(struct.pack("<QQ", region.start, region.size) for region in regions)
    buffer = ctypes.create_string_buffer(vectors, len(vectors))
    syscalls.call("io_uring_register", ring, _REGISTER_BUFFERS, buffer, len(regions))
