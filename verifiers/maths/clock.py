"""Times of the day: 3:30 PM, 15:30, 7 a.m., 8 o'clock."""

from __future__ import annotations

import re
from fractions import Fraction

from proctor.verifiers.maths.trees import Apply, Number, Tree

_SPOKEN = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?\s{0,9}(?:([ap])\.?\s?m\.?|o'?clock)", re.IGNORECASE)
_DIGITAL = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_TEXT = re.compile(r"\\(?:text|mathrm|textrm|mbox)\s?\{([^{}]*)\}")
_LONGEST = 60  # characters of a time, markup included


def spoken_time(text: str) -> Tree | None:
    """The time that a text with `AM`, `p.m.` or `o'clock` tells; None for any other text."""
    if len(text) > _LONGEST:
        return None
    found = _SPOKEN.fullmatch(_TEXT.sub(r"\1", text).replace("\\", " ").strip())
    if found is None:
        return None
    hours, minutes, seconds, half = found.groups()
    hour = int(hours)
    if half and hour <= 12:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    return _time(hour, int(minutes or "0"), int(seconds or "0"))


def digital_time(text: str) -> Tree | None:
    """The time that 15:30 tells, which may also be a ratio; None for any other text."""
    found = _DIGITAL.fullmatch(text)
    return _time(int(found[1]), int(found[2]), int(found[3] or "0")) if found else None


def _time(hours: int, minutes: int, seconds: int) -> Tree | None:
    if hours > 24 or minutes > 59 or seconds > 59:
        return None
    return Apply("time", (Number(Fraction(hours * 3600 + minutes * 60 + seconds)),))
