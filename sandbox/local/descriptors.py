"""Where a slot keeps its own descriptors: high, as what it receives for a submission takes the lowest numbers."""

from __future__ import annotations

import contextlib
import fcntl
import os

_LOWEST = 100


def move(descriptor: int) -> int:
    """The same under a high number."""
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST)
    os.close(descriptor)
    return high


def close(descriptor: int) -> None:
    """Also where it has been closed."""
    with contextlib.suppress(OSError):
        os.close(descriptor)
