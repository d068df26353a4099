"""The reward parts that run programs: `code`, and its cheap companions `compiles`, `executes`, `code_quality`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias

from proctor.sandbox.core import IsolationError, Limits, SandboxError
from proctor.sandbox.languages import MissingToolError, find_language
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Cost, Part
from proctor.verifiers.programs.exams import ExamRow, examine_rows
from proctor.verifiers.programs.extraction import Extracted, Rule, extract
from proctor.verifiers.programs.output import Comparison
from proctor.verifiers.programs.prompts import code_of_prompt
from proctor.verifiers.programs.sandboxes import SandboxKey, sandbox_for
from proctor.verifiers.programs.stdio import StdioRow, StdioRules, run_rows
from proctor.verifiers.programs.testset import ExamTests, StdioTests, TestShapeError, read_tests
from proctor.verifiers.registry import register
from proctor.verifiers.thinking import opens_thinking

Where: TypeAlias = Literal["local", "docker"]
Isolation: TypeAlias = Literal["full", "no-landlock", "no-namespaces", "process"]


@register
@dataclass(frozen=True, slots=True)
class Code(Part):
    """Whether the program in a response passes its tests, which it never gets to see.

    What it measures: the tests run in one jailed process, the program in another; only inputs and plain
    results cross. The shapes that tests may have are listed in `verifiers/programs/testset.py`.

    Formula and range: `credit="all"`: 1 if every test passes, else 0. `credit="partial"`: weight of the tests
    that pass over the weight of all, in [0, 1].

    What it pays wrongly: what the tests do not look at. With `credit="partial"`, a constant answer that half of
    the tests expect. With `comparison="float"`, a guess within the tolerance.

    Source: HumanEval, arXiv:2107.03374, section 2; MBPP, arXiv:2108.07732; APPS, arXiv:2105.09938.

    Options:
        tests: column that holds the tests.
        entry_point: column that names the function under test, where the tests do not.
        language: of the programs. Tests that call functions are for Python.
        timeout: processor seconds of one run: of all calls together, or of one test on standard input.
        memory_mb: of one run.
        comparison, tolerance: of printed outputs; see `output.py`. A tolerance other than 0 also holds for
            floats in lists of calls.
        extraction: which fenced block of a response counts.
        prelude: whether the usual star imports stand before a program; None: for `Class.method` only.
        packages: installed distributions that programs may import.
        sandbox, isolation: where programs run. Weaker isolation is by name only, and in every verdict.
        tests_in_process: run the tests beside the program, for tests that need its own objects. Weaker: what a
            program does to the interpreter can change its verdict. In every verdict.
    """

    name: ClassVar[str] = "code"
    cost: ClassVar[Cost] = Cost.SECONDS
    exam: ClassVar[bool] = True

    tests: str = "tests"
    entry_point: str = "entry_point"
    language: str = "python"
    timeout: float = 10.0
    memory_mb: int = 1024
    credit: Literal["all", "partial"] = "all"
    comparison: Comparison = "token"
    tolerance: float = 0.0
    extraction: Rule = "last"
    prelude: bool | None = None
    packages: tuple[str, ...] = ()
    sandbox: Where = "local"
    isolation: Isolation = "full"
    tests_in_process: bool = False

    def __post_init__(self) -> None:
        _check_options(self.language, self.timeout)
        if self.tolerance < 0:
            raise ValueError(f"option 'tolerance' must be 0 or more, got {self.tolerance:g}")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.tests,)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        exams: dict[int, ExamRow] = {}
        scripts: dict[int, StdioRow] = {}
        for place, rollout in enumerate(rollouts):
            row = self._row(rollout)
            if isinstance(row, ExamRow):
                exams[place] = row
            elif isinstance(row, StdioRow):
                scripts[place] = row
            else:
                verdicts[place] = row
        verdicts |= self._run(exams, scripts)
        return [verdicts[place] for place in range(len(rollouts))]

    def _row(self, rollout: Rollout) -> ExamRow | StdioRow | Verdict:
        """What is to be run for a rollout, or the verdict where nothing is."""
        prompt_code = code_of_prompt(rollout)
        named = rollout.get(self.entry_point) or rollout.get("fn_name") or ""
        options = {"keep_going": self.credit == "partial"} | (
            {"rel": self.tolerance, "abs": self.tolerance} if self.tolerance else {}
        )
        try:
            tests = read_tests(
                rollout.get(self.tests), entry=str(named), prompt_code=prompt_code, options=options
            )
        except TestShapeError as error:
            return Verdict(None, Status.MISCONFIGURED, {"problem": str(error), "column": self.tests})
        entry = tests.entry if isinstance(tests, ExamTests) else ""
        extracted = _extract(rollout, self.language, self.extraction, prompt_code, entry)
        if not extracted.readings:
            return Verdict(0.0, Status.NO_ANSWER, {"extraction": extracted.rule})
        if isinstance(tests, StdioTests):
            return StdioRow(extracted, tests)
        if self.language != "python":
            problem = f"tests that call functions are for Python programs, not for {self.language}"
            return Verdict(None, Status.MISCONFIGURED, {"problem": problem, "column": self.tests})
        prelude = "." in entry if self.prelude is None else self.prelude
        return ExamRow(extracted, tests, prelude)

    def _run(self, exams: dict[int, ExamRow], scripts: dict[int, StdioRow]) -> dict[int, Verdict]:
        limits = run_limits(self.timeout, self.memory_mb)
        places = [*exams, *scripts]
        try:
            sandbox = sandbox_for(SandboxKey(self.sandbox, self.isolation, self.packages, self.language))
            rules = StdioRules(
                self.language, limits, self.comparison, self.tolerance, self.credit == "partial"
            )
            found = (
                examine_rows(list(exams.values()), sandbox, limits, partial=rules.partial) if exams else []
            )
            found += run_rows(list(scripts.values()), sandbox, rules) if scripts else []
        except (MissingToolError, IsolationError, ImportError) as error:
            found = [Verdict(None, Status.MISCONFIGURED, {"problem": str(error)})] * len(places)
        except SandboxError as error:
            found = [Verdict(None, Status.UNAVAILABLE, {"problem": str(error)})] * len(places)
        return dict(zip(places, found, strict=True))


def run_limits(timeout: float, memory_mb: int) -> Limits:
    """Processor seconds are the limit; the clock's is wider, so that a busy machine is not a verdict."""
    return Limits(cpu_s=timeout, wall_s=2 * timeout + 5, memory_mb=memory_mb)


def _extract(rollout: Rollout, language: str, rule: Rule, prompt_code: str, entry: str) -> Extracted:
    return extract(
        rollout.completion,
        language=language,
        rule=rule,
        prompt_code=prompt_code,
        entry=entry,
        is_thinking=opens_thinking(rollout.prompt),
    )


def _check_options(language: str, timeout: float) -> None:
    try:
        find_language(language)
    except KeyError as error:
        raise ValueError(str(error.args[0])) from error
    if timeout <= 0:
        raise ValueError(f"option 'timeout' must be above 0, got {timeout:g}")
