"""Control groups: exact totals of memory, processes and processor time over all that a submission starts.

Covers: memory of every kind (anonymous, shared, page cache, tmpfs), the number of processes and threads, and
processor time, orphans' included. Both versions: v1 with one hierarchy per controller, v2 with one for all.
Does not cover: hosts that delegate no group to us; there `watch` takes samples instead. We never move the
host's own process, which v2 would ask for where its group has no controllers to pass on.

Source: Linux Documentation/admin-guide/cgroup-v1/memory.rst, .../cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from proctor.sandbox import hierarchies

_MB = 1 << 20
_AT_LIMIT = 0.9  # of a group's limit: whom the kernel kills below that, it kills for others' want of memory
# The slot itself lives in the group: its share of memory, and its own process.
_SLOT_MB, _SLOT_PROCESSES = 16, 1


@dataclass(frozen=True, slots=True)
class Files:
    """Names of one version's control files; "" where it has none."""

    memory_max: str
    swap_max: str
    memory_peak: str
    kills: str
    processes_max: str
    refusals: str
    cpu: str
    cpu_unit: float  # seconds


V1 = Files(
    memory_max="memory.limit_in_bytes",
    swap_max="memory.memsw.limit_in_bytes",
    memory_peak="memory.max_usage_in_bytes",
    kills="memory.oom_control",
    processes_max="pids.max",
    refusals="pids.events",
    cpu="cpuacct.usage",
    cpu_unit=1e-9,
)
V2 = Files(
    memory_max="memory.max",
    swap_max="memory.swap.max",
    memory_peak="memory.peak",
    kills="memory.events",
    processes_max="pids.max",
    refusals="pids.events",
    cpu="cpu.stat",
    cpu_unit=1e-6,
)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group's submissions have used since the group's reset."""

    cpu_s: float
    peak_mb: float
    kills: int  # by the kernel, at the group's own limit of memory
    victims: int  # killed by the kernel for want of memory elsewhere: in a group above, or on the machine
    refusals: int  # forks beyond the limit


@dataclass(frozen=True, slots=True)
class Counters:
    """What a group's files say; all but the peak only ever grow."""

    cpu_s: float
    peak_mb: float
    kills: int  # for want of memory, here or elsewhere
    shortages: int  # of memory within the group's own limit; only version 2 counts them
    refusals: int


@dataclass(slots=True, eq=False)
class Group:
    """The control group of one slot, with its files held open: an access is one system call."""

    files: Files
    folders: list[str]
    _open: dict[str, int] = field(default_factory=dict)
    _limits: tuple[int, int] = (0, 0)
    _before: Counters = Counters(0.0, 0.0, 0, 0, 0)
    _last: Counters = Counters(0.0, 0.0, 0, 0, 0)
    _has_peak: bool = True
    _cached_mb: float = 0.0

    def add(self, process: int) -> None:
        for folder in self.folders:
            Path(folder, "cgroup.procs").write_text(str(process))

    def begin(self, memory_mb: int, processes: int) -> None:
        """Sets the limits of the next submission, and counts from here."""
        if self._limits != (memory_mb, processes):
            self._set_limits(memory_mb, processes)
        try:
            self._write(self.files.memory_peak, "0")
            # What is there by now is cached files, which the kernel takes back when it needs to.
            self._cached_mb = self._number(self.files.memory_peak) / _MB
        except OSError:  # v2 before Linux 6.12 cannot be reset
            self._has_peak = False
        self._before = self._last

    def _set_limits(self, memory_mb: int, processes: int) -> None:
        size = (memory_mb + _SLOT_MB) * _MB
        swap = size if self.files is V1 else 0  # v1 limits memory and swap together, and memory within it
        if self.files is V1:
            for name in (self.files.swap_max, self.files.memory_max):
                with contextlib.suppress(OSError):
                    self._write(name, "-1")
        self._write(self.files.memory_max, str(size))
        with contextlib.suppress(OSError):  # a kernel that does not count swap
            self._write(self.files.swap_max, str(swap))
        self._write(self.files.processes_max, str(processes + _SLOT_PROCESSES))
        self._limits = (memory_mb, processes)

    def usage(self) -> Usage:
        """Since `begin`. The slot's own few system calls between two submissions count with the second."""
        self._last = now = self._read_all()
        before = self._before
        killed = now.kills - before.kills
        if self.files is V1:
            at_limit = not self._has_peak or now.peak_mb >= _AT_LIMIT * (self._limits[0] + _SLOT_MB)
        else:
            at_limit = now.shortages > before.shortages
        return Usage(
            cpu_s=now.cpu_s - before.cpu_s,
            peak_mb=now.peak_mb - self._cached_mb if self._has_peak else 0.0,
            kills=killed if at_limit else 0,
            victims=0 if at_limit else killed,
            refusals=now.refusals - before.refusals,
        )

    def _read_all(self) -> Counters:
        files = self.files
        return Counters(
            cpu_s=self._number(files.cpu, "usage_usec") * files.cpu_unit,
            peak_mb=self._number(files.memory_peak) / _MB if self._has_peak else 0.0,
            kills=int(self._number(files.kills, "oom_kill")),
            shortages=0 if files is V1 else int(self._number(files.kills, "oom")),
            refusals=int(self._number(files.refusals, "max")),
        )

    def _number(self, name: str, key: str = "") -> float:
        """The value of a file with one number, or of one `key value` line; 0 where there is no such file."""
        try:
            text = os.pread(self._descriptor(name, os.O_RDONLY), 4096, 0)
        except OSError:
            return 0.0
        fields = text.split()
        if len(fields) > 1:
            wanted = key.encode()
            return float(fields[fields.index(wanted) + 1]) if wanted in fields else 0.0
        return float(fields[0]) if fields else 0.0

    def _write(self, name: str, text: str) -> None:
        os.pwrite(self._descriptor(name, os.O_RDWR), text.encode(), 0)

    def _descriptor(self, name: str, mode: int) -> int:
        if name not in self._open:
            for folder in self.folders:
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    self._open[name] = os.open(f"{folder}/{name}", mode | os.O_CLOEXEC)
                    break
            else:
                raise FileNotFoundError(f"no control file {name} in {', '.join(self.folders)}")
        return self._open[name]

    def remove(self) -> None:
        """Takes the group away; it must be empty, or stays for the next start to sweep."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        for folder in self.folders:
            _remove_empty(Path(folder))


@dataclass(slots=True, eq=False)
class Delegation:
    """The groups that this process may make children of: one folder per hierarchy of v1, one in v2."""

    files: Files
    bases: list[str]

    @property
    def name(self) -> str:
        return f"control group version {1 if self.files is V1 else 2} at {self.bases[0]}"

    def make_group(self, number: int) -> Group:
        folders = [f"{base}/slot-{number}" for base in self.bases]
        for folder in folders:
            Path(folder).mkdir(exist_ok=True)
        return Group(self.files, folders)

    def close(self) -> None:
        for base in self.bases:
            _remove_empty(Path(base))


def find_delegation(proc: Path = Path("/proc")) -> Delegation | None:
    """Makes our base group, where memory, processes and processor time can all be counted; else None."""
    mounts = _mounts(proc)
    own = hierarchies.own_paths(proc)
    return _delegation_v2(mounts, own) or _delegation_v1(mounts, own)


def _delegation_v2(mounts: dict[str, str], own: dict[str, str]) -> Delegation | None:
    """A child of our own group, if that passes its controllers on, else of its parent."""
    if "" not in mounts or "" not in own:
        return None
    here = Path(mounts[""] + own[""])
    for place in (here, here.parent) if own[""] else (here,):
        with contextlib.suppress(OSError):  # EBUSY: our own group has processes, and so may not
            _pass_on_controllers(place)
        base = _make_base(place)
        if base is None:
            continue
        with contextlib.suppress(OSError):  # fails where a controller was not passed on to us
            _pass_on_controllers(base)
            return Delegation(V2, [str(base)])
        base.rmdir()
    return None


def _pass_on_controllers(folder: Path) -> None:
    with (folder / "cgroup.subtree_control").open("r+") as control:
        control.write("+memory +pids +cpu")


def _delegation_v1(mounts: dict[str, str], own: dict[str, str]) -> Delegation | None:
    bases: list[str] = []
    for controller in ("memory", "pids", "cpuacct"):
        place = mounts.get(controller, "") + own.get(controller, "")
        base = _make_base(Path(place)) if controller in mounts and controller in own else None
        if base is None:
            for made in bases:
                Path(made).rmdir()
            return None
        if str(base) not in bases:  # cpu,cpuacct may share a hierarchy
            bases.append(str(base))
    return Delegation(V1, bases)


def _make_base(place: Path) -> Path | None:
    _sweep(place)
    base = place / f"proctor-{os.getpid()}"
    try:
        base.mkdir(exist_ok=True)
    except OSError:
        return None
    return base


def _sweep(place: Path) -> None:
    """Takes away what runners that were killed left behind; the kernel keeps any group that is in use."""
    for left in place.glob("proctor-*"):
        process = left.name.removeprefix("proctor-")
        if process.isdigit() and not Path("/proc", process).exists():
            for group in (*left.glob("slot-*"), left):
                _remove_empty(group)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _mounts(proc: Path) -> dict[str, str]:
    """Where each controller of v1 is mounted; under "", v2."""
    found: dict[str, str] = {}
    for mount in hierarchies.mounts(proc):
        if mount.root != "/" and not mount.root.startswith("/.."):
            continue  # a mount of some inner group: paths of /proc/self/cgroup do not start there
        for controller in mount.controllers:
            found.setdefault(controller, mount.point)
    return found
