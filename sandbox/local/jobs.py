"""What the host asked for, and how its result goes back: a run of one program, or an exam of two."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from proctor.sandbox import wire
from proctor.sandbox.core import Outcome
from proctor.sandbox.local import outcome
from proctor.sandbox.local.running import Ask, Run

CANDIDATE, EXAMINER = "candidate", "examiner"
MAX_ATTEMPTS = 2  # a run that lost its slot to no fault of its own is tried once more


@dataclass(slots=True)
class Fact:
    """One side's result: the fields of an Execution, and what of it is bytes."""

    fields: dict[str, Any]
    blobs: list[bytes]


@dataclass(slots=True, eq=False)
class Job:
    """A request under way. In an exam both sides must come to a result."""

    identity: int
    candidate: Ask
    examiner: Ask | None = None
    attempts: int = 0
    facts: dict[str, Fact] = field(default_factory=dict)  # by side

    @property
    def is_done(self) -> bool:
        return CANDIDATE in self.facts and (self.examiner is None or EXAMINER in self.facts)


def fact_of(run: Run, isolation: str) -> Fact:
    """The result of a run that has ended, or, for an examiner, that has reported."""
    code, number = outcome.ending(run)
    names = list(run.files)
    fields = {
        "outcome": outcome.decide(run).value,
        "exit_code": code,
        "signal": number,
        "cpu_s": run.cpu_s,
        "wall_s": run.finished - run.started,
        "peak_memory_mb": run.memory_mb,
        "isolation": isolation,
        "detail": _detail(run),
        "files": names,
    }
    most = run.ask.limits.output_bytes
    report = run.report or b""
    return Fact(fields, [bytes(run.stdout[:most]), bytes(run.stderr), report, *(run.files[n] for n in names)])


def _detail(run: Run) -> str:
    if run.ended is not None and "error" in run.ended:
        return str(run.ended["error"])
    if outcome.decide(run) is Outcome.SECURITY_VIOLATION:
        return "killed for a system call that the jail forbids"
    return ""


def internal_error(detail: str, isolation: str) -> Fact:
    fields = {"outcome": Outcome.INTERNAL_ERROR.value, "isolation": isolation, "detail": detail, "files": []}
    return Fact(fields, [b"", b"", b""])


def result_frame(job: Job) -> bytes:
    """Facts in the order examiner, candidate; all their bytes in one block, their sizes beside them."""
    order = (CANDIDATE,) if job.examiner is None else (EXAMINER, CANDIDATE)
    facts = [job.facts[side] for side in order]
    executions = [{**fact.fields, "sizes": [len(blob) for blob in fact.blobs]} for fact in facts]
    block = b"".join(blob for fact in facts for blob in fact.blobs)
    return wire.pack({"id": job.identity, "executions": executions}, block)
