"""How many programs, or answers, are worked on at once where nobody says it: as many as there are processors.

os.cpu_count() is what the machine has. A pod of 4 processors on a node of 128 may use 4, which its affinity does
not show: a quota of time is all that says so. With 128 programs on 4 processors the right ones among them run
into their deadlines.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

from proctor.sandbox import hierarchies
from proctor.sandbox.core import PoolError

VARIABLE = "PROCTOR_WORKERS"


def usable(proc: Path = Path("/proc")) -> int:
    """$PROCTOR_WORKERS, or the processors that this process may use: by affinity, and by its groups' quotas.

    Raises PoolError where the variable holds no count.
    """
    asked = os.environ.get(VARIABLE, "")
    if asked:
        if not asked.isdecimal() or int(asked) < 1:
            raise PoolError(f"{VARIABLE} must be a whole number of 1 or more, got {asked!r}")
        return int(asked)
    return min([len(os.sched_getaffinity(0)), *(max(1, math.ceil(quota)) for quota in _quotas(proc))])


def _quotas(proc: Path) -> Iterator[float]:
    """In processors, of our group and of those above it, as far as they can be seen."""
    try:
        mounts, own = list(hierarchies.mounts(proc)), hierarchies.own_paths(proc)
    except OSError:  # no /proc: nothing to be known
        return
    for mount in mounts:
        controller = "" if mount.controllers == ("",) else "cpu"
        if controller not in mount.controllers or controller not in own:
            continue
        for folder in _up(mount, own[controller]):
            with contextlib.suppress(OSError, ValueError):  # none is set here, or there is no such file
                yield _quota(folder)


def _up(mount: hierarchies.Mount, own: str) -> Iterator[Path]:
    top = Path(mount.point)
    root = mount.root.rstrip("/")
    inner = own[len(root) :].lstrip("/") if own.startswith(root) else ""
    folder = top / inner
    yield folder
    yield from (parent for parent in folder.parents if parent.is_relative_to(top))


def _quota(folder: Path) -> float:
    """Raises OSError or ValueError where there is none."""
    if (folder / "cpu.max").exists():
        most, period = (folder / "cpu.max").read_text().split()  # "max 100000": not a number
    else:
        most, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    if int(most) <= 0:  # -1: none
        raise ValueError(f"no quota in {folder}")
    return int(most) / int(period)
