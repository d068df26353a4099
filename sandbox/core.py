"""What a sandbox is asked (Program, Limits), what happened (Execution, Exam), and the protocol of both.

Errors, which are always ours and never a program's:
    SandboxError(RuntimeError)
    ├── IsolationError   the isolation that was asked for does not hold on this host
    └── PoolError        the processes that run programs could not be started, or kept alive
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class SandboxError(RuntimeError):
    """Something of ours failed. Never a verdict on a program."""


class IsolationError(SandboxError):
    """Less isolation than was asked for. The message says what is missing and what to do."""


class PoolError(SandboxError):
    """The processes that run programs cannot be started or reached."""


class Outcome(str, Enum):
    """How an execution ended. Everything but INTERNAL_ERROR is the program's own doing."""

    OK = "ok"  # ended by itself with exit code 0
    RUNTIME_ERROR = "runtime_error"  # other exit code, or killed by a signal of its own making
    CPU_LIMIT = "cpu_limit"  # used its processor time up
    WALL_LIMIT = "wall_limit"  # was still there at the deadline, processor time not used up
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    FILE_LIMIT = "file_limit"  # size of a file, or of the private file system
    PROCESS_LIMIT = "process_limit"
    SECURITY_VIOLATION = "security_violation"  # was killed for what the jail forbids
    COMPILE_ERROR = "compile_error"
    INTERNAL_ERROR = "internal_error"  # ours: the jail, the container or the daemon failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one execution may use."""

    cpu_s: float = 10.0  # processor seconds, all its processes together
    wall_s: float = 20.0  # seconds by the clock; time spent waiting for a processor is given back, to a bound
    memory_mb: int = 1024
    processes: int = 64  # threads count too
    output_bytes: int = 1 << 20  # of stdout: more ends it; of stderr: more is dropped
    file_mb: int = 64  # the private file system as a whole
    open_files: int = 64  # of each process


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: either a command (`argv`) or a pre-imported Python function (`entry`)."""

    argv: tuple[str, ...] = ()
    entry: str = ""  # "package.module:function", called in a forked interpreter as function(payload, channel)
    payload: bytes = b""
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)  # by relative path, laid into the work folder
    env: Mapping[str, str] = field(default_factory=dict)  # of a command, beside PATH, HOME and LANG
    collect: tuple[str, ...] = ()  # relative paths of regular files to bring back once a command has ended
    keep: str = (
        ""  # an examiner that served an exam may serve later ones with the same key; "": a new one each
    )
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What happened."""

    outcome: Outcome
    exit_code: int | None = None  # None: ended by a signal, or never ran
    signal: int | None = None
    stdout: bytes = b""  # cut at the limit
    stderr: bytes = b""
    report: bytes = b""  # what an `entry` sent over the channel that only it and the host hold
    files: Mapping[str, bytes] = field(default_factory=dict)  # those of Program.collect that were there
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_memory_mb: float = 0.0
    isolation: str = ""  # the mode that held while it ran: "full", or a weaker one that was asked for by name
    detail: str = ""  # what was forbidden, or what of ours failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """Two executions in jails of their own, joined by one socket. Only the examiner's `report` is a verdict.

    Once the examiner has reported, both are ended: a candidate that was still there then has outcome OK.
    """

    examiner: Execution
    candidate: Execution


class Sandbox(Protocol):
    """Runs hostile programs. Thread-safe; never raises for what a program does."""

    def run(self, program: Program) -> Execution: ...

    def exam(self, examiner: Program, candidate: Program) -> Exam: ...
