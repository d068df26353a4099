"""The folder a slot's submissions may write, empty for each of them.

Covers: nothing of one run is there for the next: not a file, not a mode, not an attribute. With namespaces it
is a file system of its own in memory, with a size of its own; what was touched is unmounted as a whole, not
searched. Without, it is a plain folder that is emptied, and `file_mb` bounds single files only.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH101, PTH103, PTH104, PTH106, PTH108, PTH112, PTH114, PTH116, PTH208

from __future__ import annotations

import os
import stat
from typing import Protocol

from proctor.sandbox.local import syscalls
from proctor.sandbox.local.syscalls import MNT_DETACH, MS_NODEV, MS_NOSUID, MS_REMOUNT

INNER_PATH = "/box/tmp"


UNKNOWN = (-1, -1)


class Workplace(Protocol):
    path: str

    def prepare(self, file_mb: int) -> None:
        """Makes room for the next run."""

    def free_space(self) -> tuple[int, int]:
        """Blocks and files that are left; UNKNOWN if it has not been touched, or that says nothing."""

    def clean(self) -> None:
        """Empties it."""


class PrivateMount:
    """A tmpfs in the slot's own mount namespace."""

    path = INNER_PATH

    def __init__(self) -> None:
        self._file_mb = 64
        self._is_clean = True
        self._mount()

    def prepare(self, file_mb: int) -> None:
        if file_mb != self._file_mb:
            self._file_mb = file_mb
            syscalls.mount("work", self.path, "", MS_REMOUNT | MS_NOSUID | MS_NODEV, self._options())

    def free_space(self) -> tuple[int, int]:
        self._is_clean = self._state() == self._untouched and not os.listdir(self.path)
        if self._is_clean and not os.listxattr(self.path):
            return UNKNOWN
        self._is_clean = False
        space = os.statvfs(self.path)
        return space.f_bfree, space.f_ffree

    def clean(self) -> None:
        if not self._is_clean:
            os.chdir("/")
            syscalls.call("umount2", self.path.encode(), MNT_DETACH)
            self._mount()

    def _mount(self) -> None:
        syscalls.mount("work", self.path, "tmpfs", MS_NOSUID | MS_NODEV, self._options())
        os.chdir(self.path)
        self._untouched = self._state()

    def _options(self) -> str:
        return f"size={self._file_mb}m,nr_inodes={max(1024, self._file_mb * 128)},mode=1777"

    def _state(self) -> tuple[int, int]:
        status = os.stat(self.path)
        return status.st_mode, status.st_ctime_ns


class PlainFolder:
    """A folder of the host or container. The same one for all runs: Landlock's rule is about just it."""

    def __init__(self, path: str, owner: int | None) -> None:
        self.path = path
        self._owner = owner
        os.makedirs(path, exist_ok=True)
        _empty(path)  # it may be that of a slot that was killed
        self._restore()

    def prepare(self, file_mb: int) -> None:
        """There is no size to set: RLIMIT_FSIZE bounds each file, and the container its file system."""

    def free_space(self) -> tuple[int, int]:
        return UNKNOWN

    def clean(self) -> None:
        if os.stat(self.path).st_ctime_ns == self._untouched and not os.listdir(self.path):
            return
        _empty(self.path)
        self._restore()

    def _restore(self) -> None:
        """Mode and owner as they were, and no attribute of anybody's."""
        if self._owner is not None:
            os.chown(self.path, self._owner, self._owner)
        os.chmod(self.path, 0o700)
        for attribute in os.listxattr(self.path):
            os.removexattr(self.path, attribute)
        os.chdir(self.path)
        self._untouched = os.stat(self.path).st_ctime_ns


def _empty(folder: str) -> None:
    """Follows no link, opens folders that were closed on purpose, flattens deep ones."""
    unique = os.urandom(8).hex()
    count = 0
    while names := os.listdir(folder):
        for name in names:
            path = f"{folder}/{name}"
            if not _open_up(path):
                os.unlink(path)
                continue
            for inner in os.listdir(path):
                _open_up(f"{path}/{inner}")
                os.rename(f"{path}/{inner}", f"{folder}/{unique}-{count}")
                count += 1
            os.rmdir(path)


def _open_up(path: str) -> bool:
    """Whether it is a folder; then one that we may list and move."""
    if os.path.islink(path) or not os.path.isdir(path):
        return False
    os.chmod(path, stat.S_IRWXU)
    return True
