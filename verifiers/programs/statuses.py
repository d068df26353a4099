"""From what happened in the sandbox to a status: who is to blame for what."""

from __future__ import annotations

import json
import signal
from typing import Any

from proctor.sandbox.core import Exam, Execution, Outcome
from proctor.sandbox.exam.patience import ANSWERED
from proctor.verifiers.core import Status

_OF_OUTCOME = {
    Outcome.OK: Status.CORRECT,
    Outcome.RUNTIME_ERROR: Status.RUNTIME_ERROR,
    Outcome.CPU_LIMIT: Status.TIME_LIMIT,
    Outcome.WALL_LIMIT: Status.TIME_LIMIT,
    Outcome.MEMORY_LIMIT: Status.MEMORY_LIMIT,
    Outcome.OUTPUT_LIMIT: Status.OUTPUT_LIMIT,
    Outcome.FILE_LIMIT: Status.OUTPUT_LIMIT,
    Outcome.PROCESS_LIMIT: Status.RUNTIME_ERROR,
    Outcome.SECURITY_VIOLATION: Status.SECURITY_VIOLATION,
    Outcome.COMPILE_ERROR: Status.COMPILE_ERROR,
    Outcome.INTERNAL_ERROR: Status.UNAVAILABLE,
}
# How an examiner says that the first test failed, where the candidate's own end does not say it better.
_OF_FAILURE = {
    "wrong": Status.INCORRECT,
    "tests": Status.INCORRECT,  # a test stumbled over the answer: len(None), None[0]
    "raised": Status.RUNTIME_ERROR,
    "missing": Status.RUNTIME_ERROR,
    "gone": Status.RUNTIME_ERROR,
    "garbled": Status.RUNTIME_ERROR,
    "nested": Status.RUNTIME_ERROR,
    "slow": Status.TIME_LIMIT,
    "flood": Status.OUTPUT_LIMIT,
    "forbidden": Status.SECURITY_VIOLATION,
}
_NOT_COMPILED = ("SyntaxError", "IndentationError", "TabError")
_OUT_OF_MEMORY = "MemoryError"
_TOO_LARGE = "TooLargeError"  # said by the candidate's end of what it was to send
_TAIL = 500
_CRASHES = (
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGABRT,
)  # of an interpreter: a stack that an answer has filled
_WELL_BEFORE_S = 1.0  # where the examiner ends first, its candidate follows at once


def of_execution(run: Execution) -> Status:
    """The status of a program that was run by itself; CORRECT says no more than that it ended well."""
    return _OF_OUTCOME[run.outcome]


def read_report(exam: Exam) -> dict[str, Any]:
    """The examiner's report; one that says what is wrong where there is none."""
    if Outcome.INTERNAL_ERROR in (exam.examiner.outcome, exam.candidate.outcome):
        detail = exam.examiner.detail or exam.candidate.detail
        return {"result": "unavailable", "detail": detail}
    if not exam.examiner.report:
        if _was_gone(exam):
            return {"result": "failed", "failure": {"kind": "gone", "error": "ended before the tests did"}}
        if ANSWERED in exam.examiner.stderr and (kind := _ended_by(exam.examiner)):
            error = f"ended the tests: {exam.examiner.outcome.value}"
            return {"result": "failed", "failure": {"kind": kind, "error": error}}
        how = exam.examiner.outcome.value
        return {
            "result": "error",
            "detail": f"the examiner ended without a report ({how}): {tail(exam.examiner)}",
        }
    report: dict[str, Any] = json.loads(exam.examiner.report)
    return report


def _ended_by(examiner: Execution) -> str:
    """How a failure is called that ended the tests' process when it worked with an answer; "" for their own exit."""
    if examiner.outcome in (Outcome.CPU_LIMIT, Outcome.WALL_LIMIT):
        return "slow"
    if examiner.outcome in (Outcome.MEMORY_LIMIT, Outcome.OUTPUT_LIMIT):
        return "flood"
    return "tests" if examiner.signal in _CRASHES else ""


def _was_gone(exam: Exam) -> bool:
    """Whether the candidate ended, or was ended at its limits, well before its examiner, which it made wait."""
    candidate = exam.candidate
    is_ended = candidate.exit_code is not None or candidate.signal is not None
    return is_ended and candidate.wall_s + _WELL_BEFORE_S < exam.examiner.wall_s


def read_own_report(run: Execution, nonce: str) -> dict[str, Any]:
    """The report of tests that ran beside their program; one that does not begin with the nonce is none."""
    if run.outcome is Outcome.INTERNAL_ERROR:
        return {"result": "unavailable", "detail": run.detail}
    try:
        report = json.loads(run.report.removeprefix(nonce.encode()))
    except (ValueError, RecursionError):
        report = None
    if not run.report.startswith(nonce.encode()) or not isinstance(report, dict) or "result" not in report:
        return {"result": "failed", "failure": {"kind": "gone", "error": "ended before the tests did"}}
    return report


def of_report(report: dict[str, Any], candidate: Execution) -> Status:
    """The status of an exam; CORRECT is for reports that say "passed" and for nothing else."""
    result = report["result"]
    if result == "passed":
        return Status.CORRECT
    if result == "failed":
        return _of_failure(report.get("failure") or {}, candidate)
    return {
        "void": Status.MISCONFIGURED,
        "needs": Status.MISCONFIGURED,
        "bad_tests": Status.BAD_REFERENCE,
        "unavailable": Status.UNAVAILABLE,
    }.get(result, Status.GRADER_ERROR)


def _of_failure(failure: dict[str, Any], candidate: Execution) -> Status:
    kind, error = failure.get("kind"), str(failure.get("error"))
    own = of_execution(candidate)
    if own not in (Status.CORRECT, Status.RUNTIME_ERROR) and kind not in ("wrong", "tests"):
        return own
    if error.startswith(_TOO_LARGE):
        return Status.OUTPUT_LIMIT
    if error.startswith(_OUT_OF_MEMORY) and kind in ("raised", "loading"):
        return Status.MEMORY_LIMIT
    if kind == "loading":
        return Status.COMPILE_ERROR if error.startswith(_NOT_COMPILED) else Status.RUNTIME_ERROR
    return _OF_FAILURE.get(str(kind), Status.GRADER_ERROR)


def tail(execution: Execution) -> str:
    """The end of what a program wrote to standard error."""
    return execution.stderr[-_TAIL:].decode("utf-8", "replace").strip()
