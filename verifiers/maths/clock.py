"""Times of the day and days of the year: 3:30 PM, 15:30, 7 a.m., 8 o'clock; July 4, 4th of July, 4 July 1776."""

from __future__ import annotations

import re
from fractions import Fraction

from proctor.verifiers.maths.trees import Apply, Number, Tree

_SPOKEN = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?\s{0,9}(?:([ap])\.?\s?m\.?|o'?clock)", re.IGNORECASE)
_DIGITAL = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_TEXT = re.compile(r"\\(?:text|mathrm|textrm|mbox)\s?\{([^{}]*)\}")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY, _YEAR = r"(\d{1,2})(?:st|nd|rd|th)?", r"(?:(?:,|\s)\s{0,9}(\d{4}))?"
_MONTH_FIRST = re.compile(rf"(?:on\s)?{_MONTH}\s{{1,9}}(?:the\s)?{_DAY}{_YEAR}", re.IGNORECASE)
_DAY_FIRST = re.compile(rf"(?:on\s)?(?:the\s)?{_DAY}\s{{1,9}}(?:of\s)?{_MONTH}{_YEAR}", re.IGNORECASE)
_SUPERSCRIPT = re.compile(r"\^\s?\{?\s?(st|nd|rd|th)\s?\}?")
_LONGEST = 60  # characters of a time or date, markup included


def spoken_time(text: str) -> Tree | None:
    """The time that a text with `AM`, `p.m.` or `o'clock` tells; None for any other text."""
    found = _SPOKEN.fullmatch(_unset(text))
    if found is None:
        return None
    hours, minutes, seconds, half = found.groups()
    hour = int(hours)
    if half and hour <= 12:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    return _time(hour, int(minutes or "0"), int(seconds or "0"))


def spoken_date(text: str) -> Tree | None:
    """The day that a text names by its month; None for any other text. A year takes part where it is given."""
    bare = _SUPERSCRIPT.sub(r"\1", _unset(text))
    if found := _MONTH_FIRST.fullmatch(bare):
        month, day, year = found.groups()
    elif found := _DAY_FIRST.fullmatch(bare):
        day, month, year = found.groups()
    else:
        return None
    numbers = (_MONTHS.index(month[:3].lower()) + 1, int(day), int(year or "0"))
    return Apply("date", tuple(Number(Fraction(number)) for number in numbers))


def _unset(text: str) -> str:
    """The text without the commands that set it; empty where it is too long for a time or date."""
    return _TEXT.sub(r"\1", text).replace("\\", " ").strip() if len(text) <= _LONGEST else ""


def digital_time(text: str) -> Tree | None:
    """The time that 15:30 tells, which may also be a ratio; None for any other text."""
    found = _DIGITAL.fullmatch(text)
    return _time(int(found[1]), int(found[2]), int(found[3] or "0")) if found else None


def _time(hours: int, minutes: int, seconds: int) -> Tree | None:
    if hours > 24 or minutes > 59 or seconds > 59:
        return None
    return Apply("time", (Number(Fraction(hours * 3600 + minutes * 60 + seconds)),))
