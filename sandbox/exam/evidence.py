"""What a failing test shows: the check that failed, what went in, what came out, what was expected.

Made when the failure happens and only then. Everything is cut to a bounded text; nothing is asked of the
candidate for it.
"""

from __future__ import annotations

import ast
from typing import Any

from proctor.sandbox.exam.calls import CallPaper
from proctor.sandbox.exam.examinee import NO_ANSWER, Examined
from proctor.sandbox.exam.link import ExamOverError
from proctor.sandbox.exam.paper import Paper
from proctor.sandbox.exam.program import where
from proctor.sandbox.exam.showing import MAX_TEXT, show, show_call


class Evidence:
    """Collects the evidence of a failure."""

    def __init__(self, examinee: Examined, paper: Paper | CallPaper) -> None:
        self.test_name = ""
        self._examinee = examinee
        self._paper = paper

    def of(self, error: BaseException, number: int | None) -> dict[str, Any]:
        """What is known of a failure of test `number`: plain data for the report."""
        found: dict[str, Any] = {"kind": self._kind(error), "error": _describe(error), "number": number}
        found["where"] = (self._examinee.last_error or (None, None))[1] if found["kind"] == "raised" else None
        if self._examinee.last_call:
            found["input"] = show_call(self._examinee.last_call)
            answer = self._examinee.last_answer
            if answer is not NO_ANSWER:
                found["got"] = show(answer)
        if isinstance(self._paper, CallPaper):
            if number is not None:
                found["expected"] = " or ".join(map(show, self._paper.expected[number]))
            return found
        return found | self._check(self._paper, error, number)

    def is_about_candidate(self, error: BaseException) -> bool:
        """Whether a check failed that names something of the candidate's: `assert isinstance(Stack, type)`."""
        check = None if isinstance(self._paper, CallPaper) else _failed_assert(self._paper, error)
        return check is not None and _mentions(check.test, {*self._paper.wanted.names, "candidate"})

    def _kind(self, error: BaseException) -> str:
        """loading, missing, gone, garbled ..., raised (by the candidate), wrong, or tests (they stumbled)."""
        if isinstance(error, ExamOverError):
            return str(error).partition(":")[0]
        last = self._examinee.last_error
        if last is not None and _comes_from(error, last[0]):
            return "raised" if self._examinee.uses else "loading"
        is_assertion = isinstance(error, AssertionError) or type(error).__name__ == "Failed"
        if where(error) and not is_assertion:
            return "raised"  # in the tests' own interpreter
        if isinstance(error, NameError) and not self._examinee.uses:
            return "missing"
        return "wrong" if is_assertion else "tests"

    def _check(self, paper: Paper, error: BaseException, number: int | None) -> dict[str, Any]:
        """The text of the test, and of the assert in it that did not hold."""
        found: dict[str, Any] = {}
        if number is not None:
            found["test"] = self.test_name or paper.shown(number)
        check = _failed_assert(paper, error)
        if check is None:
            return found
        found["check"] = ast.unparse(check)[:MAX_TEXT]
        if (
            isinstance(check.test, ast.Compare)
            and len(check.test.ops) == 1
            and isinstance(check.test.ops[0], ast.Eq)
        ):
            sides = [check.test.left, check.test.comparators[0]]
            wanted = {*paper.wanted.names, "candidate"}
            plain = [side for side in sides if not _mentions(side, wanted)]
            if plain:
                found["expected"] = ast.unparse(plain[-1])[:MAX_TEXT]
        return found


def _failed_assert(paper: Paper, error: BaseException) -> ast.Assert | None:
    trace, line, text = error.__traceback__, 0, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name in paper.texts:
            line, text = trace.tb_lineno, paper.texts[name]
        trace = trace.tb_next
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or node.lineno):
            return node
    return None


def _mentions(node: ast.expr, names: set[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(node))


def _comes_from(error: BaseException, source: BaseException) -> bool:
    return error is source or error.__cause__ is source or error.__context__ is source


def _describe(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException:  # a __str__ that fails: of a class of the tests, or of what the candidate raised
        text = ""
    return f"{type(error).__name__}: {text}"[:MAX_TEXT] if text else type(error).__name__
