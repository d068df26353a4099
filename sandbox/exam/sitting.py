"""One candidate before one paper: bind names, run the tests, sum up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from proctor.sandbox.exam.bounds import UnsendableError
from proctor.sandbox.exam.calls import CallPaper
from proctor.sandbox.exam.decoys import agrees
from proctor.sandbox.exam.evidence import Evidence
from proctor.sandbox.exam.examinee import CandidateError, Examined, is_of_candidate
from proctor.sandbox.exam.grouping import Test
from proctor.sandbox.exam.link import ExamOverError
from proctor.sandbox.exam.names import Used
from proctor.sandbox.exam.paper import TESTS, BadTestsError, Paper
from proctor.sandbox.exam.patched import ProgramModule
from proctor.sandbox.exam.pytest_words import Skipped, UnknownWordError, stand_in
from proctor.sandbox.exam.sheet import CAUGHT, CHECKED, CHECKED_UNIT, DOUBLE, FAILS, REACHED, UNIT, Sheet
from proctor.sandbox.exam.suite import UnfitRowsError, collect
from proctor.sandbox.exam.unpickling import guard

_PACKAGE = __name__.rpartition(".")[0]


class Sitting:
    """One candidate before one paper. `keep_going`: later tests are run after a failure."""

    def __init__(self, paper: Paper | CallPaper, examinee: Examined, keep_going: bool) -> None:
        self._paper = paper
        self._names = examinee.names
        self._examinee = examinee
        self._evidence = Evidence(examinee, paper)
        self._keep_going = keep_going
        self._sheet = Sheet(paper.count, keep_going, self._evidence.of)
        self._missing: set[str] = set()
        self._is_introduced = False
        self._uses_of_names = 0
        self._found: Mapping[str, Any] = {}  # what the program has of the names that the tests want

    def hold(self) -> dict[str, Any]:
        """The report. Raises BadTestsError where the tests fail whoever the candidate is."""
        try:
            self._introduce()
            if isinstance(self._paper, CallPaper):
                self._paper.run(self._examinee, self._sheet)
            else:
                tell = getattr(self._examinee, "tell", None)  # none where the program is in this very process
                with modules_of_candidate(self._paper.used, self._importable(self._paper), tell):
                    self._run(self._paper)
        except (BadTestsError, UnknownWordError) as error:
            raise BadTestsError(str(error)) from error
        except BaseException as error:  # whatever a test, or an answer to one, raised
            if is_ours(error):
                raise
            if self._is_fault_of_tests(error):
                raise BadTestsError(f"{type(error).__name__}: {error}") from error
            self._sheet.fail(error)
        return self._report()

    def _introduce(self) -> None:
        wanted = self._paper.wanted
        found = self._examinee.introduce(wanted, self._paper.classes, self._paper.foreseen)
        self._missing = set(wanted.names) - found.keys()
        for name in self._missing.intersection(wanted.asked):
            self._names.pop(name, None)  # as in Python, where it is neither built in nor imported
        if wanted.entry in self._missing:
            raise NameError(f"the program does not define '{wanted.entry}'", name=wanted.entry)
        self._is_introduced, self._uses_of_names = True, self._examinee.uses
        self._names.update((name, value) for name, value in found.items() if name not in wanted.hidden)
        if wanted.entry:
            self._names.setdefault("candidate", found[wanted.entry])
        self._found = found

    def _importable(self, paper: Paper) -> dict[str, Any]:
        """What modules of the program's have: its own names, and those of the prompt."""
        names = {name: self._names[name] for name in paper.trusted.bound if name in self._names}
        return {"candidate": self._names.get("candidate"), **names, **self._found}

    def _run(self, paper: Paper) -> None:
        names = self._names
        if any("pickle" in text for text in paper.texts.values()):
            guard()
        if paper.listens:
            self._examinee.open_console()
        names[CHECKED] = self._sheet.checked
        names[REACHED] = self._sheet.reach
        names[CAUGHT] = self._sheet.caught
        names[DOUBLE] = self._sheet.double
        names[FAILS] = self._sheet.fails
        names[UNIT] = self._sheet.unit
        names[CHECKED_UNIT] = self._sheet.checked_unit
        for code, number in paper.parts:
            if number is None:
                exec(code, names)
                continue
            with self._sheet.unit(number):
                exec(code, names)
        if paper.style == "check" and not paper.calls_itself:
            names[paper.check_name](names.get("candidate"))
        elif paper.style == "suite" or TESTS in paper.texts:  # what a script defined as it ran
            self._run_suite(paper)

    def _run_suite(self, paper: Paper) -> None:
        candidate = self._names.get("candidate")
        tests = collect(self._names, {"candidate": candidate, paper.wanted.entry: candidate})
        if not tests and paper.style == "suite":
            if self._examinee.uses > self._uses_of_names:
                raise AssertionError(_LED_PAST)  # rows of `parametrize` may be its answers
            raise BadTestsError("no test was collected")
        begun = len(self._sheet.passed)
        self._sheet.passed += [None] * len(tests)
        for number, test in enumerate(tests, begun):
            self._evidence.test_name = test.name
            with self._sheet.unit(number):
                self._run_test(test)

    def _run_test(self, test: Test) -> None:
        """Raises UnknownWordError for one that leaves itself out before the candidate has had a part in it.

        Behind an answer it may be the answer that decides: neither a pass nor a way out.
        """
        uses = self._examinee.uses
        try:
            test.run()
        except Skipped as error:
            if self._examinee.uses == uses:
                raise UnknownWordError(f"a test that skips itself: {error}") from error
            raise AssertionError(f"skipped while it ran: {error}") from error

    def _is_fault_of_tests(self, error: BaseException) -> bool:
        """Whether the tests failed without the candidate having had a part in it."""
        if isinstance(error, Skipped) and self._examinee.uses == self._uses_of_names:
            return True
        if isinstance(error, ExamOverError) or self._examinee.uses or self._examinee.last_error:
            return False
        is_missing = isinstance(error, NameError) and error.name in self._missing
        if isinstance(error, ImportError) and isinstance(self._paper, Paper):  # `from solution import f`
            is_missing = bool(self._missing) and error.name in self._paper.used.modules
        return self._is_introduced and not (is_missing or self._evidence.is_about_candidate(error))

    def _agreeing(self) -> str:
        kinship = getattr(self._examinee, "kinship", None)  # none where the program is in this very process
        try:
            return kinship.agreeing(partial(agrees, "eq")) if kinship is not None else ""
        except BaseException as error:
            if is_ours(error):
                raise
            return ""  # what a class may raise of other objects than the tests compared

    def _report(self) -> dict[str, Any]:
        sheet, examinee = self._sheet, self._examinee
        if sheet.failure is None and examinee.over:
            sheet.fail(ExamOverError(examinee.over))
        if sheet.failure is None and examinee.uses and sheet.reached and not sheet.checks:
            # `for x in f(1): assert x > 0`: an answer without members must not be nobody's fault
            sheet.fail(AssertionError(_LED_PAST))
            sheet.passed = [False for _ in sheet.passed]
        if sheet.failure is None and (kind := self._agreeing()):
            sheet.fail(AssertionError(f"{kind} calls all of its objects equal"))
            sheet.passed = [False for _ in sheet.passed]
        checked = sheet.checks > 0 and examinee.uses > 0
        result = ("passed" if checked else "void") if sheet.failure is None else "failed"
        return {
            "result": result,
            "tests": sheet.passed,
            "checks": sheet.checks,
            "uses": examinee.uses,
            "failure": sheet.evidence,
        }


_LED_PAST = "its answers led past every check"

# Where an exception of ours could arise; in the other modules it is told on purpose, or made of an answer.
_OURS = frozenset(
    {"sitting", "suite", "sheet", "evidence", "calls", "examinee", "link", "encode", "decode", "changes"}
)
_TOLD = (
    ExamOverError,
    CandidateError,
    UnsendableError,
    AssertionError,
    NameError,
    RecursionError,
    MemoryError,
    UnfitRowsError,
)


def is_ours(error: BaseException) -> bool:
    """Whether an exception was raised by a fault of our own code, not by tests or by what a candidate sent."""
    trace = error.__traceback__
    if trace is None or isinstance(error, _TOLD) or is_of_candidate(error):
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "").rpartition(".")[::2] in {
        (_PACKAGE, name) for name in _OURS
    }


@contextmanager
def modules_of_candidate(
    used: Used, names: Mapping[str, Any], tell: Callable[..., Any] | None = None
) -> Iterator[None]:
    """Makes `from solution import f` work: modules that are not to be found are the candidate's program."""
    imported = {name: names[name] for name in used.imports.values() if name in names}
    modules: dict[str, ModuleType] = {name: ProgramModule(name, imported, tell) for name in used.modules}
    if "pytest" in modules:
        modules["pytest"] = stand_in()  # with nothing of the program's: it would check itself
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)
