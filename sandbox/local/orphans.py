"""Ends what a submission left running where it had no process namespace.

Covers: daemons too: the slot is made the "subreaper" of all that it starts, so whoever loses its parent
becomes the slot's child. Does not cover: a submission that forks faster than it is killed; after a bounded
time the slot gives up and leaves, and the runner ends the rest. With a process namespace the kernel does it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from proctor.sandbox.local import watch

_PATIENCE_S = 2.0


def end_all() -> None:
    """Kills and reaps until this process has no descendant. Raises TimeoutError."""
    deadline = time.monotonic() + _PATIENCE_S
    while _has_children():
        for process in watch.children(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError("a submission's processes multiply faster than they can be ended")


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
