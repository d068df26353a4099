"""Closes the jail around a process that was just forked: prepared system calls, in an order that matters.

Everything that can be worked out beforehand is worked out in the slot: a fork that runs little Python copies
few pages. Each step is checked; one that fails ends the process before the submission gets to run.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import struct
from collections.abc import Callable
from typing import NamedTuple, Protocol

from proctor.sandbox.local import seccomp, syscalls
from proctor.sandbox.local.orders import Order

LINK, PEER = 3, 4  # where a submission finds its socket to the runner, and in an exam the one to its peer

_MB = 1 << 20
_BASELINE_MB = 64  # of data that the interpreter itself has mapped, beside a submission's
_COUNTED_APART = 8  # processes: leaves the refusal to the control group, which also counts it
_CAPABILITIES = struct.Struct("<Ii")
_LIMIT = struct.Struct("<QQ")
_KINDS = (
    resource.RLIMIT_CPU,
    resource.RLIMIT_DATA,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_NPROC,
)

Step = tuple[str, Callable[[], int]]


class Traits(NamedTuple):
    """Which of the prepared sequences a run needs."""

    is_command: bool
    has_peer: bool


class Closing(Protocol):
    """What a fork needs of a seal."""

    has_namespaces: bool

    def close(self, traits: Traits) -> None: ...


class Seal:
    """Prepared once for a slot.

    Args:
        box_id: user and group to become; None: the present ones.
        has_namespaces: False: a session of its own is all that sets it apart from others' processes.
        rulesets: of Landlock, for functions and for commands.
        spare_processes: of our user's own, where the kernel counts them with the submission's.
    """

    def __init__(
        self,
        box_id: int | None,
        has_namespaces: bool,
        rulesets: tuple[int | None, int | None],
        filter: seccomp.Filter | None,  # noqa: A002 -- it is one
        spare_processes: int,
    ) -> None:
        self.has_namespaces = has_namespaces
        # In namespaces the slot alone can be of the submission's user.
        self._spare_processes = spare_processes + int(has_namespaces and box_id is None)
        self._limits = ctypes.create_string_buffer(_LIMIT.size * len(_KINDS))
        self._header = ctypes.create_string_buffer(_CAPABILITIES.pack(0x2008_0522, 0), 8)  # version 3, self
        self._none = ctypes.create_string_buffer(24)
        self._filter = filter
        self._steps = {
            Traits(is_command, has_peer): self._prepare(box_id, rulesets[is_command], has_peer)
            for is_command in (False, True)
            for has_peer in (False, True)
        }

    def _prepare(self, box_id: int | None, ruleset: int | None, has_peer: bool) -> list[Step]:
        start = ctypes.addressof(self._limits)
        steps = [_step("prlimit64", 0, kind, start + _LIMIT.size * i, 0) for i, kind in enumerate(_KINDS)]
        if not self.has_namespaces:
            steps.append(_step("setsid"))
        if box_id is not None:
            steps += [
                _step("setgroups", 0, 0),
                _step("setresgid", box_id, box_id, box_id),
                _step("setresuid", box_id, box_id, box_id),
            ]
        steps += [
            _step("capset", ctypes.addressof(self._header), ctypes.addressof(self._none)),
            _step("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            _step("prctl", syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0),
        ]
        if ruleset is not None:
            steps.append(_step("landlock_restrict_self", ruleset, 0))
        steps.append(_step("close_range", PEER + has_peer, 0xFFFF_FFFF, 0))
        if self._filter is not None:
            steps.append(_step("seccomp", 1, 0, self._filter.address))  # SECCOMP_SET_MODE_FILTER
        return steps

    def set_limits(self, order: Order) -> None:
        """In the slot, for the next run: what `close` is to set, of the kernel's limits per process.

        The data segment of a function is bounded so that Python can raise MemoryError. A command goes without:
        runtimes such as Java's reserve much more than they use, and one that is refused memory mostly crashes
        and says nothing. What it uses, the control group counts, or the watch adds up.
        """
        # A backstop: the watch is finer and counts all processes. The kernel goes by clock ticks, which on a
        # busy machine run ahead: 11 s of them were 9.7 s, and the watch is to be the first.
        cpu = 2 * math.ceil(order.cpu_s) + 1
        data = resource.RLIM_INFINITY if order.is_command else (order.memory_mb + _BASELINE_MB) * _MB
        processes = order.processes + self._spare_processes + _COUNTED_APART * order.is_counted
        values = (cpu, data, order.file_mb * _MB, order.open_files, processes)
        for i, value in enumerate(values):
            unsigned = value & 0xFFFF_FFFF_FFFF_FFFF
            _LIMIT.pack_into(self._limits, _LIMIT.size * i, unsigned, unsigned)

    def close(self, traits: Traits) -> None:
        """In the fork. There is no way back from any of it. Raises OSError."""
        if self._filter is not None:
            self._filter.adapt()
        for name, step in self._steps[traits]:
            if step() == -1:
                code = ctypes.get_errno()
                raise OSError(code, f"{name}: {os.strerror(code)}")


def _step(name: str, *arguments: int) -> Step:
    return name, syscalls.prepare(name, *arguments)
