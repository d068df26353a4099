"""Programs as frames, and results out of frames: what a host says to a runner, and hears."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from proctor.sandbox.core import Execution, Limits, Outcome, PoolError, Program


@dataclass(slots=True, eq=False)
class Request:
    """One question to a runner."""

    header: dict[str, Any]
    block: bytes = b""
    attempts: int = 0
    reply: tuple[dict[str, Any], bytes] | None = None
    lost: str = ""  # why the runner that had it is gone

    @property
    def is_open(self) -> bool:
        return self.reply is None and not self.lost


def request_run(programs: Sequence[Program]) -> Request:
    """Of one program, or of the two of an exam, examiner first. Raises ValueError for what is no Program."""
    parts = [_encode(program) for program in programs]
    header = {"op": "run", "programs": [fields for fields, _ in parts]}
    return Request(header, b"".join(block for _, block in parts))


def _encode(program: Program) -> tuple[dict[str, Any], bytes]:
    if bool(program.argv) == bool(program.entry):
        raise ValueError("a Program needs either argv or entry, and not both")
    for name in (*program.files, *program.collect):
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"file {name!r} of a Program is not a path within the work folder")
    pieces = [program.payload] if program.entry else [*program.files.values(), program.stdin]
    block = b"".join(pieces)
    fields = {
        "argv": program.argv,
        "entry": program.entry,
        "files": [(name, len(data)) for name, data in program.files.items()],
        "env": dict(program.env),
        "collect": program.collect,
        "keep": program.keep,
        "limits": _fields(program.limits),
        "size": len(block),
    }
    return fields, block


@lru_cache(maxsize=64)
def _fields(limits: Limits) -> dict[str, Any]:
    return dataclasses.asdict(limits)


def executions_of(request: Request, count: int) -> list[Execution]:
    """The results of a request that is settled: as many as it had programs.

    Raises PoolError where the runner could not even try.
    """
    if request.reply is None:
        reason = f"{request.lost}; tried {request.attempts} times"
        return [Execution(outcome=Outcome.INTERNAL_ERROR, detail=reason)] * count
    header, block = request.reply
    if "error" in header:
        raise PoolError(header["error"])
    executions = []
    start = 0
    for fields in header["executions"]:
        execution, start = _execution(fields, block, start)
        executions.append(execution)
    return executions


def _execution(fields: dict[str, Any], block: bytes, start: int) -> tuple[Execution, int]:
    """An Execution, and where in the block the next one's bytes begin."""
    blobs = []
    for size in fields["sizes"]:
        blobs.append(block[start : start + size])
        start += size
    stdout, stderr, report, *contents = blobs
    plain = {name: value for name, value in fields.items() if name not in ("sizes", "files", "outcome")}
    execution = Execution(
        outcome=Outcome(fields["outcome"]),
        stdout=stdout,
        stderr=stderr,
        report=report,
        files=dict(zip(fields["files"], contents, strict=True)),
        **plain,
    )
    return execution, start
