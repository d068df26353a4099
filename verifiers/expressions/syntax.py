"""Source text -> Python's syntax tree, with the places of things in it, and the error that points at one."""

from __future__ import annotations

import ast
import re
import threading
import unicodedata
import warnings
from typing import Any, NamedTuple, NoReturn

MAX_SOURCE = 100_000  # characters; a schema may be long
_SHOWN = 100  # characters of a long line that are shown around the place
_LOCK = threading.Lock()  # warnings.catch_warnings is not safe between threads
_CONTROL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[abfv]")


class Span(NamedTuple):
    """Characters start up to, not including, end."""

    start: int
    end: int


class ExpressionError(ValueError):
    """A reward expression that cannot be read: the problem, and the span of the source that has it.

    `str` gives line, column and problem, then the line with carets under the span.
    """

    def __init__(self, problem: str, source: str, *, span: Span) -> None:
        super().__init__(problem)
        self.problem, self.source, self.span = problem, source, span

    def __reduce__(self) -> tuple[Any, ...]:
        return _error, (self.problem, self.source, tuple(self.span))

    def __str__(self) -> str:
        line = self.source.count("\n", 0, self.span.start) + 1
        column = self.span.start - self.source.rfind("\n", 0, self.span.start)
        return f"line {line}, column {column}: {self.problem}\n{point_at(self.source, self.span)}"


def _error(problem: str, source: str, span: tuple[int, int]) -> ExpressionError:
    return ExpressionError(problem, source, span=Span(*span))


class Source:
    """The text of an expression, with line ends made one."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n").replace("\r", "\n")
        # In parentheses, an expression may go over several lines, be indented, and end in a comment.
        self._lines = f"({self.text}\n)".split("\n")
        self._starts = [-1]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def fail(self, problem: str, at: ast.AST | Span, cause: Exception | None = None) -> NoReturn:
        span = at if isinstance(at, Span) else self.span(at)
        raise ExpressionError(problem, self.text, span=span) from cause

    def span(self, tree: ast.AST) -> Span:
        place: Any = tree
        start = self._offset(place.lineno, place.col_offset)
        return Span(start, self._offset(place.end_lineno, place.end_col_offset))

    def with_parentheses(self, span: Span, *, within: Span) -> Span:
        """The span widened over the pairs of parentheses directly around it, as far as `within` goes."""
        before = self.text[within.start : span.start].rstrip()
        after = self.text[span.end : within.end].lstrip()
        while before.endswith("(") and after.startswith(")"):
            span = Span(within.start + len(before) - 1, within.end - len(after) + 1)
            before, after = before[:-1].rstrip(), after[1:].lstrip()
        return span

    def _offset(self, line: int, column: int) -> int:
        """Character of the source for a line from 1 and a column in UTF-8 bytes, as `ast` counts."""
        return self._clamped(self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode()))

    def _clamped(self, offset: int) -> int:
        return min(max(offset, 0), len(self.text))

    def tree(self) -> ast.expr:
        """Python's syntax tree of the source."""
        everything = Span(0, len(self.text))
        if len(self.text) > MAX_SOURCE:
            self.fail(f"longer than {MAX_SOURCE} characters", Span(0, 1))
        if not self.text.strip():
            self.fail("the expression is empty", everything)
        try:
            with _LOCK, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "\d" in a regular expression
                tree = ast.parse("\n".join(self._lines), mode="eval").body
        except SyntaxError as error:
            start = self._clamped(self._starts[(error.lineno or 1) - 1] + (error.offset or 1) - 1)
            self.fail(f"this is no expression: {error.msg}", Span(start, start + 1), error)
        except UnicodeEncodeError as error:
            self.fail("half of a surrogate pair; write it as an escape", Span(0, 1), error)
        except (ValueError, RecursionError, MemoryError, OverflowError) as error:
            self.fail(f"this cannot be read: {error or 'too deeply nested'}", everything, error)
        if isinstance(tree, ast.Tuple) and not tree.elts:  # a comment, and our parentheses
            self.fail("the expression is empty", everything)
        if (tree.lineno, tree.col_offset) == (1, 0):  # the source closed the parenthesis that is ours
            self.fail("a parenthesis is closed that was never opened", everything)
        self._check_escapes(tree)
        return tree

    def _check_escapes(self, tree: ast.expr) -> None:
        """Python reads "\\boxed" as a backspace and "oxed"; nobody who writes a reward means that."""
        for text in ast.walk(tree):
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                written = self.text[slice(*self.span(text))]
                if written[:1] not in "rR" and _CONTROL_ESCAPE.search(written):
                    self.fail(f"double the backslash, or write raw text: r{written[:40]}", text)


def point_at(source: str, span: Span) -> str:
    """The line where the span begins, and carets under the span as far as that line goes."""
    first = source.rfind("\n", 0, span.start) + 1
    last = source.find("\n", span.start)
    last = len(source) if last < 0 else last
    begin = max(first, span.start - _SHOWN)
    end = min(last, max(span.end, span.start + _SHOWN), begin + 2 * _SHOWN)
    left, right = "…" * (begin > first), "…" * (end < last)
    line = "".join(char if char.isprintable() or char == "\t" else "�" for char in source[begin:end])
    indent = "".join(char if char == "\t" else " " * _width(char) for char in line[: span.start - begin])
    carets = sum(map(_width, line[span.start - begin : max(span.end - begin, 0)]))
    return f"    {left}{line}{right}\n    {' ' * len(left)}{indent}{'^' * max(1, carets)}"


def _width(char: str) -> int:
    """Cells that a terminal gives the character."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
