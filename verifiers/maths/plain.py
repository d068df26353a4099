"""Plain numerals, which most answers are, read without a grammar."""

from __future__ import annotations

import re
from fractions import Fraction

# Short enough that no policy on printed or rounded decimals applies.
_NUMERAL = re.compile(r"[-+]?(?:[1-9]\d{0,2}(?:,\d{3}){1,3}|\d{1,10})(\.\d{1,4})?\Z")


def plain_number(text: str) -> Fraction | int | None:
    """The value of a numeral such as 42, -3.50 or 1,234; None for any other text, also a longer numeral."""
    found = _NUMERAL.match(text)
    if found is None:
        return None
    digits = found[0].replace(",", "")
    return Fraction(digits) if found[1] else int(digits)
