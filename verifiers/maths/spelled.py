"""Words that are units or numbers, turned into tokens: `square feet` into foot ^ 2, `forty-two` into (42)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from proctor.verifiers.maths import units
from proctor.verifiers.maths.lexer import Token
from proctor.verifiers.maths.numerals import NUMERALS, SCALES, number_in_words
from proctor.verifiers.maths.vocabulary import word_set

_MAY_NAME_UNIT = word_set("word symbol function")  # of `km / min` the second is a function elsewhere
_GENERIC = word_set("unit units")  # `12 square units` has no unit
_TEMPERATURES = word_set("celsius centigrade fahrenheit")
_NOTHING, _OPEN, _CLOSE = Token("", ""), Token("open", "("), Token("close", ")")
# What follows `in` where it is an inch, and `min` where it is a minute.
_ENDS = (_NOTHING, Token("stop", "."), Token("op", "^"))
_LONGEST_NUMERAL = 12  # words of one number
_STARTS_NUMERAL = NUMERALS | {"a", "half"}
_STARTS_PART = ("a", "half")  # of `5 and a half`
_LONGEST_SCALED = 30  # digits, so that `million million million ...` does not grow without bound
_ROUND = word_set("thousand million billion trillion thousands millions billions")


def closes_at(found: Sequence[Token], start: int) -> int:
    """Where the bracket that opens at `start` closes; -1 where it does not."""
    depth = 0
    for index in range(start, len(found)):
        depth += (found[index].kind == "open") - (found[index].kind == "close")
        if depth == 0:
            return index
    return -1


def with_units(found: Sequence[Token]) -> list[Token]:
    """Units in words as unit tokens: `metres per second` is metre / second, `feet squared` is foot ^ 2."""
    result: list[Token] = []
    index = 0
    while index < len(found):
        made, length = _unit_phrase(found, index, result)
        result += made
        index += length
    return result


def _unit_phrase(found: Sequence[Token], index: int, before: Sequence[Token]) -> tuple[list[Token], int]:
    """The tokens for what starts at `index`, and how many tokens that is."""
    token = found[index]
    following = found[index + 1] if index + 1 < len(found) else _NOTHING
    if token == ("unit", "degree") and following.text in _TEMPERATURES:
        return [], 1
    after_number = bool(before) and before[-1].kind == "number"
    if after_number and len(token.text) > 1 and token.text in units.AMBIGUOUS and following in _ENDS:
        return [Token("unit", units.NAMES[token.text])], 1
    if token.kind == "word" and token.text in units.RAISING:
        return _raised(found, index, before)
    if token.kind == "word" and token.text in _GENERIC and before:
        is_raised = following.kind == "word" and following.text in units.RAISING  # `12 units squared`
        return [], 2 if is_raised else 1 + _exponent_length(found, index + 1)
    name = _unit_name(token) if token.kind in _MAY_NAME_UNIT and _may_be_unit(before) else None
    return [Token("unit", name) if name else token], 1


def _raised(found: Sequence[Token], index: int, before: Sequence[Token]) -> tuple[list[Token], int]:
    """`square feet`, `sq. ft`, `feet squared`, `square units`."""
    power = [Token("op", "^"), Token("number", str(units.RAISING[found[index].text]))]
    place = index + 2 if found[index + 1 : index + 2] == [Token("stop", ".")] else index + 1
    following = found[place] if place < len(found) else _NOTHING
    name = _unit_name(following)
    if name:
        return [Token("unit", name), *power], place + 1 - index
    if following.text in _GENERIC:
        return [], place + 1 - index
    return (power if before and before[-1].kind == "unit" else [found[index]]), 1


def _exponent_length(found: Sequence[Token], index: int) -> int:
    """How many tokens the exponent at `index` has; 0 where there is none."""
    if found[index : index + 1] != [Token("op", "^")]:
        return 0
    is_group = found[index + 1 : index + 2] == [Token("open", "{")]
    return closes_at(found, index + 1) + 1 - index if is_group else 2


def _unit_name(token: Token) -> str | None:
    return token.text if token.kind == "unit" else units.NAMES.get(token.text)


def _may_be_unit(before: Sequence[Token]) -> bool:
    """Whether a unit may stand here: after another unit, after `unit /`, alone above or below a fraction's bar."""
    if before and before[-1] == ("open", "{") and len(before) > 2:
        return before[-2] == ("structure", "frac") or before[-3].kind == "unit"
    if len(before) > 1 and before[-1] in (("op", "/"), ("op", "*")):
        return before[-2].kind == "unit"
    return bool(before) and before[-1].kind == "unit"


def with_numerals(found: Sequence[Token]) -> list[Token]:
    """Number words as number tokens: `3 million` is 3000000, `twelve (12)` is 12, `5 and a half` is 5 1/2.

    `12 dozen` is 12 * 12: a question may ask for that.
    """
    result: list[Token] = []
    index = 0
    while index < len(found):
        token = found[index]
        is_scale = token.kind == "word" and token.text in SCALES
        if is_scale and result and result[-1].kind == "number":
            result[-1:] = _scaled(result[-1].text, token.text)
            index += 1
            continue
        if token == ("word", "negative") and _begins_number(found[index + 1 : index + 2]):
            found = [*found[:index], Token("op", "-"), *found[index + 1 :]]
            continue
        value, length = _numeral(found, index)
        index += length
        if value is None:
            result.append(token)
        elif result[-2:] == [Token("number", str(value)), _OPEN] and found[index : index + 1] == [_CLOSE]:
            result.pop()  # 12 (twelve)
            index += 1
        elif (whole := _whole_before_and(result)) and token.text in _STARTS_PART:
            result[-1 - len(whole) :] = [whole[len(whole) // 2], *_bracketed(value)[1:-1]]  # 5 1/2
        else:
            result += _bracketed(value)
            if found[index : index + 3] == [_OPEN, Token("number", str(value)), _CLOSE]:
                index += 3  # twelve (12)
    return result


def _scaled(numeral: str, scale: str) -> list[Token]:
    """The tokens of `2.5 million`: one number where that is a whole one."""
    if scale in _ROUND and "e" not in numeral.lower() and len(numeral) < _LONGEST_SCALED:
        value = Fraction(numeral) * SCALES[scale]
        if value.denominator == 1:
            return [Token("number", str(value))]
    return [Token("number", numeral), Token("op", "*"), Token("number", str(SCALES[scale]))]


def _whole_before_and(result: Sequence[Token]) -> list[Token]:
    """The 5 of `5 and`, in brackets where it was spelled; empty where the tokens end otherwise."""
    if result[-1:] != [Token("sep", "and")]:
        return []
    start = -4 if result[-2:-1] == [_CLOSE] else -2
    whole = list(result[start:-1])
    is_whole = [token.kind for token in whole] in (["number"], ["open", "number", "close"])
    return whole if is_whole and whole[len(whole) // 2].text.isdigit() else []


def _begins_number(found: Sequence[Token]) -> bool:
    return any(token.kind == "number" or (token.kind == "word" and token.text in NUMERALS) for token in found)


def _numeral(found: Sequence[Token], index: int) -> tuple[Fraction | None, int]:
    """The longest number in words at `index`, and how many tokens it has; None and 1 where there is none."""
    if found[index].kind != "word" or found[index].text not in _STARTS_NUMERAL:
        return None, 1
    words: list[str] = []
    ends: list[int] = []
    for place in range(index, min(index + 2 * _LONGEST_NUMERAL, len(found))):
        if found[place].kind == "word":
            words.append(found[place].text)
            ends.append(place + 1)
        elif found[place] != ("op", "-"):
            break
    for length in range(min(len(words), _LONGEST_NUMERAL), 0, -1):
        value = number_in_words(words[:length])
        if value is not None:
            return value, ends[length - 1] - index
    return None, 1


def _bracketed(value: Fraction) -> list[Token]:
    quotient = [Token("op", "/"), Token("number", str(value.denominator))] if value.denominator > 1 else []
    return [_OPEN, Token("number", str(value.numerator)), *quotient, _CLOSE]
