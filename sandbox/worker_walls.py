"""What a worker is refused beside its limits, as far as the kernel goes: depth of defence, and no jail.

A worker runs our own functions over hostile text. Should such text get code to run after all (sympy's parser
evaluates), that code finds no network, no file to write, no process to signal, trace or gain rights from.

Covers, with seccomp: sockets, tracing, namespaces, signals to other processes; with Landlock (Linux 5.13):
writing, creating and removing files. Each is built once, in the fork server.
Does not cover: reading files; starting programs, which are refused the same; and kernels without either,
where a worker runs all the same.
"""

from __future__ import annotations

import contextlib
import os

from proctor.sandbox.local import landlock, seccomp


class Walls:
    """Built before the fork, entered after it."""

    def __init__(self) -> None:
        self._filter: seccomp.Filter | None = None
        self._ruleset: int | None = None
        with contextlib.suppress(OSError, KeyError):  # KeyError: an architecture whose calls are not listed
            self._filter = seccomp.Filter(seccomp.submission_filter(guards_signals=True, guards_limits=True))
        with contextlib.suppress(OSError):
            self._ruleset = landlock.make_ruleset(["/"], ["/dev/null"])

    def enter(self) -> None:
        """For good. Needs no_new_privs."""
        if self._ruleset is not None:
            landlock.restrict(self._ruleset)
            os.close(self._ruleset)
        if self._filter is not None:
            with contextlib.suppress(OSError):  # a kernel without seccomp filters
                self._filter.install()
