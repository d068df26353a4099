"""Finds the arithmetic claims in a solution (`3 * 4 = 12`, `<<3*4=12>>12`) and says which of them hold.

Covers chains (a = b = c is two claims), units and words around the numbers, results rounded as shown, LaTeX,
and GSM8K's calculator notes. Does not cover equations with variables, roots or functions, nor sums over mixed
units (1 hour + 30 minutes): where a person could read a line in a way that holds, nothing is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import chain, islice, product

from proctor.verifiers.steps.arithmetic import (
    NOTE,
    NUMBER,
    RELATION,
    SIGN,
    WORD,
    Number,
    Token,
    decimals,
    evaluate,
)
from proctor.verifiers.steps.readings import (
    Reading,
    first_expressions,
    has_operation,
    last_expressions,
    read_line,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One equality between numbers that a solution writes."""

    text: str  # as read: numbers and operators, without words
    holds: bool
    computed: str = ""  # what it should have been, where it does not hold


def find_claims(text: str) -> list[Claim]:
    """The decidable claims of a text, in order, up to MAX_CLAIMS; in linear time.

    A claim has an operator on at least one side: `12 = 12` and `1 hour = 60 minutes` say nothing that a sum
    could get wrong. A calculator note and the equality that it stands in are one claim: it holds where the
    note, the number shown after it and the prose before it all agree.
    """
    if "=" not in text and "≈" not in text and "\\approx" not in text:
        return []
    text = _CODE.sub("\n", text) if "```" in text else text
    if _NEXT_LINE.search(text):
        text = _CONTINUED.sub(" =", text)
    lines = (line for line in text.split("\n") if "=" in line or "≈" in line or "\\approx" in line)
    return list(islice(chain.from_iterable(map(_claims_of_line, lines)), MAX_CLAIMS))


# No solution has so many; a text that does is not worth the seconds.
MAX_CLAIMS = 2_000
# A fence that never closes hides the rest: code is never read as prose.
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
# A side that starts on the next line. The first pattern is ten times faster, and nearly always says no.
_NEXT_LINE = re.compile(r"\n[ \t]{0,9}&?[ \t]{0,9}=(?!=)")
_CONTINUED = re.compile(r"(?:\\\\)?[ \t]{0,9}\n[ \t]{0,9}&?[ \t]{0,9}=(?!=)")

_SEPARATOR = re.compile(r"[b=]")
_BARE_NUMBER = re.compile(r"c?a?np?")  # after a calculator note, with a sign, a percentage

# Words that change what the numbers beside them mean, or that say the result is not the whole of it.
_SCALES = frozenset(
    "hundred thousand million billion dozen dozens half twice double triple thirds quarters "  # noqa: SIM905
    "remainder rem modulo cent cents penny pennies nickel nickels dime dimes".split()
)
_SHARES = frozenset(("third", "fourth", "fifth", "tenth", "quarter"))  # only with "of": a day may be third
# How many words before or after an expression may still belong to it.
_NEAR = 4
_UNITS = {
    word: dimension
    for dimension, words in {
        "time": "second sec minute min hour hr day week month year decade",
        "length": "inch foot yard mile mm cm meter metre km kilometer centimeter",
        "mass": "ounce oz pound lb ton gram kg kilogram mg",
        "volume": "ml liter litre cup pint quart gallon teaspoon tablespoon",
    }.items()
    for word in words.split()
}
_IRREGULAR = {"feet": "foot", "inches": "inch"}


def _claims_of_line(text: str) -> Iterator[Claim]:
    line = read_line(text)
    letters = line.letters
    start = 0  # of the side that is being read
    is_result = False  # whether that side is the result of a claim
    for index, letter in enumerate(letters):
        claim = None
        if letter == NOTE and letters[index - 1 : index] != RELATION:
            claim = _claim_of_note(line.tokens, index)
        elif letter == RELATION:
            separator = _SEPARATOR.search(letters, index + 1)
            end = separator.start() if separator else len(letters)
            has_note = letters[index + 1 : index + 2] == NOTE
            relation = "≈" if has_note else line.tokens[index].text
            before = last_expressions(line, start, index)
            after = first_expressions(line, index + 1 + has_note, end)
            goes_on = is_result and _are_bare(letters[start:index], letters[index + 1 : end])
            claim = _compare(before, after, relation, goes_on=goes_on)
            is_result = claim is not None
            if has_note and (noted := _claim_of_note(line.tokens, index + 1)):
                claim = noted if claim is None or claim.holds else claim
        if claim:
            yield claim
        if letter in "b=":
            start = index + 1
            is_result = is_result and letter == RELATION


def _are_bare(*sides: str) -> bool:
    """Whether sides are numbers and nothing else: of 4 = 5 in `2 + 2 = 4 = 5`, but 1 hour = 60 minutes converts."""
    return all(_BARE_NUMBER.fullmatch(side) for side in sides)


def _claim_of_note(tokens: list[Token], at: int) -> Claim | None:
    """The claim of `<<3*4=12>>12`: the note is right, and the number after it shows its result."""
    claim, result = _claim_within_note(tokens[at].text)
    shown = tokens[at + 1 : at + 2]
    if shown and shown[0].kind == SIGN:
        shown = tokens[at + 1 : at + 3]
    value = evaluate(shown)
    if claim is None or not claim.holds or result is None or value is None or value == result:
        return claim
    unit = Fraction(1, 10 ** decimals(shown[-1]))
    if -unit < result - value < unit:
        return claim
    return Claim(f"{claim.text} shown as {_show(value)}", False, _show(result))


@lru_cache(
    maxsize=4096
)  # completions of one prompt repeat each other's notes; a note has 200 characters at most
def _claim_within_note(note: str) -> tuple[Claim | None, Number | None]:
    """The claim that a note makes, and the result that it states."""
    line = read_line(note[2:-2])
    if line.letters.count(RELATION) != 1:
        return None, None
    at = line.letters.index(RELATION)
    after = Reading(line, at + 1, len(line.tokens))
    return _compare([Reading(line, 0, at)], [after], "="), evaluate(after.numeric())


def _compare(
    before: list[Reading], after: list[Reading], relation: str, *, goes_on: bool = False
) -> Claim | None:
    """The claim that a reading of the left is equal to one of the right; None where nobody can tell.

    goes_on: the left is the result of a claim, so that two lone numbers claim something too.
    """
    lefts = [(reading.numeric(), reading) for reading in before]
    rights = [(reading.numeric(), reading) for reading in after]
    if not lefts or not rights:
        return None
    if not (goes_on or has_operation(lefts[0][0]) or has_operation(rights[0][0])):
        return None
    for (left, _), (right, _) in product(lefts, rights):
        for value, other in product(_values(left), _values(right)):
            if _is_equal(value, other, left, right, relation):
                return Claim(_text(left, right), True)
    (left, left_reading), (right, right_reading) = lefts[0], rights[0]
    values, others = _values(left), _values(right)
    if not values or not others or not left_reading.is_sure or not right_reading.is_sure:
        return None
    if goes_on and isinstance(values[0], Fraction) and -1 < values[0] - others[0] < 1:
        return None  # 33.33 = 33 says how it was rounded
    if _drops_remainder(left, values[0], others[0]) or _is_mixed(left_reading, right_reading, right):
        return None
    return Claim(_text(left, right), False, _show(values[0]))


def _values(tokens: list[Token]) -> list[Number]:
    """What an expression may mean: 25% is 0.25, or 25 where all is in percent; 80 + 10% may be 88."""
    value = evaluate(tokens)
    values: list[Number] = [] if value is None else [value]
    percents = sum(token.text == "%" for token in tokens)
    if not percents:
        return values
    if percents == sum(token.kind == NUMBER for token in tokens):
        plain = evaluate([token for token in tokens if token.text != "%"])
        values += [plain] if plain is not None else []
    if percents == 1 and len(tokens) >= 4 and tokens[-1].text == "%" and tokens[-3].kind == SIGN:
        base, share = evaluate(tokens[:-3]), evaluate(tokens[-3:])
        values += [base * (1 + share)] if base is not None and share is not None else []
    return values


def _is_equal(value: Number, other: Number, left: list[Token], right: list[Token], relation: str) -> bool:
    if value == other:
        return True
    places = _places(right)
    if places is not None:
        return _is_rounded(value, other, places, relation)
    places = _places(left)
    return places is not None and _is_rounded(other, value, places, relation)


def _places(tokens: list[Token]) -> int | None:
    """Digits after the point of a lone number; None for anything that is computed."""
    kinds = "".join(token.kind for token in tokens).removeprefix(SIGN)
    if kinds not in ("n", "np"):
        return None
    return decimals(tokens[-len(kinds)]) + 2 * (tokens[-1].text == "%")


def _is_rounded(exact: Number, shown: Number, places: int, relation: str) -> bool:
    """Whether a shown number is the exact one, rounded or cut at its last digit.

    With "=" only what does not come out at whole cents may be rounded, and not to an integer: 10/3 = 3.33
    holds, 2.25 + 1.3 = 3.5 and 11 * 1.1 = 12 do not. From ten places on it is a float's own noise. With "≈"
    the last digit may be off by less than one, zeros at the end of an integer being no digits.
    """
    gap = exact - shown if exact > shown else shown - exact
    if places >= 10:
        return gap * 10**9 <= max(exact, -exact)
    unit = Fraction(1, 10**places)
    if relation == "≈":
        while places == 0 and shown and shown % (unit * 10) == 0:
            unit *= 10
        return gap < unit
    if places == 0 or (exact * 100).denominator == 1:
        return False
    return 2 * gap <= unit or (gap < unit and shown * shown < exact * exact)


def _drops_remainder(left: list[Token], value: Number, whole: Number) -> bool:
    """Whether a failed claim is a quotient in whole things: 100/3 = 33."""
    bare = [token.text for token in left if token.kind not in "()"]
    return len(bare) == 3 and bare[1] == "/" and isinstance(whole, int) and -1 < value - whole < 1


def _is_mixed(before: Reading, after: Reading, right: list[Token]) -> bool:
    """Whether words around a failed claim say that its numbers are not of one kind."""
    tokens, letters, _ = before.line
    preceding = tokens[max(0, before.first - _NEAR) : before.first]
    following = after.line.tokens[after.last : after.last + 1]
    inside = [*tokens[before.first : before.last], *after.line.tokens[after.first : after.last]]
    words = {word for token in inside if token.kind == WORD for word in token.text.lower().split(" ")}
    words.update(" ".join(token.text for token in preceding).lower().split(" ")[-_NEAR:])
    words.update(" ".join(token.text for token in following).lower().split(" ")[:_NEAR])
    if not _SCALES.isdisjoint(words) or ("of" in words and not _SHARES.isdisjoint(words)):
        return True
    singular = {_IRREGULAR.get(word, word.rstrip("s")) for word in words}
    dimensions = [_UNITS[unit] for unit in singular if unit in _UNITS]
    if len(dimensions) > len(set(dimensions)):
        return True
    if letters[before.last - 1] != WORD or not has_operation(right):
        return False
    # 1 yard = 9/3 feet may convert; it does not where both sides name the same thing.
    unit = tokens[before.last - 1].text[:3].lower()
    return not following or following[0].text[:3].lower() != unit


def _text(left: list[Token], right: list[Token]) -> str:
    return " = ".join("".join(token.text for token in tokens) for tokens in (left, right))


def _show(value: Number) -> str:
    if value.numerator.bit_length() > 300 or value.denominator.bit_length() > 300:
        return "a number too long to show"
    return str(value) if value.denominator == 1 else f"{float(value):.10g}"
