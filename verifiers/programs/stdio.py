"""Rows whose tests are inputs and outputs: one jailed run a test, and a comparison out of its reach."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from proctor.sandbox.core import Execution, Limits, Outcome, Program, Sandbox
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.script import NOT_COMPILED
from proctor.sandbox.languages import find_language
from proctor.verifiers.core import Status, Verdict
from proctor.verifiers.programs.building import Builder, Built
from proctor.verifiers.programs.exams import failed, share
from proctor.verifiers.programs.extraction import Extracted
from proctor.verifiers.programs.output import Comparison, Match, compare, first_difference
from proctor.verifiers.programs.rows import fault
from proctor.verifiers.programs.sandboxes import tools_for
from proctor.verifiers.programs.statuses import of_execution, tail
from proctor.verifiers.programs.testset import Case, StdioTests

_SCRIPT = "proctor.sandbox.exam.script:run"
_CHECKER = "proctor.sandbox.exam.checker:check"
_CHECKER_LIMITS = Limits(cpu_s=10, wall_s=30, memory_mb=1024)
_NO = (b"0", b"0.0", b"False")  # as checkers of another convention print it, who always end with status 0
_THREADS = 8
_SHOWN = 300
builder = Builder()


@dataclass(frozen=True, slots=True)
class StdioRow:
    """One row to run."""

    extracted: Extracted
    tests: StdioTests


@dataclass(frozen=True, slots=True)
class StdioRules:
    """How rows are run and compared."""

    language: str
    sandbox_kind: str
    limits: Limits  # of one test
    comparison: Comparison
    tolerance: float
    partial: bool  # a share of the value for a share of the tests, so all of them are run
    max_timeouts: int  # but for those behind so many that ran out of time


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of one test."""

    status: Status
    execution: Execution
    detail: dict[str, Any]


def run_rows(rows: Sequence[StdioRow], sandbox: Sandbox, rules: StdioRules) -> list[Verdict]:
    """One verdict a row, in order; several rows at once."""
    with ThreadPoolExecutor(min(_THREADS, len(rows) or 1)) as pool:
        return list(pool.map(lambda row: _judge(row, sandbox, rules), rows))


def _judge(row: StdioRow, sandbox: Sandbox, rules: StdioRules) -> Verdict:
    try:
        return _judge_row(row, sandbox, rules)
    except Exception as error:  # the border of a row: the others go on
        return fault(error)


def _judge_row(row: StdioRow, sandbox: Sandbox, rules: StdioRules) -> Verdict:
    evidence: dict[str, Any] = {"extraction": row.extracted.rule, "code": row.extracted.code}
    built = None
    if find_language(rules.language).name != "python":
        tools = tools_for(rules.sandbox_kind, rules.language)
        built = builder.build(row.extracted.code, rules.language, sandbox, tools)
        if built.failed:
            return _not_compiled(built, evidence)
    results: list[_Result] = []
    for case in row.tests.cases:
        results.append(_run(case, row, built, sandbox, rules))
        if _is_decided(results, rules):
            break
    verdict = _sum_up(row, results, evidence, rules)
    return replace(verdict, seconds=sum(result.execution.wall_s for result in results))


def _is_decided(results: Sequence[_Result], rules: StdioRules) -> bool:
    """Whether the tests that are left need not be run."""
    status = results[-1].status
    if not status.has_value or status is Status.COMPILE_ERROR:
        return True
    if not rules.partial:
        return status is not Status.CORRECT
    return sum(result.status is Status.TIME_LIMIT for result in results) >= rules.max_timeouts


def _run(case: Case, row: StdioRow, built: Built | None, sandbox: Sandbox, rules: StdioRules) -> _Result:
    stdin = case.input.encode("utf-8", "surrogateescape")
    # Room for the right answer, however long: UTF-8 takes up to four bytes a character.
    most = max(rules.limits.output_bytes, 4 * len(case.output))
    limits = replace(rules.limits, output_bytes=most)
    if built is None:
        line = json.dumps({"sources": list(row.extracted.readings)}).encode()
        program = Program(entry=_SCRIPT, payload=line + b"\n" + stdin, limits=limits)
    else:
        program = built.program(stdin, limits)
    execution = sandbox.run(program)
    if execution.outcome is not Outcome.OK:
        not_compiled = built is None and execution.report == NOT_COMPILED
        return _Result(Status.COMPILE_ERROR if not_compiled else of_execution(execution), execution, {})
    got = execution.stdout.decode("utf-8", "surrogateescape")
    if row.tests.checker:
        return _ask_checker(case, got, row.tests.checker, execution, sandbox)
    match = compare(got, case.output, rules.comparison, rules.tolerance)
    if match is Match.EQUAL:
        return _Result(Status.CORRECT, execution, {})
    status = Status.PRESENTATION_ERROR if match is Match.SPACING else Status.INCORRECT
    return _Result(status, execution, {"line": first_difference(got, case.output)})


def _ask_checker(case: Case, got: str, source: str, execution: Execution, sandbox: Sandbox) -> _Result:
    spec = {"source": source, "input": case.input, "output": got, "expected": case.output}
    checked = sandbox.run(Program(entry=_CHECKER, payload=Encoder().encode(spec), limits=_CHECKER_LIMITS))
    if checked.outcome is Outcome.INTERNAL_ERROR:
        return _Result(Status.UNAVAILABLE, execution, {"problem": checked.detail})
    said = json.loads(checked.report) if checked.report else {}
    fault = said.get("fault") or (f"{checked.outcome.value}: {tail(checked)}" if "value" not in said else "")
    printed = checked.stdout.strip()
    if not fault and said["value"] >= 1 and printed in _NO:
        problem = (
            f"the checker printed {printed.decode()} and yet said yes; a script says no by exit status 1"
        )
        return _Result(Status.GRADER_ERROR, execution, {"problem": problem})
    if not fault:
        status = Status.CORRECT if said["value"] >= 1 else Status.INCORRECT
        return _Result(status, execution, {"checker": said["value"]})
    if not case.output.strip() and said.get("is_of_text", True):  # there is nothing else to try it on
        return _Result(Status.INCORRECT, execution, {"checker": f"could not read the output: {fault}"})
    if got != case.output:
        on_expected = _ask_checker(case, case.output, source, execution, sandbox)
        if on_expected.status.has_value:  # it works: what it stumbled over is this output
            return _Result(Status.INCORRECT, execution, {"checker": f"could not read the output: {fault}"})
        if on_expected.status is Status.UNAVAILABLE:
            return on_expected
    return _Result(Status.GRADER_ERROR, execution, {"problem": f"the checker failed: {fault}"})


def _sum_up(row: StdioRow, results: list[_Result], evidence: dict[str, Any], rules: StdioRules) -> Verdict:
    executions = [result.execution for result in results]
    passed = [result.status is Status.CORRECT for result in results]
    evidence |= {
        "passed": sum(passed),
        "tests": len(row.tests.cases),
        "cpu_s": round(max(execution.cpu_s for execution in executions), 4),
        "wall_s": round(max(execution.wall_s for execution in executions), 4),
        "memory_mb": round(max(execution.peak_memory_mb for execution in executions), 1),
        "isolation": executions[-1].isolation,
        "protocol": "standard input and output",
    }
    void = next((result for result in results if not result.status.has_value), None)
    if void is not None:
        problem = void.detail.get("problem") or void.execution.detail or "the sandbox failed"
        return Verdict(None, void.status, evidence | {"problem": problem})
    if all(passed):
        return Verdict(1.0, Status.CORRECT, evidence)
    number = passed.index(False)
    evidence["failure"] = _failure(number, row.tests.cases[number], results[number])
    reached = [*passed, *[None] * (len(row.tests.cases) - len(passed))]
    value = share(reached, row.tests.weights) if rules.partial else 0.0
    if rules.partial and len(passed) < len(reached):
        evidence["not_run"] = len(reached) - len(passed)
    return failed(results[number].status, value, evidence)


def _failure(number: int, case: Case, result: _Result) -> dict[str, Any]:
    got = result.execution.stdout.decode("utf-8", "replace")
    found = {
        "number": number,
        "input": case.input[:_SHOWN],
        "got": got[:_SHOWN],
        "expected": case.output[:_SHOWN],
        "outcome": result.execution.outcome.value,
        "exit_code": result.execution.exit_code,
        "signal": result.execution.signal,
        "stderr": tail(result.execution),
        **result.detail,
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def _not_compiled(built: Built, evidence: dict[str, Any]) -> Verdict:
    compiled = built.compiled
    assert compiled is not None  # `failed` says so
    evidence |= {"stderr": tail(compiled), "isolation": compiled.isolation, "detail": compiled.detail}
    if compiled.outcome is Outcome.INTERNAL_ERROR:
        return Verdict(None, Status.UNAVAILABLE, evidence | {"problem": compiled.detail})
    return Verdict(0.0, Status.COMPILE_ERROR, evidence | {"outcome": compiled.outcome.value})
