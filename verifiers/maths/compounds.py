"""Quantities in two units or more, where prose ends in one: `2 hours and 30 minutes`, `5 feet 10 inches`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from proctor.verifiers.maths.units import MEASURES, NAMES

_UNIT = re.compile(r"\s?([A-Za-z]{1,10})\b")
_JOINT = re.compile(r"\s?([A-Za-z]{1,10}),?\s(?:and\s)?")


def compound_span(numbers: Sequence[re.Match[str]]) -> tuple[int, int] | None:
    """Where the quantity stands that ends with the last of these numbers; None where that has one unit or none."""
    last = numbers[-1]
    unit = _UNIT.match(last.string, last.end())
    if unit is None:
        return None
    name, start = unit[1], last.start()
    for number in reversed(numbers[:-1]):
        joint = _JOINT.fullmatch(last.string, number.end(), start)
        if joint is None or not _is_part(name, of=joint[1]):
            break
        name, start = joint[1], number.start()
    return None if start == last.start() else (start, unit.end())


def _is_part(name: str, *, of: str) -> bool:
    """Whether one unit divides the other: minutes of hours."""
    small, large = (MEASURES.get(NAMES.get(each.lower(), "")) for each in (name, of))
    if small is None or large is None:
        return False
    return small.dimensions == large.dimensions != () and small.factor < large.factor
