"""Numbers in words: forty-two, one half, three quarters, two dozen, third."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

_ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_PARTS = """half=2 halves=2 third=3 thirds=3 quarter=4 quarters=4 fourth=4 fourths=4 fifth=5 fifths=5 sixth=6
    sixths=6 seventh=7 sevenths=7 eighth=8 eighths=8 ninth=9 ninths=9 tenth=10 tenths=10 hundredth=100
    hundredths=100"""
SCALES = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "hundreds": 100, "thousands": 1000, "millions": 10**6, "billions": 10**9, "dozens": 12,
}  # fmt: skip
_CARDINALS = {
    **{word: value for value, word in enumerate(_ONES.split())},
    **{word: 10 * value for value, word in enumerate(_TENS.split(), start=2)},
}
_ORDINAL_VALUES = {word: value for value, word in enumerate(_ORDINALS.split(), start=1)}
_DENOMINATORS = {word: int(value) for word, _, value in (part.partition("=") for part in _PARTS.split())}
# Words that a number may begin with.
NUMERALS = frozenset(_CARDINALS) | frozenset(SCALES) | frozenset(_ORDINAL_VALUES)
_KNOWN = NUMERALS | frozenset(_DENOMINATORS) | {"a"}
_LARGEST = 10**18


def number_in_words(words: Sequence[str]) -> Fraction | None:
    """The number that a phrase spells, or None. `["forty", "two"]` is 42, `["three", "quarters"]` is 3/4."""
    words = [word for word in words if word != "and"]
    if not words or not _KNOWN.issuperset(words):
        return None
    if words == ["half"]:
        return Fraction(1, 2)
    if len(words) == 1 and words[0] in _ORDINAL_VALUES:
        return Fraction(_ORDINAL_VALUES[words[0]])
    if len(words) > 1 and words[-1] in _DENOMINATORS:
        count = 1 if words[:-1] == ["a"] else _cardinal(words[:-1])
        return None if count is None else Fraction(count, _DENOMINATORS[words[-1]])
    cardinal = _cardinal(words)
    return None if cardinal is None else Fraction(cardinal)


def _cardinal(words: Sequence[str]) -> int | None:
    """The value of `two hundred forty two thousand`; None for words in an order that spells no number."""
    total, current = 0, 0
    for word in words:
        if word in _CARDINALS:
            value = _CARDINALS[word]
            if current % 100 and (value >= 10 or current % 10):
                return None  # "two three"
            current += value
        elif word == "hundred":
            current = 100 * (current or 1)
        elif word in SCALES:
            total, current = total + (current or 1) * SCALES[word], 0
        else:
            return None
        if total + current > _LARGEST:
            return None
    return total + current
