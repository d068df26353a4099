"""One sandbox of each kind for the whole process, started on first use and ended with the process."""

from __future__ import annotations

import atexit
import threading
from typing import Protocol

from proctor.sandbox.core import Exam, Execution, Program, SandboxError


class SharedSandbox(Protocol):
    """What every kind of sandbox offers."""

    def run(self, program: Program) -> Execution: ...

    def exam(self, examiner: Program, candidate: Program) -> Exam: ...

    def close(self) -> None: ...


_SANDBOXES: dict[str, SharedSandbox] = {}
_LOCK = threading.Lock()


def shared_sandbox(name: str = "local") -> SharedSandbox:
    """The process's sandbox of that kind. Raises SandboxError for an unknown one."""
    with _LOCK:
        if name not in _SANDBOXES:
            _SANDBOXES[name] = _make(name)
            atexit.register(_SANDBOXES[name].close)
        return _SANDBOXES[name]


def _make(name: str) -> SharedSandbox:
    if name == "local":
        from proctor.sandbox.local.host import LocalSandbox  # starts nothing yet

        return LocalSandbox()
    raise SandboxError(f"there is no sandbox {name!r}; known are: local")
