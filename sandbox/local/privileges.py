"""What a submission may do no more: identities, capabilities, resource limits, dumps.

Covers: an unprivileged user and group that own nothing on the host; no capability in any set, none to be had
by exec; limits of the kernel on processor time, memory, processes, files; no core dump, no tracing.
Does not cover: totals over several processes, which are the business of cgroups or of the watch.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import resource
import struct

from proctor.sandbox.core import Limits
from proctor.sandbox.local import syscalls

_CAPABILITY_HEADER = ctypes.create_string_buffer(
    struct.pack("<Ii", 0x2008_0522, 0), 8
)  # version 3, this process
_NO_CAPABILITIES = ctypes.create_string_buffer(24)
_LAST_CAPABILITY = 63
_MB = 1 << 20
# What no submission needs: set for the slot, and so for all that it starts.
_ONCE = {
    resource.RLIMIT_CORE: 1,  # not 0: 1 also keeps the kernel from piping a dump to the host's crash handler
    resource.RLIMIT_MEMLOCK: 64 << 10,
    resource.RLIMIT_MSGQUEUE: 0,
    resource.RLIMIT_NICE: 0,
    resource.RLIMIT_RTPRIO: 0,
    resource.RLIMIT_SIGPENDING: 256,
}
_BASELINE_MB = 64  # what the interpreter itself has mapped, beside a submission's memory


def narrow() -> None:
    """For a slot, once: no capability survives an exec, no identity regains one, small fixed limits."""
    for capability in range(_LAST_CAPABILITY + 1):
        with contextlib.suppress(OSError):  # EINVAL: this kernel has fewer; EPERM: we have none to lose
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
    with contextlib.suppress(PermissionError):
        syscalls.prctl(syscalls.PR_SET_SECUREBITS, syscalls.SECURE_ALL_LOCKED)
    for kind, most in _ONCE.items():
        soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (_least(soft, most), _least(hard, most)))


def _least(present: int, most: int) -> int:
    return most if present == resource.RLIM_INFINITY else min(present, most)


def limit(limits: Limits, *, bounds_data: bool, spare_processes: int) -> None:
    """Sets a submission's own limits, of the kernel's per-process kind.

    `bounds_data`: also the data segment, so that Python can raise MemoryError. A command that a control group
    counts goes without: runtimes such as Java's reserve much more than they use.
    """
    cpu = math.ceil(limits.cpu_s) + 1  # a backstop: the watch is finer and counts all processes
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    if bounds_data:
        data = (limits.memory_mb + _BASELINE_MB) * _MB
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_mb * _MB, limits.file_mb * _MB))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    processes = limits.processes + spare_processes
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))


def drop(box_id: int | None) -> None:
    """The submission's identity, no capability left, no dump, and nothing of it to be had back."""
    if box_id is not None:
        os.setgroups([])
        os.setresgid(box_id, box_id, box_id)
        os.setresuid(box_id, box_id, box_id)
    syscalls.call("capset", ctypes.addressof(_CAPABILITY_HEADER), ctypes.addressof(_NO_CAPABILITIES))
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
