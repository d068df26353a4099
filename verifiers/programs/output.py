"""When what a program printed equals what was expected.

Rules that hold for every comparison: white space at the end of a line does not count, nor do blank lines at
the end of the output. Everything else does: a different number of lines is wrong, and so is a blank line in
the middle. Nothing is looked for inside the output, so printing every answer is wrong too.

    exact   lines are equal. Right but for white space is a presentation error, not a wrong answer.
    token   lines are equal word by word, however many spaces stand between words. Blank lines that an expected
            output begins with need not be there: Codeforces shows some that no program prints.
    float   as token, and words that are numbers are equal within a tolerance.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Literal, TypeAlias

Comparison: TypeAlias = Literal["exact", "token", "float"]


class Match(Enum):
    """How an output compares with the expected one."""

    EQUAL = "equal"
    SPACING = "spacing"  # equal but for white space, where white space counts
    DIFFERENT = "different"


def compare(got: str, expected: str, comparison: Comparison, tolerance: float) -> Match:
    """Compares a whole output. `tolerance` is relative above 1 and absolute below, as judges use it."""
    got_lines, expected_lines = _lines(got), _lines(expected)
    if comparison == "exact":
        if got_lines == expected_lines:
            return Match.EQUAL
        return Match.SPACING if got.split() == expected.split() else Match.DIFFERENT
    if expected_lines and not expected_lines[0]:
        got_lines, expected_lines = _lines(got.lstrip()), _lines(expected.lstrip())
    if len(got_lines) != len(expected_lines):
        return Match.DIFFERENT
    same = all(
        _same_words(one.split(), other.split(), comparison, tolerance)
        for one, other in zip(got_lines, expected_lines, strict=True)
    )
    return Match.EQUAL if same else Match.DIFFERENT


def first_difference(got: str, expected: str) -> int:
    """Number of the first line that differs, from 1."""
    got_lines, expected_lines = _lines(got), _lines(expected)
    for number, (one, other) in enumerate(zip(got_lines, expected_lines, strict=False), start=1):
        if one != other:
            return number
    return min(len(got_lines), len(expected_lines)) + 1


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_words(got: list[str], expected: list[str], comparison: Comparison, tolerance: float) -> bool:
    if got == expected:
        return True
    if comparison == "token" or len(got) != len(expected):
        return False
    return all(_close(one, other, tolerance) for one, other in zip(got, expected, strict=True))


def _close(got: str, expected: str, tolerance: float) -> bool:
    if got == expected:
        return True
    one, other = _number(got), _number(expected)
    if one is None or other is None:
        return False
    if math.isinf(one) or math.isinf(other):
        return one == other
    return abs(one - other) <= tolerance * max(1.0, abs(other))


def _number(word: str) -> float | None:
    """The number that a word is. None for words, for what only Python would call a number (1_000, nan), and for
    digits beyond every float: as infinities, all of those would be equal."""
    if len(word) > 400 or "_" in word or not word.isascii():
        return None
    try:
        value = float(word)
    except ValueError:
        return None
    if math.isnan(value) or (math.isinf(value) and any(map(str.isdigit, word))):
        return None
    return value
