"""The cheap companions of `code`: `compiles`, `executes` and `code_quality`. None says that a program is right."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from proctor.sandbox.core import Execution, Limits, Outcome, Program, Sandbox
from proctor.sandbox.exam.script import NOT_COMPILED
from proctor.sandbox.languages import find_language
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Cost, Part
from proctor.verifiers.programs.extraction import Extracted, Rule
from proctor.verifiers.programs.rows import (
    Isolation,
    Where,
    check_language,
    check_limits,
    extract_row,
    run_limits,
    sandboxed,
)
from proctor.verifiers.programs.sandboxes import SandboxKey, tools_for
from proctor.verifiers.programs.statuses import of_execution, tail
from proctor.verifiers.programs.stdio import builder
from proctor.verifiers.registry import register

_COMPILE_LIMITS = Limits(cpu_s=10, wall_s=30, memory_mb=1024)
_RUFF_LIMITS = Limits(cpu_s=10, wall_s=30, memory_mb=1024)
_RUFF_OPTIONS = ("--isolated", "--no-cache", "--output-format=json", "--select=E4,E7,E9,F")
_RUFF_FELL = b"overflowed its stack"  # over brackets or signs nested in thousands, which Python refuses too
_SHOWN_FINDINGS = 20


@register
@dataclass(frozen=True, slots=True)
class Compiles(Part):
    """Whether the program in a response compiles.

    What it measures: the language's own compiler, or syntax check, accepts the extracted code.

    Formula and range: 1 if it does, else 0; a response without code is NO_ANSWER, 0.

    What it pays wrongly: every program that compiles, empty ones too. Use it beside `code`, with a small weight.

    Source: the compile stage of programming judges.
    """

    name: ClassVar[str] = "compiles"
    cost: ClassVar[Cost] = Cost.MILLISECONDS

    language: str = "python"
    extraction: Rule = "last"
    sandbox: Where = "local"
    isolation: Isolation = "full"

    def __post_init__(self) -> None:
        check_language(self.language)

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        key = SandboxKey(self.sandbox, self.isolation, language=self.language)
        judge = partial(_compile, key=key)
        return _each(rollouts, key, self.language, self.extraction, judge)


@register
@dataclass(frozen=True, slots=True)
class Executes(Part):
    """Whether the program in a response runs to its end, on empty standard input, without an error.

    What it measures: exit status 0 within the limits. What it prints does not matter.

    Formula and range: 1 if it does, else 0; a response without code is NO_ANSWER, 0.

    What it pays wrongly: a program that does nothing; a definition that is never called. A program that wants
    input fails. Use it beside `code`, with a small weight.

    Source: execution as a reward of its own, CodeRL, arXiv:2207.01780, equation 2.
    """

    name: ClassVar[str] = "executes"
    cost: ClassVar[Cost] = Cost.SECONDS

    language: str = "python"
    timeout: float = 5.0
    memory_mb: int = 1024
    extraction: Rule = "last"
    packages: tuple[str, ...] = ()
    sandbox: Where = "local"
    isolation: Isolation = "full"

    def __post_init__(self) -> None:
        check_language(self.language)
        check_limits(self.timeout, self.memory_mb)

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        key = SandboxKey(self.sandbox, self.isolation, self.packages, self.language)
        limits = run_limits(self.timeout, self.memory_mb)
        judge = partial(_execute, key=key, limits=limits)
        return _each(rollouts, key, self.language, self.extraction, judge)


@register
@dataclass(frozen=True, slots=True)
class CodeQuality(Part):
    """How clean the program in a response is, by a linter.

    What it measures: findings of `ruff` on the extracted code, by the rules below and no configuration file: what
    ruff's own defaults are differs from version to version. Only Python.

    Formula and range: max(0, 1 - findings / lines), lines being those that are not blank; in [0, 1]. Code
    that does not parse gets 0.

    What it pays wrongly: short and empty programs, and `# noqa`. Use it with a small weight, behind a gate.

    Source: ruff's rules F, E4, E7 and E9, after pyflakes and pycodestyle: its defaults for years.
    """

    name: ClassVar[str] = "code_quality"
    cost: ClassVar[Cost] = Cost.MILLISECONDS

    tool: Literal["ruff"] = "ruff"
    extraction: Rule = "last"

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        key = SandboxKey("local", "full", readable=ruff_folder())
        return _each(rollouts, key, "python", self.extraction, _lint)


def ruff_path() -> str | None:
    """ruff beside this interpreter, or on the PATH; None where it is not installed."""
    beside = Path(sys.executable).with_name("ruff")
    return str(beside) if beside.exists() else shutil.which("ruff")


def ruff_folder() -> tuple[str, ...]:
    path = ruff_path()
    return () if path is None or path.startswith("/usr/") else (str(Path(path).resolve()),)


def _each(
    rollouts: Sequence[Rollout],
    key: SandboxKey,
    language: str,
    rule: Rule,
    judge: Callable[[Extracted, Sandbox], Verdict],
) -> list[Verdict]:
    """Verdicts on what the rollouts' responses hold; NO_ANSWER where they hold no code."""
    taken = [extract_row(rollout, language, rule) for rollout in rollouts]
    judged = iter(sandboxed([one for one in taken if one.readings], key, judge))
    return [
        next(judged) if one.readings else Verdict(0.0, Status.NO_ANSWER, {"extraction": one.rule})
        for one in taken
    ]


def _compile(extracted: Extracted, sandbox: Sandbox, *, key: SandboxKey) -> Verdict:
    evidence: dict[str, Any] = {"extraction": extracted.rule, "code": extracted.code}
    if find_language(key.language).name == "python":
        payload = json.dumps({"sources": list(extracted.readings)}).encode()
        program = Program(entry="proctor.sandbox.exam.script:check", payload=payload, limits=_COMPILE_LIMITS)
        done = sandbox.run(program)
        failed = done.outcome is not Outcome.OK
    else:
        built = builder.build(extracted.code, key.language, sandbox, tools_for(key.kind, key.language))
        if built.compiled is None:
            return Verdict(1.0, Status.CORRECT, evidence)
        done, failed = built.compiled, built.failed
    if done.outcome is Outcome.INTERNAL_ERROR:
        return Verdict(None, Status.UNAVAILABLE, evidence | {"problem": done.detail})
    if failed:
        return Verdict(0.0, Status.COMPILE_ERROR, evidence | {"stderr": tail(done)})
    return Verdict(1.0, Status.CORRECT, evidence)


def _execute(extracted: Extracted, sandbox: Sandbox, *, key: SandboxKey, limits: Limits) -> Verdict:
    evidence: dict[str, Any] = {"extraction": extracted.rule, "code": extracted.code}
    if find_language(key.language).name == "python":
        payload = json.dumps({"sources": list(extracted.readings)}).encode() + b"\n"
        program = Program(entry="proctor.sandbox.exam.script:run", payload=payload, limits=limits)
    else:
        built = builder.build(extracted.code, key.language, sandbox, tools_for(key.kind, key.language))
        if built.failed:
            return _compile(extracted, sandbox, key=key)
        program = built.program(b"", limits)
    done = sandbox.run(program)
    status = Status.COMPILE_ERROR if done.report == NOT_COMPILED else of_execution(done)
    if not status.has_value:
        return Verdict(None, status, evidence | {"problem": done.detail})
    evidence |= {"stdout": _head(done), "stderr": tail(done), "exit_code": done.exit_code}
    return Verdict(float(status is Status.CORRECT), status, evidence | {"isolation": done.isolation})


def _lint(extracted: Extracted, sandbox: Sandbox) -> Verdict:
    path = ruff_path()
    if path is None:
        return Verdict(None, Status.MISCONFIGURED, {"problem": "ruff is not installed: pip install ruff"})
    code = extracted.code
    command = (str(Path(path).resolve()), "check", *_RUFF_OPTIONS, "-")
    done = sandbox.run(Program(argv=command, stdin=code.encode("utf-8", "replace"), limits=_RUFF_LIMITS))
    if done.outcome is Outcome.INTERNAL_ERROR:
        return Verdict(None, Status.UNAVAILABLE, {"problem": done.detail})
    if done.outcome is Outcome.OUTPUT_LIMIT:
        return Verdict(0.0, Status.MEASURED, {"problem": "more findings than can be listed"})
    if _RUFF_FELL in done.stderr:
        return Verdict(0.0, Status.MEASURED, {"problem": "nested too deep to be read"})
    try:
        findings = json.loads(done.stdout)
    except ValueError:
        return Verdict(None, Status.GRADER_ERROR, {"problem": f"ruff gave no findings: {tail(done)}"})
    lines = sum(bool(line.strip()) for line in code.splitlines())
    names = [f"{one['location']['row']}: {one['code'] or 'syntax'} {one['message']}" for one in findings]
    unreadable = any(one["code"] in (None, "invalid-syntax") for one in findings)
    value = 0.0 if unreadable else max(0.0, 1.0 - len(findings) / max(lines, 1))
    evidence = {"findings": names[:_SHOWN_FINDINGS], "count": len(findings), "lines": lines}
    return Verdict(value, Status.MEASURED, evidence)


def _head(done: Execution) -> str:
    return done.stdout[:300].decode("utf-8", "replace")
