"""Places in the source of an expression: spans, carets under them, and the error that points at one."""

from __future__ import annotations

import unicodedata
from typing import Any, NamedTuple

_SHOWN = 100  # characters of a long line that are shown around the place


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
