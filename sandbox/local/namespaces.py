"""Namespaces: who may make them here, and the maps of identities between host and jail.

Covers: processes, mounts, network, System V and POSIX IPC, host name, cgroup view and identities of a slot
are its own; a submission has process ids of its own on top, so that killing number 1 kills all.
Does not cover: vsock and kernel-wide settings, which are not namespaced (seccomp refuses them).
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH123

from __future__ import annotations

import contextlib
import os

from proctor.sandbox.local import root, syscalls

BOX_ID = 1000  # user and group of submissions, as seen from inside

OF_SLOT = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWCGROUP
)
# Identities for slots on a host where we are root: high ones that distributions leave alone (they end at
# 2_147_483_647; systemd's and Docker's ranges lie lower), two for each slot, others for each zygote.
_FIRST_ID = 1_878_000_000
_MOST_IDS = 1 << 20
_IDS_PER_ZYGOTE = 128
_CAP_SYS_ADMIN, _CAP_SETUID = 21, 7


def effective_capabilities() -> int:
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def is_privileged() -> bool:
    """Root with the right to make namespaces, and with other identities than its own to give away.

    Root of a user namespace that maps nobody else is not: it goes the way of any user.
    """
    needed = 1 << _CAP_SYS_ADMIN | 1 << _CAP_SETUID
    return os.geteuid() == 0 and effective_capabilities() & needed == needed and _largest_extent()[1] > 2000


def may_nest_users() -> bool:
    """Whether user namespaces can be had here. Root can do without, as its slots may take any identity."""
    try:
        process = syscalls.clone(syscalls.CLONE_NEWUSER)
    except OSError:
        return False
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    return True


def _largest_extent() -> tuple[int, int]:
    """(first, count) of the identities that exist here."""
    with open("/proc/self/uid_map") as extents:
        rows = [[int(field) for field in line.split()] for line in extents]
    first, _, count = max(rows, key=lambda row: row[2])
    return first, count


def enter_own_mounts(*, privileged: bool) -> None:
    """A mount namespace to build in; whoever has no right to one gets a user namespace with it."""
    if privileged:
        syscalls.call("unshare", syscalls.CLONE_NEWNS)
        return
    uid, gid = os.geteuid(), os.getegid()
    syscalls.call("unshare", syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
    process = os.open("/proc/self", os.O_PATH)
    write_maps(process, f"{BOX_ID} {uid} 1", f"{BOX_ID} {gid} 1", may_set_groups=False)
    os.close(process)


def id_base() -> int:
    """The first of the identities from which this zygote's slots get theirs. Read while /proc is in sight.

    In a container's user namespace only some identities exist: then from the end of the largest extent.
    """
    first, count = _largest_extent()
    if first <= _FIRST_ID <= first + count - _MOST_IDS:
        return _FIRST_ID + os.getpid() * _IDS_PER_ZYGOTE % _MOST_IDS
    return first + count - _IDS_PER_ZYGOTE


def submission_id(number: int, base: int) -> int:
    """User and group, on the host, of what runs in slot `number`; one less is the slot's own."""
    return base + 2 * number % _IDS_PER_ZYGOTE + 1


def slot_maps(number: int, base: int | None) -> str:
    """The map of users, and of groups, for slot `number`, in the form of /proc/PID/uid_map.

    With a `base`, for root: 0 and BOX_ID inside are two identities that own nothing on the host. Without one,
    BOX_ID is the one identity that there is.
    """
    if base is None:
        return f"{BOX_ID} {BOX_ID} 1"
    box = submission_id(number, base)
    return f"0 {box - 1} 1\n{BOX_ID} {box} 1"


def write_maps(process: int, users: str, groups: str, *, may_set_groups: bool) -> None:
    """Writes the maps of the process whose /proc folder is open as `process`."""
    if not may_set_groups:
        _write_at(process, "setgroups", "deny")
    _write_at(process, "uid_map", users)
    _write_at(process, "gid_map", groups)


def show_own_processes() -> None:
    """For a command: a /proc of its own process namespace, with nothing in it but its own processes.

    In a mount namespace of this run's own, made before privileges are dropped. Functions go without; it would
    cost them a third of their time. A host that hides parts of its /proc lets nobody mount one: none then.
    """
    syscalls.call("unshare", syscalls.CLONE_NEWNS)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    with contextlib.suppress(OSError):
        syscalls.mount("proc", "/proc", "proc", flags, "subset=pid,hidepid=invisible")
    syscalls.mount("none", root.CLOSED, "tmpfs", flags | syscalls.MS_RDONLY, "size=4k,mode=000")


def _write_at(folder: int, name: str, text: str) -> None:
    target = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(target, text.encode())
    finally:
        os.close(target)
