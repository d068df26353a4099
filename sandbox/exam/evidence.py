"""What a failing test shows: the check that failed, what went in, what came out, what was expected.

Made when the failure happens and only then. Everything is cut to a bounded text; nothing is asked of the
candidate for it.
"""

from __future__ import annotations

import ast
import sys
from itertools import islice
from types import FrameType, TracebackType
from typing import Any, TypeAlias

from proctor.sandbox.exam.calls import CallPaper
from proctor.sandbox.exam.examinee import NO_ANSWER, Examined
from proctor.sandbox.exam.link import ExamOverError
from proctor.sandbox.exam.paper import Paper
from proctor.sandbox.exam.program import where
from proctor.sandbox.exam.remote import RemoteClass
from proctor.sandbox.exam.remote_function import RemoteFunction
from proctor.sandbox.exam.showing import MAX_TEXT, show, show_call

_Span: TypeAlias = "tuple[tuple[int, int], tuple[int, int]]"  # from and up to: line, column


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
        """Whether what failed in the tests names something of the candidate's.

        `assert isinstance(Stack, type)` does, and `for word in WORDS` where the program has a function WORDS;
        a variable that holds a function or a class of the program counts as naming it.
        """
        if isinstance(self._paper, CallPaper):
            return False
        wanted = {*self._paper.wanted.names, "candidate"}
        check = _failed_assert(self._paper, error)
        if check is not None:
            return _mentions(check.test, wanted)
        frame, place = _failed_place(self._paper, error)
        if frame is None or place is None:
            return False
        names = _names_in(self._paper.texts[frame.f_code.co_filename], place)
        held = {**frame.f_globals, **frame.f_locals}
        return any(name in wanted or _is_of_program(held.get(name)) for name in names)

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
    trace = _trace_in_tests(paper, error)
    line, text = (trace.tb_lineno, paper.texts[trace.tb_frame.f_code.co_filename]) if trace else (0, "")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or node.lineno):
            return node
    return None


def _trace_in_tests(paper: Paper, error: BaseException) -> TracebackType | None:
    """Where in the tests' text an error arose, or what is called there raised it."""
    trace, found = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in paper.texts:
            found = trace
        trace = trace.tb_next
    return found


def _failed_place(paper: Paper, error: BaseException) -> tuple[FrameType | None, _Span | None]:
    """The frame of the tests that failed, and the expression in it; its line, where Python tells no more."""
    trace = _trace_in_tests(paper, error)
    if trace is None:
        return None, None
    code, line = trace.tb_frame.f_code, trace.tb_lineno
    if sys.version_info >= (3, 11):
        start, end, column, end_column = next(islice(code.co_positions(), trace.tb_lasti // 2, None))
        if None not in (start, end, column, end_column):
            return trace.tb_frame, ((start, column), (end, end_column))  # type: ignore[return-value]
    return trace.tb_frame, ((line, 0), (line + 1, 0))


def _names_in(text: str, place: _Span) -> set[str]:
    """The names that are used in a part of a source; where that is a loop or a definition, in its head."""
    start, end = place
    found = set()
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt) and start[0] < node.lineno and (node.lineno, node.col_offset) < end:
            continue
        if isinstance(node, ast.Name) and start <= (node.lineno, node.col_offset) < end:
            found.add(node.id)
        waiting += ast.iter_child_nodes(node)
    return found


def _is_of_program(value: object) -> bool:
    return isinstance(value, RemoteFunction | RemoteClass)


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
