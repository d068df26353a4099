"""Where control groups are mounted, and which are ours: read from /proc, for both of their versions.

Source: Linux Documentation/admin-guide/cgroup-v1/cgroups.rst, .../cgroup-v2.rst; proc(5), mountinfo.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Mount(NamedTuple):
    """One hierarchy of groups as it can be seen here."""

    controllers: tuple[str, ...]  # of version 1; ("",): version 2
    root: str  # the group that is shown at `point`: "/", unless a container is shown but its own
    point: str


def mounts(proc: Path) -> Iterator[Mount]:
    """All that are mounted. `proc`: where /proc is."""
    for line in (proc / "self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split()[:3]
        if kind == "cgroup2":
            yield Mount(("",), fields[3], fields[4])
        elif kind == "cgroup":
            yield Mount(tuple(options.split(",")), fields[3], fields[4])


def own_paths(proc: Path) -> dict[str, str]:
    """This process's group in the hierarchy of each controller; under "", of version 2."""
    paths: dict[str, str] = {}
    for line in (proc / "self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path.rstrip("/")
    return paths
