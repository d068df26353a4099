"""Samples of what a slot's processes use, for hosts that delegate no control group.

Covers: processor time, memory and threads of all living processes of a run together, from outside, by /proc.
Does not cover: what happens between two samples, of memory but the peak of the largest process, which the
kernel tells at the end; and the processor time of children that nobody waited for. Both are exact where a
control group counts.
"""

# ruff: noqa: PTH110, PTH123, PTH208

from __future__ import annotations

import os
from dataclasses import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@dataclass(frozen=True, slots=True)
class Sample:
    cpu_s: float
    memory_mb: float  # what each has resident beyond the slot's own pages, which all forks share
    processes: int  # threads count too


def sample(slot: int) -> Sample:
    """Adds up the descendants of a slot."""
    shared = resident_mb(slot)
    cpu, memory, count = 0.0, 0.0, 0
    for process in descendants(slot):
        cpu_s, threads = _cpu_s_and_threads(process)
        cpu += cpu_s
        memory += max(0.0, resident_mb(process) - shared)
        count += threads
    return Sample(cpu, memory, count)


def starved_s(slot: int) -> float:
    """How long the worst-off of a slot's processes was ready to run and had no processor."""
    return max((_run_delay_s(process) for process in descendants(slot)), default=0.0)


def _run_delay_s(process: int) -> float:
    try:
        with open(f"/proc/{process}/schedstat") as schedstat:
            return int(schedstat.read().split()[1]) * 1e-9
    except (OSError, IndexError):  # ended meanwhile, or a kernel without these statistics
        return 0.0


def kills_for_memory() -> int:
    """How many processes the kernel has killed for want of memory since it started, here or anywhere."""
    try:
        with open("/proc/vmstat") as vmstat:
            return next(int(line.split()[1]) for line in vmstat if line.startswith("oom_kill "))
    except (OSError, StopIteration):  # a kernel that does not count
        return 0


def descendants(process: int) -> list[int]:
    """Process ids of children, their children and so on; those that end meanwhile may be missing."""
    found: list[int] = []
    pending = [process]
    while pending:
        of_one = children(pending.pop())
        found += of_one
        pending += of_one
    return found


def children(process: int) -> list[int]:
    """Of all its threads: a process started by a thread is that thread's child."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(_listing(process, thread), "rb") as ids:
                found += [int(number) for number in ids.read().split()]
    except FileNotFoundError:
        return [] if _LISTS_CHILDREN else _search_children(process)
    except OSError:  # ESRCH: it has ended
        return []
    return found


class Children:
    """The children of a process that has one thread, such as a slot, by a file held open: one system call."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._file = (
            os.open(_listing(process, process), os.O_RDONLY | os.O_CLOEXEC) if _LISTS_CHILDREN else -1
        )

    def now(self) -> list[int]:
        if not _LISTS_CHILDREN:
            return _search_children(self._process)
        try:
            return [int(number) for number in os.pread(self._file, 4096, 0).split()]
        except OSError:  # ESRCH: it has ended
            return []

    def close(self) -> None:
        if _LISTS_CHILDREN:
            os.close(self._file)


def _listing(process: int, thread: int | str) -> str:
    return f"/proc/{process}/task/{thread}/children"


_LISTS_CHILDREN = os.path.exists(_listing(os.getpid(), os.getpid()))


def _search_children(process: int) -> list[int]:
    """For kernels without CONFIG_PROC_CHILDREN: by the parents that all processes name."""
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [number for number in numbers if _parent(number) == process]


def _parent(process: int) -> int:
    try:
        with open(f"/proc/{process}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _cpu_s_and_threads(process: int) -> tuple[float, int]:
    try:
        with open(f"/proc/{process}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0, 0
    return sum(int(field) for field in fields[11:15]) / _TICKS, int(fields[17])


def resident_mb(process: int) -> float:
    try:
        with open(f"/proc/{process}/statm") as statm:
            return int(statm.read().split()[1]) * _PAGE_MB
    except (OSError, IndexError):
        return 0.0
