"""The minimal read-only root that submissions see, and the private folder they may write.

Covers: everything of the host that is not listed is absent, not merely forbidden: no home folders, no
/proc, no /sys, no project, no other run's files. What is listed is read-only, without set-uid and devices.
Does not cover: secrets inside the listed folders; see `LocalSandbox(readable=..., packages=...)`.

The layout: the listed paths as they are on the host; /box/tmp, the work folder, to which /tmp, /var/tmp and
/dev/shm link; /dev with four devices; /etc with stubs.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH101, PTH102, PTH103, PTH110, PTH112, PTH114, PTH115, PTH116, PTH120, PTH123, PTH211

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct

from proctor.sandbox.local import syscalls
from proctor.sandbox.local.syscalls import (
    AT_FDCWD,
    AT_RECURSIVE,
    MNT_DETACH,
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
)
from proctor.sandbox.local.workplace import INNER_PATH

CLOSED, CANARY = "/closed", "/canary"
DEVICES = ("null", "zero", "random", "urandom")
_STREAMS = {
    "fd": "/proc/self/fd",
    "stdin": "fd/0",
    "stdout": "fd/1",
    "stderr": "fd/2",
}  # where there is a /proc
# The new root is put together over one of these; whatever the host has there is not visible inside anyway.
_STAGES = ("/mnt", "/media", "/srv", "/boot", "/var/tmp", "/tmp", "/sys")
_STUBS = {
    "passwd": "root:x:0:0:root:/nonexistent:/bin/false\nbox:x:1000:1000:box:/box/tmp:/bin/sh\n",
    "group": "root:x:0:\nbox:x:1000:\n",
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def build(readable: list[str], masked: list[str], unmasked: list[str]) -> None:
    """Builds the root in this process's own mount namespace and moves into it. Needs CAP_SYS_ADMIN there.

    Args:
        readable: absolute paths to show, files or folders; those the host lacks are left out.
        masked: folders within them to show empty.
        unmasked: paths within the masked folders to show nevertheless.
    """
    syscalls.mount("none", "/", "", MS_REC | MS_PRIVATE)
    stage = _stage([*readable, *unmasked])
    kept = [(path, os.open(path, os.O_PATH)) for path in unmasked if os.path.exists(path)]
    syscalls.mount("root", stage, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    for path in readable:
        _show(path, stage)
    _mask(masked, kept, stage)
    _make_box(stage)
    syscalls.mount("none", stage, "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chdir(stage)
    syscalls.call("pivot_root", b".", b".")
    syscalls.call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def _stage(paths: list[str]) -> str:
    for stage in _STAGES:
        if os.path.isdir(stage) and not any(path == stage or path.startswith(stage + "/") for path in paths):
            return stage
    raise OSError(f"no folder to build the jail's root on: all of {', '.join(_STAGES)} are in use or missing")


def _show(path: str, stage: str) -> None:
    """Binds one path of the host into the new root at the same place; a link is made again as a link."""
    target = stage + path
    if os.path.lexists(target) or not os.path.lexists(path):
        return
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.mkdir(target, 0o755)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    syscalls.mount(path, target, "", MS_BIND | MS_REC)
    make_read_only(target)


def make_read_only(target: str) -> None:
    """The mount at `target` and all below: read-only, no set-uid, no devices (mount_setattr, Linux 5.12)."""
    attributes = struct.pack("<QQQQ", MS_RDONLY | MS_NOSUID | MS_NODEV, 0, 0, 0)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    syscalls.call("mount_setattr", AT_FDCWD, target.encode(), AT_RECURSIVE, buffer, len(attributes))


def _mask(masked: list[str], kept: list[tuple[str, int]], stage: str) -> None:
    covered = [stage + folder for folder in masked if os.path.isdir(stage + folder)]
    for target in covered:
        syscalls.mount("mask", target, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path, descriptor in kept:
        _show_kept(path, descriptor, stage + path)
    for target in covered:
        make_read_only(target)


def _show_kept(path: str, descriptor: int, target: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            os.mkdir(target, 0o755)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        syscalls.mount(f"/proc/self/fd/{descriptor}", target, "", MS_BIND | MS_REC)
        make_read_only(target)
    os.close(descriptor)


def _make_box(stage: str) -> None:
    for folder in ("/box", INNER_PATH, "/dev", "/etc", "/var"):
        os.makedirs(stage + folder, mode=0o755, exist_ok=True)
    for link in ("/tmp", "/var/tmp", "/dev/shm"):
        if not os.path.isdir(stage + link):  # it is where something below it was to be shown
            os.symlink(INNER_PATH, stage + link)
    for name in DEVICES:
        target = f"{stage}/dev/{name}"
        if not stat.S_ISCHR(os.stat(f"/dev/{name}").st_mode):
            raise OSError(f"/dev/{name} of this host is not a device")  # root's `gcc -o /dev/null` does that
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        syscalls.mount(f"/dev/{name}", target, "", MS_BIND)
    for name, target in _STREAMS.items():
        os.symlink(target, f"{stage}/dev/{name}")
    for name, text in _STUBS.items():
        with contextlib.suppress(FileExistsError), open(f"{stage}/etc/{name}", "x") as stub:
            stub.write(text)
    # Readable by its mode, named in no rule: only Landlock keeps submissions from it. See probes.
    os.close(os.open(stage + CANARY, os.O_CREAT | os.O_WRONLY, 0o444))
    _hide_proc(stage)


def _hide_proc(stage: str) -> None:
    """Without a whole /proc mounted somewhere the kernel lets no user namespace mount one of its own.

    The host's goes into a folder that nobody may enter, and whose mode cannot be changed on this read-only
    file system; submissions that get a /proc get it at /proc.
    """
    os.mkdir(f"{stage}/proc", 0o555)
    os.makedirs(f"{stage}{CLOSED}/proc")
    syscalls.mount("/proc", f"{stage}{CLOSED}/proc", "", MS_BIND | MS_REC)
    os.chmod(f"{stage}{CLOSED}", 0)
