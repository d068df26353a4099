"""What a process and all that came from it use at this moment, read from /proc.

Processes that have lost their parent are missed, unless `adopt_orphans` was called before they were made.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

_SET_CHILD_SUBREAPER = 36
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@dataclass(frozen=True, slots=True)
class Tree:
    """Sums over a process and all below it."""

    processes: int
    jailed: int  # of those, in a pid namespace two below ours: a slot is in one, what it runs in the next
    cpu_s: float  # user and system, with that of children that were waited for
    resident_mb: float  # pages that several share are counted for each
    descriptors: int


def adopt_orphans() -> None:
    """Makes this process the parent of those below it that lose theirs, so that none gets out of sight."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def look_at(root: int) -> Tree:
    """The tree of a process as it is now. One that ends meanwhile may be missing."""
    fields = dict(_all_processes())
    children: dict[int, list[int]] = {}
    for process, stat in fields.items():
        children.setdefault(int(stat[1]), []).append(process)
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        if process in fields:
            found.append(process)
        waiting += children.get(process, [])
    return Tree(
        processes=len(found),
        jailed=sum(map(_is_jailed, found)),
        cpu_s=sum(sum(map(int, fields[process][11:15])) for process in found) / _TICKS,
        resident_mb=sum(int(fields[process][21]) for process in found) * _PAGE_MB,
        descriptors=sum(map(_descriptors, found)),
    )


def _all_processes() -> list[tuple[int, list[str]]]:
    """Each with the fields of its `stat` from the third, "state", on."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            found.append((int(entry.name), text.rpartition(")")[2].split()))
    return found


def _descriptors(process: int) -> int:
    try:
        return len(list(Path(f"/proc/{process}/fd").iterdir()))
    except OSError:
        return 0


def _is_jailed(process: int) -> bool:
    """Whether it has a number of its own in a namespace below a slot's."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return len(status.partition("NSpid:")[2].partition("\n")[0].split()) > 2
