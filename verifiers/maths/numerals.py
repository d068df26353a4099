"""Numbers in words: forty-two, one half, three quarters, two dozen."""

from __future__ import annotations

from fractions import Fraction

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12,
}  # fmt: skip
SCALES = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "hundreds": 100, "thousands": 1000, "millions": 10**6, "billions": 10**9, "dozens": 12,
}  # fmt: skip
_VALUES = {
    **{word: value for value, word in enumerate(_ONES)},
    **{word: 10 * value for value, word in enumerate(_TENS, start=2)},
}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8,
    "ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10, "hundredth": 100, "hundredths": 100,
}  # fmt: skip
NUMERALS = frozenset(_VALUES) | frozenset(SCALES) | frozenset(ORDINALS)


def number_in_words(words: list[str]) -> Fraction | None:
    """The number that a phrase spells, or None. `["forty", "two"]` is 42, `["three", "quarters"]` is 3/4."""
    words = [word for word in words if word != "and"]
    if len(words) == 1 and words[0] in ORDINALS:
        return Fraction(ORDINALS[words[0]])
    if not words or not all(word in NUMERALS or word in _PARTS or word == "a" for word in words):
        return None
    if len(words) > 1 and words[-1] in _PARTS:
        count = 1 if words[:-1] == ["a"] else _cardinal(words[:-1])
        return None if count is None else Fraction(count, _PARTS[words[-1]])
    count = _cardinal(words)
    return (
        Fraction(_PARTS[words[0]] ** -1) if words == ["half"] else None if count is None else Fraction(count)
    )


def _cardinal(words: list[str]) -> int | None:
    total, current = 0, 0
    last = 10**18
    for word in words:
        if word in _VALUES:
            value = _VALUES[word]
            if value >= last or (current % 100 and (value >= 10 or current % 10)):
                return None  # "two three" is no number
            current += value
        elif word == "hundred":
            current = 100 * (current or 1)
        elif word in SCALES:
            total, current = total + (current or 1) * SCALES[word], 0
        else:
            return None
    return total + current
