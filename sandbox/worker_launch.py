"""Starts the fork server, and the caller's end of the connection to it.

The server is a fresh interpreter of the caller's version that sees the caller's `sys.path` and nothing else
of it: not `__main__`, not the environment (a few names apart), no descriptors. A fixed hash seed gives every
worker on every machine the same iteration order of sets, and so the same verdicts.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import proctor

_BOOT = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from proctor.sandbox.worker_server import main; main(sys.argv[1])"
)
_KEPT_ENVIRONMENT = (
    *("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH"),
    *("PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)
_MAX_STDERR = 2000
_MAX_MESSAGE = 1 << 16
_AT_ONCE_S = 0.05
_GRACE_S = 2.0
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "CUDA_VISIBLE_DEVICES": "",
    # A pool of threads in the server would make its forks unsafe.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the fork server."""

    kind: str
    details: list[Any]
    descriptors: list[int]


@dataclass(frozen=True, slots=True)
class ServerEnd:
    """How a fork server ended."""

    text: str  # for a person to read
    was_killed: bool  # by a signal that was not ours: says nothing about how the next one would fare


class ForkServer:
    """The caller's end of one fork server. Raises OSError where it cannot be started."""

    def __init__(self, imports: Sequence[str], memory_mb: int) -> None:
        with contextlib.ExitStack() as undo:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self._control.close)
            undo.callback(theirs.close)
            self._stderr = os.memfd_create("proctor-fork-server-stderr")
            undo.callback(os.close, self._stderr)
            self._process = _start_process(theirs.fileno(), self._stderr, imports, memory_mb)
            undo.callback(self._process.wait)
            undo.callback(self._process.kill)
            # The end of the connection is not enough: a child that another thread forks just now may hold
            # the server's end of it too.
            self._pidfd = os.pidfd_open(self._process.pid)
            undo.pop_all()
        theirs.close()
        self._control.setblocking(False)

    @property
    def descriptors(self) -> tuple[int, int]:
        """What to poll: messages, and its end."""
        return self._control.fileno(), self._pidfd

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def fork(self, number: int) -> None:
        """Asks for a worker; it arrives as a message "worker". OSError: the server is gone."""
        self._control.send(json.dumps(["fork", number]).encode())

    def import_module(self, module: str) -> None:
        """Has it imported before any further fork. OSError: the server is gone."""
        self._control.send(json.dumps(["import", module, search_path()]).encode())

    def hear(self) -> Message | None:
        """The next message; None at the end of the connection. BlockingIOError: none is there yet."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, _MAX_MESSAGE, 2, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            # It ended without reading all: that is told first and once, and its last words come after.
            data, descriptors, _, _ = socket.recv_fds(self._control, _MAX_MESSAGE, 2, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return None
        kind, *details = json.loads(data)
        return Message(kind, details, descriptors)

    def stderr(self) -> str:
        """The last of what it has printed there: nothing, unless it or a worker failed to start."""
        size = os.fstat(self._stderr).st_size
        return (
            os.pread(self._stderr, _MAX_STDERR, max(0, size - _MAX_STDERR)).decode(errors="replace").strip()
        )

    def close(self, *, at_once: bool) -> ServerEnd:
        """Ends it and its workers, and reaps it.

        `at_once` where it has no workers yet: it may be busy importing, and not see that we hung up.
        """
        self._control.close()
        was_killed = False
        try:
            was_killed = self._process.wait(timeout=_AT_ONCE_S if at_once else _GRACE_S) < 0
        except subprocess.TimeoutExpired:
            self._process.kill()
        text = f"the fork server ended with code {self._process.wait()}"
        if said := self.stderr():
            text += f": {said}"
        os.close(self._stderr)
        os.close(self._pidfd)
        return ServerEnd(text, was_killed)

    def abandon(self) -> None:
        """In a forked child: lets go of a server that is the parent's."""
        self._control.close()
        os.close(self._stderr)
        os.close(self._pidfd)
        self._process.returncode = 0  # not ours to wait for; keeps Popen from warning about it


def _start_process(
    control: int, stderr: int, imports: Sequence[str], memory_mb: int
) -> subprocess.Popen[bytes]:
    caller = os.pidfd_open(os.getpid())
    settings = {"control": control, "caller": caller, "memory_mb": memory_mb, "imports": list(imports)}
    try:
        return subprocess.Popen(
            [find_interpreter(), "-s", "-c", _BOOT, json.dumps(settings), *search_path()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=(control, caller),
            env={name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ} | _ENVIRONMENT,
            start_new_session=True,  # Ctrl-C at the terminal is the caller's to handle
        )
    finally:
        os.close(caller)


def find_interpreter() -> str:
    """A Python of this very version: `sys.executable`, or what stands beside it where Python is embedded.

    Raises FileNotFoundError where there is none.
    """
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    beside = [str(Path(prefix) / "bin" / name) for prefix in (sys.exec_prefix, sys.base_exec_prefix)]
    # A frozen program, or one that embeds Python, would run itself again.
    own = [] if getattr(sys, "frozen", False) else [sys.executable, getattr(sys, "_base_executable", "")]
    for candidate in (*own, *beside, shutil.which(name)):
        if candidate and re.match(r"python[\d.]*t?$", Path(candidate).name) and os.access(candidate, os.X_OK):
            return candidate
    raise FileNotFoundError(
        f"no {name} to run workers with: sys.executable is {sys.executable!r}, and there is none at {beside}"
    )


def search_path() -> list[str]:
    """The caller's `sys.path`, absolute, with the folder that holds `proctor` at its end."""
    path = [_absolute(entry) for entry in sys.path if isinstance(entry, str)]
    home = str(Path(proctor.__file__).parent.parent)
    return path if home in path else [*path, home]


def _absolute(entry: str) -> str:
    """Entries of import hooks (editable installs) look relative and are no folders: they stay as they are."""
    folder = Path(entry)  # "" is the working folder
    try:
        return str(folder.absolute()) if folder.exists() else entry
    except OSError:  # the working folder is gone
        return entry
