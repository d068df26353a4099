"""The C heap of a process that trains on CPU keeps what tensors give back, in huge pages where Linux grants them.

glibc hands freed blocks of some size back to the kernel and fetches them anew a moment later: a page fault for every
4 KB, over a thousand in one step of the demo model, 5% to 10% of its time. What stays is larger than a processor
knows the addresses of in pages of 4 KB; with pages of 2 MB the step takes 3% to 4% less. Elsewhere than on glibc
nothing changes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # numbers of mallopt(3)
_LARGEST_ON_HEAP = 32 * 2**20  # bytes; the most that glibc takes for it
_KEPT = 512 * 2**20  # bytes at the heap's end that stay with the process
_HUGE = 96 * 2**20  # bytes in huge pages: twice what a step of the demo model holds
_USUAL_PAD = 128 * 2**10  # glibc's own


@cache
def keep_freed_memory() -> None:
    """Sets glibc's thresholds, unless the environment does (MALLOC_TRIM_THRESHOLD_ and the like)."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST_ON_HEAP)
    libc.mallopt(_TRIM_THRESHOLD, _KEPT)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        _grow_in_huge_pages(libc)


def _grow_in_huge_pages(libc: ctypes.CDLL) -> None:
    """Moves the heap's end on by _HUGE, and asks for huge pages there (transparent_hugepage: madvise or always)."""
    libc.sbrk.restype = libc.malloc.restype = ctypes.c_void_p
    libc.sbrk.argtypes, libc.malloc.argtypes = [ctypes.c_ssize_t], [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    start = libc.sbrk(0)
    libc.mallopt(_TOP_PAD, _HUGE - _LARGEST_ON_HEAP)
    block = libc.malloc(_LARGEST_ON_HEAP - mmap.PAGESIZE)  # the largest that is no mapping of its own
    libc.free(block)
    libc.mallopt(_TOP_PAD, _USUAL_PAD)
    start += -start % mmap.PAGESIZE
    libc.madvise(start, libc.sbrk(0) - start, mmap.MADV_HUGEPAGE)
