"""The reward parts that run programs: `code`, and its cheap companions `compiles`, `executes`, `code_quality`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import ClassVar, Literal, TypeVar

from proctor.sandbox.core import Limits, Sandbox, SandboxError
from proctor.sandbox.languages import MissingToolError, find_language
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Cost, Part
from proctor.verifiers.programs.companions import CodeQuality, Compiles, Executes
from proctor.verifiers.programs.exams import ExamRow, examine_rows, run_together
from proctor.verifiers.programs.extraction import SOLUTION, Rule, is_solution
from proctor.verifiers.programs.gathering import entry_of, fault_of_source, gather, with_checker
from proctor.verifiers.programs.output import Comparison
from proctor.verifiers.programs.prompts import code_of_prompt
from proctor.verifiers.programs.rows import (
    Isolation,
    Where,
    check_language,
    check_limits,
    extract_row,
    fault,
    run_limits,
)
from proctor.verifiers.programs.sandboxes import SandboxKey, sandbox_for
from proctor.verifiers.programs.stdio import StdioRow, StdioRules, run_rows
from proctor.verifiers.programs.testset import ExamTests, StdioTests, TestShapeError, read_tests
from proctor.verifiers.registry import register

Row = TypeVar("Row")
_PYTHON_ONLY = "tests that call functions are for Python programs"
_WHOLE_PROGRAMS = "other programs are tested whole, by inputs and outputs"
_TOLERANCE = 1e-6  # what judges allow for printed floats

__all__ = ["Code", "CodeQuality", "Compiles", "Executes"]


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
        tests: column that holds the tests, or several columns of one shape: "public_tests, private_tests".
        entry_point: column that names the function under test, where the tests do not.
        language: of the programs. Tests that call functions are for Python.
        timeout: processor seconds of one run: of all calls together, or of one test on standard input. By the
            clock it may take 4 s more, not counting what it waits for a processor.
        memory_mb: of one run.
        max_timeouts: with `credit="partial"`, tests on standard input that may run out of time: behind so many, the
            rest are not run and do not pass. So a row takes at most so many limits longer than what passes in it.
        comparison, tolerance: of printed outputs; see `output.py`. A tolerance of 0 is 1e-6 for "float"; any
            other also holds for floats in lists of calls.
        extraction: which fenced block of a response counts.
        prelude: whether the usual star imports stand before a program; None: for methods of a class only.
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
    timeout: float = 5.0
    memory_mb: int = 1024
    credit: Literal["all", "partial"] = "all"
    max_timeouts: int = 5
    comparison: Comparison = "token"
    tolerance: float = 0.0
    extraction: Rule = "last"
    prelude: bool | None = None
    packages: tuple[str, ...] = ()
    sandbox: Where = "local"
    isolation: Isolation = "full"
    tests_in_process: bool = False

    def __post_init__(self) -> None:
        check_language(self.language)
        check_limits(self.timeout, self.memory_mb)
        if self.max_timeouts < 1:
            raise ValueError(f"option 'max_timeouts' must be 1 or more, got {self.max_timeouts}")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"option 'tolerance' must be 0 or more and finite, got {self.tolerance:g}")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.tests.split(","))

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        scripts: dict[int, StdioRow] = {}

        def exams() -> Iterator[tuple[int, ExamRow]]:
            """Rows are read while those before them are examined; what is for others is put aside."""
            for place, rollout in enumerate(rollouts):
                row = self._row(rollout)
                if isinstance(row, ExamRow):
                    yield place, row
                elif isinstance(row, StdioRow):
                    scripts[place] = row
                else:
                    verdicts[place] = row

        verdicts |= self._examine(exams())
        verdicts |= self._run_scripts(scripts)
        return [verdicts[place] for place in range(len(rollouts))]

    def _row(self, rollout: Rollout) -> ExamRow | StdioRow | Verdict:
        """What is to be run for a rollout, or the verdict where nothing is."""
        prompt_code = code_of_prompt(rollout)
        options = {"keep_going": self._is_partial} | (
            {"rel": self.tolerance, "abs": self.tolerance} if self.tolerance else {}
        )
        try:
            given = gather(rollout, self.columns, self.language)
            named = entry_of(rollout, self.entry_point)
            read = partial(read_tests, given, entry=named, prompt_code=prompt_code, options=options)
            tests = with_checker(read(), rollout)
        except TestShapeError as error:
            return self._misconfigured(str(error))
        if isinstance(tests, ExamTests) and find_language(self.language).name != "python":
            return self._misconfigured(f"{_PYTHON_ONLY}, not for {self.language}; {_WHOLE_PROGRAMS}")
        entry, text = (tests.entry, tests.spec) if isinstance(tests, ExamTests) else ("", b"")
        extracted = extract_row(rollout, self.language, self.extraction, prompt_code, entry, text)
        if not extracted.readings:
            if fault := fault_of_source(
                given
            ):  # else a forgotten `language` would cost every program its value
                return self._misconfigured(f"the tests are no Python: {fault}; {_PYTHON_ONLY}")
            return Verdict(0.0, Status.NO_ANSWER, {"extraction": extracted.rule})
        if isinstance(tests, StdioTests):
            return StdioRow(extracted, tests)
        if is_solution(extracted.readings[0], entry):
            tests = read(owner=SOLUTION)
            assert isinstance(tests, ExamTests)  # of the same shape as before
        of_class = "." in tests.entry or b"Solution()" in tests.spec or f"class {SOLUTION}" in prompt_code
        prelude = of_class if self.prelude is None else self.prelude
        return ExamRow(extracted, tests, prelude)

    def _misconfigured(self, problem: str) -> Verdict:
        return Verdict(None, Status.MISCONFIGURED, {"problem": problem, "column": self.tests})

    def _examine(self, exams: Iterator[tuple[int, ExamRow]]) -> dict[int, Verdict]:
        examine = run_together if self.tests_in_process else examine_rows
        return self._in_sandbox(
            exams, lambda rows, sandbox: examine(rows, sandbox, self._limits, partial=self._is_partial)
        )

    def _run_scripts(self, scripts: dict[int, StdioRow]) -> dict[int, Verdict]:
        rules = StdioRules(
            self.language,
            self.sandbox,
            self._limits,
            self.comparison,
            self.tolerance or _TOLERANCE,
            self._is_partial,
            self.max_timeouts,
        )
        return self._in_sandbox(
            iter(scripts.items()), lambda rows, sandbox: run_rows(list(rows), sandbox, rules)
        )

    def _in_sandbox(
        self,
        rows: Iterator[tuple[int, Row]],
        judge: Callable[[Iterator[Row], Sandbox], Iterable[Verdict]],
    ) -> dict[int, Verdict]:
        """Verdicts by place; where the sandbox fails, the same fault for all that have none by then."""
        places: list[int] = []

        def taken() -> Iterator[Row]:
            for place, row in rows:
                places.append(place)
                yield row

        waiting = taken()
        found: list[Verdict] = []
        first = next(waiting, None)
        if first is None:
            return {}
        try:
            sandbox = sandbox_for(SandboxKey(self.sandbox, self.isolation, self.packages, self.language))
            for verdict in judge(chain([first], waiting), sandbox):
                found.append(verdict)
        except (MissingToolError, SandboxError, ImportError) as error:
            deque(waiting, maxlen=0)
            found += [fault(error)] * (len(places) - len(found))
        return dict(zip(places, found, strict=True))

    @property
    def _limits(self) -> Limits:
        return run_limits(self.timeout, self.memory_mb)

    @property
    def _is_partial(self) -> bool:
        return self.credit == "partial"
