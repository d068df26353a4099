"""Numbers as they are written, to exact values: decimals, 1e-3, 0.1(6), 0.3\\overline{12}, 204_5."""

from __future__ import annotations

from fractions import Fraction

from proctor.verifiers.maths.lexer import UnreadableError
from proctor.verifiers.maths.numerals import number_in_words
from proctor.verifiers.maths.trees import Apply, Number, Power, Tree

MAX_EXPONENT = 400  # of 1e400; beyond it a literal is a bomb, because Fraction writes all its digits out
_MAX_BASE = 36


def number(text: str) -> Number:
    """The value of a numeral, with the count of its decimals."""
    mantissa, _, exponent = text.lower().partition("e")
    decimals = mantissa.partition(".")[2]
    if not exponent:
        return Number(Fraction(text), len(decimals) if "." in text else None)
    if abs(int(exponent)) > MAX_EXPONENT:
        raise UnreadableError(f"an exponent beyond {MAX_EXPONENT}")
    return Number(Fraction(text), max(0, len(decimals) - int(exponent)))


def scientific(mantissa: Number, power: Tree) -> Number | None:
    """2.5 x 10^3 as one number; None where the second factor is no power of ten."""
    match power:
        case Power(Number(Fraction(numerator=10, denominator=1)), Number(exponent)):
            if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT:
                return None
        case _:
            return None
    shift = int(exponent)
    is_whole = mantissa.places is None and shift >= 0
    places = None if is_whole else max(0, (mantissa.places or 0) - shift)
    return Number(mantissa.value * Fraction(10) ** shift, places)


def repeating(text: str) -> Number:
    r"""The value of 0.1(6) or 0.3\overline{12}."""
    whole, _, decimals = text.partition(".")
    fixed = "".join(char for char in decimals.partition("\\")[0].partition("(")[0] if char.isdigit())
    cycle = "".join(char for char in decimals[len(fixed) :] if char.isdigit())
    scale = 10 ** len(fixed)
    tail = Fraction(int(cycle), scale * (10 ** len(cycle) - 1))
    return Number(Fraction(int(whole or "0")) + Fraction(int(fixed or "0"), scale) + tail)


def in_base(digits: Number, index: str) -> Tree:
    """204_5 as value, base, and the digits as written. The base may be a word: 52_{eight}."""
    spelled = number_in_words([index])
    base = int(index) if index.isdigit() else int(spelled or 0)
    text = str(digits.value)
    if not 2 <= base <= _MAX_BASE or not text.isdigit() or any(int(digit) >= base for digit in text):
        raise UnreadableError(f"{text} is no number in base {base}")
    return Apply("base", (Number(Fraction(int(text, base))), Number(Fraction(base)), digits))
