"""Rows whose tests call functions: an examiner with the tests and a jailed candidate for each."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import tee
from typing import Any

from proctor.sandbox.core import Execution, Limits, Program, Sandbox
from proctor.sandbox.exam.encode import Encoder
from proctor.verifiers.core import Status, Verdict
from proctor.verifiers.programs.beyond import kept_from_program
from proctor.verifiers.programs.extraction import Extracted, describe
from proctor.verifiers.programs.sandboxes import hold_exams, run_programs
from proctor.verifiers.programs.statuses import of_report, read_own_report, read_report, tail
from proctor.verifiers.programs.testset import ExamTests

_EXAMINER = "proctor.sandbox.exam.examiner:examine"
_CANDIDATE = "proctor.sandbox.exam.candidate:sit"
_TOGETHER = "proctor.sandbox.exam.together:run"
_KEEP = "exams"  # tests are trusted: one examiner may hold those of many tasks
_THREADS = 8
_MOST_TEXT, _MOST_COMMAS = 5_000_000, 1_000_000  # of a program with all its readings: a message holds as much


@dataclass(frozen=True, slots=True)
class ExamRow:
    """One row to examine."""

    extracted: Extracted
    tests: ExamTests
    prelude: bool


def run_together(
    rows: Iterable[ExamRow], sandbox: Sandbox, limits: Limits, *, partial: bool
) -> Iterator[Verdict]:
    """As `examine_rows`, with the tests in the program's own process: weaker, and said in every verdict."""
    rows = list(rows)
    nonces = [secrets.token_hex(16) for _ in rows]
    programs = [
        Program(
            entry=_TOGETHER,
            payload=Encoder().encode({"program": _program(row), "paper": row.tests.spec, "nonce": nonce}),
            limits=limits,
        )
        for row, nonce in zip(rows, nonces, strict=True)
    ]
    runs = run_programs(sandbox, programs, _THREADS)
    for row, run, nonce in zip(rows, runs, nonces, strict=True):
        yield _verdict(row, run, read_own_report(run, nonce), partial=partial, protocol=IN_PROCESS)


def examine_rows(
    rows: Iterable[ExamRow], sandbox: Sandbox, limits: Limits, *, partial: bool
) -> Iterator[Verdict]:
    """One verdict a row, in order. Examiners are shared, and read equal tests once."""
    asked, rows = tee(rows)
    exams = hold_exams(sandbox, (_programs(row, limits) for row in asked), _THREADS)
    for row, exam in zip(rows, exams, strict=True):
        yield _verdict(row, exam.candidate, read_report(exam), partial=partial, protocol=HIDDEN)


def _programs(row: ExamRow, limits: Limits) -> tuple[Program, Program]:
    # The examiner mostly waits; its own time is for slow tests, and must outlast the candidate's.
    slack = max(30.0, 2 * limits.cpu_s)
    own = Limits(cpu_s=slack, wall_s=limits.wall_s + slack, memory_mb=2 * max(1024, limits.memory_mb))
    examiner = Program(entry=_EXAMINER, payload=row.tests.spec, keep=_KEEP, limits=own)
    return examiner, Program(entry=_CANDIDATE, payload=Encoder().encode(_program(row)), limits=limits)


def _program(row: ExamRow) -> dict[str, Any]:
    sources = list(row.extracted.readings)
    if sum(map(len, sources)) > _MOST_TEXT or sum(text.count(",") for text in sources) > _MOST_COMMAS:
        sources = [
            f"raise SyntaxError('a program of more than {_MOST_TEXT} characters or {_MOST_COMMAS} commas')"
        ]
    return {"sources": sources, "prelude": row.prelude}


def _verdict(
    row: ExamRow, run: Execution, report: dict[str, Any], *, partial: bool, protocol: str
) -> Verdict:
    status = of_report(report, run)
    evidence = _evidence(row, run, report) | {"isolation": run.isolation, "protocol": protocol}
    if not status.has_value:
        problem = report.get("detail") or NOTHING_CHECKED
        verdict = Verdict(None, status, evidence | {"problem": problem})
    elif status is Status.CORRECT:
        verdict = Verdict(1.0, status, evidence)
    elif protocol == HIDDEN and (word := _kept_from(row, status, report)):
        problem = (
            f"the tests use {word}, which does not reach a program in a process of its own, so that this failure "
            "may not be the program's; tests_in_process=True runs them beside it"
        )
        verdict = Verdict(None, Status.MISCONFIGURED, evidence | {"problem": problem})
    else:
        value = share(report.get("tests") or [], row.tests.weights) if partial else 0.0
        verdict = failed(status, value, evidence)
    return replace(verdict, seconds=run.wall_s)


def _kept_from(row: ExamRow, status: Status, report: dict[str, Any]) -> str:
    """What the tests do that may be why a program failed that was loaded and answered."""
    is_of_tests = status in (Status.INCORRECT, Status.RUNTIME_ERROR)
    kind = (report.get("failure") or {}).get("kind")
    return kept_from_program(row.tests.spec) if is_of_tests and kind in ("wrong", "tests", "raised") else ""


HIDDEN = "hidden tests"
IN_PROCESS = "tests_in_process: the tests ran beside the program, which could have changed this verdict"
NOTHING_CHECKED = "the tests ran to their end without checking anything of the program's"


def failed(status: Status, value: float, evidence: dict[str, Any]) -> Verdict:
    """The verdict on a program that failed, perhaps with part of the value; why it failed is kept."""
    if value > 0:
        return Verdict(value, Status.PARTIAL, evidence | {"failed_with": status.value})
    return Verdict(0.0, status, evidence)


def share(passed: Sequence[bool | None], weights: Sequence[float]) -> float:
    """Weight of what passed over the weight of all; tests that were not reached did not pass."""
    if not passed:  # the tests were not begun
        return 0.0
    weights = weights or [1.0] * len(passed)
    total = sum(weights)
    won = sum(weight for weight, passed_one in zip(weights, passed, strict=True) if passed_one)
    # below 1 even where rounding or a weight of zero says otherwise: something failed
    return min(won / total, 1 - 1e-9) if total else 0.0


def _evidence(row: ExamRow, run: Execution, report: dict[str, Any]) -> dict[str, Any]:
    tests = report.get("tests") or []
    found: dict[str, Any] = {"extraction": row.extracted.rule, "code": _code(row.extracted, run.report)}
    if tests:
        found["passed"], found["tests"] = sum(map(bool, tests)), len(tests)
    if report.get("failure"):
        found["failure"] = {name: value for name, value in report["failure"].items() if value is not None}
    if run.stderr and report["result"] != "passed":
        found["stderr"] = tail(run)
    found["cpu_s"], found["wall_s"] = round(run.cpu_s, 4), round(run.wall_s, 4)
    found["memory_mb"] = round(run.peak_memory_mb, 1)
    return found


def _code(extracted: Extracted, report: bytes) -> str:
    """The reading that was run. The candidate says which: a lie would only spoil its own evidence."""
    if len(extracted.readings) == 1:
        return extracted.code
    return describe(extracted.readings, int(report) if report.isdigit() and len(report) < 3 else 0)
