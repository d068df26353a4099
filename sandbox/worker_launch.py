"""Starts the fork server, and the caller's end of the connection to it.

The server is a fresh interpreter of the caller's version that sees the caller's `sys.path` and nothing else of
it: not `__main__`, not the environment (a few names apart), no descriptors. A fixed hash seed gives every
worker on every machine the same iteration order of sets, and so the same verdicts.
"""

from __future__ import annotations

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

_BOOT = "import sys; sys.path[:] = sys.argv[2:]; from proctor.sandbox.worker_server import main; main(sys.argv[1])"
_KEPT_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
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


class ForkServer:
    """The caller's end of one fork server. Raises OSError where it cannot be started."""

    def __init__(self, imports: Sequence[str], memory_mb: int) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._stderr = os.memfd_create("proctor-fork-server-stderr")
        caller = os.pidfd_open(os.getpid())
        settings = {
            "control": theirs.fileno(),
            "caller": caller,
            "memory_mb": memory_mb,
            "imports": list(imports),
        }
        try:
            self._process = subprocess.Popen(
                [find_interpreter(), "-s", "-c", _BOOT, json.dumps(settings), *search_path()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(theirs.fileno(), caller),
                env=_environment(),
                start_new_session=True,  # Ctrl-C at the terminal is the caller's to handle
            )
        except BaseException:
            self._control.close()
            os.close(self._stderr)
            raise
        finally:
            theirs.close()
            os.close(caller)
        self._control.setblocking(False)

    def fileno(self) -> int:
        return self._control.fileno()

    def fork(self, number: int) -> None:
        """Asks for a worker; it arrives as a message "worker". OSError: the server is gone."""
        self._control.send(json.dumps(["fork", number]).encode())

    def import_module(self, module: str) -> None:
        """Has it imported before any further fork. OSError: the server is gone."""
        self._control.send(json.dumps(["import", module, search_path()]).encode())

    def hear(self) -> Message | None:
        """The next message; None at the end of the connection. BlockingIOError: none is there yet."""
        data, descriptors, _, _ = socket.recv_fds(self._control, 1 << 16, 2, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return None
        kind, *details = json.loads(data)
        return Message(kind, details, descriptors)

    def close(self) -> str:
        """Ends it and its workers, reaps it, and returns how it ended, for a person to read."""
        self._control.close()
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:  # in the middle of an import that does not return
            self._process.kill()
            code = self._process.wait()
        said = os.pread(self._stderr, 1 << 20, 0)[-2000:].decode(errors="replace").strip()
        os.close(self._stderr)
        return f"the fork server ended with code {code}" + (f": {said}" if said else "")

    def abandon(self) -> None:
        """In a forked child: lets go of a server that is the parent's."""
        self._control.close()
        os.close(self._stderr)
        self._process.returncode = 0  # not ours to wait for; keeps Popen from warning about it


def find_interpreter() -> str:
    """A Python of this very version: `sys.executable`, or what stands beside it where Python is embedded.

    Raises FileNotFoundError where there is none.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    named = [sys.executable, getattr(sys, "_base_executable", None)]
    beside = [
        str(Path(prefix) / "bin" / f"python{version}") for prefix in (sys.exec_prefix, sys.base_exec_prefix)
    ]
    for candidate in (*named, *beside, shutil.which(f"python{version}")):
        if not candidate or not os.access(candidate, os.X_OK):
            continue
        if re.match(r"(python|pypy)[\d.]*$", Path(candidate).name) and not getattr(sys, "frozen", False):
            return candidate
    raise FileNotFoundError(
        f"no Python {version} to run workers with: sys.executable is {sys.executable!r}, and none is at {beside}"
    )


def search_path() -> list[str]:
    """The caller's `sys.path`, absolute, with the folder that holds `proctor` at its end."""
    # Entries of import hooks (editable installs) look relative, and are no folders: they stay as they are.
    path = [
        str(Path(entry or ".").absolute()) if Path(entry or ".").exists() else entry for entry in sys.path
    ]
    home = str(Path(proctor.__file__).parent.parent)
    return path if home in path else [*path, home]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return kept | _ENVIRONMENT
