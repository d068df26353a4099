"""Quotients with a remainder: 5 R 2, 5 remainder 2, 5 with a remainder of 2."""

from __future__ import annotations

import re
from fractions import Fraction

from proctor.verifiers.maths.trees import Apply, Number, Tree

_TEXT = re.compile(r"\\(?:text|mathrm|textrm|mbox)\s?\{([^{}]*)\}")
_DIVISION = re.compile(
    r"(\d{1,15})\s{0,9},?\s{0,9}(?:(?:with|and)\s{1,9})?(?:an?\s{1,9}|the\s{1,9})?(?:remainder|rem\.?|R)"
    r"(?:\s{1,9}(?:of|is)|\s{0,9}[:=])?\s{0,9}(\d{1,15})",
    re.IGNORECASE,
)
_LONGEST = 80  # characters, markup included


def division(text: str) -> Tree | None:
    """The quotient and the remainder that a text names; None for any other text."""
    found = _DIVISION.fullmatch(_TEXT.sub(r"\1", text).strip()) if len(text) <= _LONGEST else None
    return Apply("remainder", tuple(Number(Fraction(part)) for part in found.groups())) if found else None
