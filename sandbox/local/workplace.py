"""The folder a slot's submissions may write, empty for each of them.

Covers: nothing of one run is there for the next: not a file, not a mode, not an attribute. With namespaces it
is a file system of its own in memory, with a size of its own; what was touched is unmounted as a whole, not
searched. Without, it is a plain folder that is emptied, and `file_mb` bounds single files only.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH101, PTH102, PTH108, PTH112, PTH114, PTH116, PTH120, PTH208

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from dataclasses import dataclass
from typing import Protocol

from proctor.sandbox.local import syscalls
from proctor.sandbox.local.syscalls import MNT_DETACH, MS_NODEV, MS_NOSUID, MS_REMOUNT

INNER_PATH = "/box/tmp"


@dataclass(frozen=True, slots=True)
class Space:
    """What was left free in a work folder when its run had ended."""

    blocks: int
    files: int


class Workplace(Protocol):
    path: str

    def prepare(self, file_mb: int) -> None:
        """Makes room for the next run."""

    def clean(self) -> Space | None:
        """Empties it. None: nothing had been touched, or free space says nothing here."""


class PrivateMount:
    """A tmpfs in the slot's own mount namespace."""

    path = INNER_PATH

    def __init__(self) -> None:
        self._file_mb = 64
        self._mount()

    def prepare(self, file_mb: int) -> None:
        if file_mb != self._file_mb:
            self._file_mb = file_mb
            syscalls.mount("work", self.path, "", MS_REMOUNT | MS_NOSUID | MS_NODEV, self._options())

    def clean(self) -> Space | None:
        if self._state() == self._untouched and not os.listdir(self.path) and not os.listxattr(self.path):
            return None
        space = os.statvfs(self.path)
        os.chdir("/")
        syscalls.call("umount2", self.path.encode(), MNT_DETACH)
        self._mount()
        return Space(space.f_bfree, space.f_ffree)

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
    """A folder of the host or container."""

    def __init__(self, path: str, owner: int | None) -> None:
        self.path = path
        self._owner = owner
        self._make()

    def prepare(self, file_mb: int) -> None:
        """There is no size to set: RLIMIT_FSIZE bounds each file, and the container its file system."""

    def clean(self) -> Space | None:
        if not os.listdir(self.path) and os.stat(self.path).st_ctime_ns == self._untouched:
            return None
        os.chdir("/")
        _remove(self.path)
        self._make()
        return None

    def _make(self) -> None:
        if os.path.lexists(self.path):  # of a slot that was killed
            _remove(self.path)
        os.mkdir(self.path, 0o700)
        if self._owner is not None:
            os.chown(self.path, self._owner, self._owner)
        os.chdir(self.path)
        self._untouched = os.stat(self.path).st_ctime_ns


def _remove(path: str) -> None:
    """Follows no link, and opens folders that were closed to us on purpose."""

    def open_up(_: object, name: str, __: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(name), stat.S_IRWXU)
            if os.path.isdir(name) and not os.path.islink(name):
                os.chmod(name, stat.S_IRWXU)
                shutil.rmtree(name)
            else:
                os.unlink(name)

    shutil.rmtree(path, onerror=open_up)
    if os.path.lexists(path):
        shutil.rmtree(path)
