"""The C heap of a process that trains on CPU keeps what tensors give back.

glibc hands freed blocks of some size back to the kernel and fetches them anew a moment later: a page fault for every
4 KB, over a thousand in one step of the demo model, 5% to 10% of its time. Elsewhere than on glibc nothing changes.
"""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of mallopt(3)
_LARGEST_ON_HEAP = 32 * 2**20  # bytes; the most that glibc takes for it
_KEPT = 512 * 2**20  # bytes at the heap's end that stay with the process


def keep_freed_memory() -> None:
    """Sets glibc's thresholds, unless the environment does (MALLOC_TRIM_THRESHOLD_ and the like)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_ON_HEAP)
    mallopt(_TRIM_THRESHOLD, _KEPT)
