"""Whether an answer is right, given the reference: readings compared, the likeliest meaning first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import product

from proctor.verifiers.maths import wording
from proctor.verifiers.maths.comparison import Comparison
from proctor.verifiers.maths.extract import Extraction, extract, refine
from proctor.verifiers.maths.finished import is_unfinished
from proctor.verifiers.maths.plain import plain_number
from proctor.verifiers.maths.prose import denies_another
from proctor.verifiers.maths.reading import Reading, prose_values, read
from proctor.verifiers.maths.rules import Rules
from proctor.verifiers.maths.selection import selected, selects_the_same
from proctor.verifiers.maths.trees import Apply, Bracket, Number, Tree, symbols
from proctor.verifiers.maths.values import Decide, undecided

READINGS_KEPT = 4096  # more than the problems, and the different answers, of a training batch
_SHORT = 200  # characters of an answer whose reading is kept


@dataclass(frozen=True, slots=True)
class Gold:
    """A reference."""

    answer: str  # what of the reference is the answer: references may be whole solutions
    number: Fraction | int | None  # its value where it is a plain numeral
    asks_letter: bool  # it is the letter of a choice

    @property
    def reading(self) -> Reading:
        return _read_gold(self.answer)

    @property
    def is_readable(self) -> bool:
        """Not where it is empty, a table's mark of a missing value, or a placeholder: NaN, ?, ..., ####."""
        return self.number is not None or self.reading.plain.strip("?.#").lower() not in ("", "nan")


@dataclass(frozen=True, slots=True)
class Ruling:
    """`equal` is None where only the symbolic path can tell; `why` names the step that settled it."""

    equal: bool | None
    why: str
    answer: str = ""  # what was compared, where it is a part of the answer


_SAME_NUMBER, _OTHER_NUMBER = Ruling(True, "same number"), Ruling(False, "different number")


@lru_cache(READINGS_KEPT)
def read_gold(text: str) -> Gold:
    """A reference, read once for all rollouts that are compared with it."""
    number = plain_number(text)
    if number is not None:
        return Gold(text, number, asks_letter=False)
    answer = text
    if "boxed" in text or "####" in text:
        answer = extract(text).answer or ""
    reading = _read_gold(answer)
    is_letter = reading.choice is not None and len(reading.words) == 1
    # Not ABD, which may be a triangle: a lone A in a text about it is no answer.
    are_letters = "," in answer and selected(answer) is not None
    return Gold(answer, plain_number(answer), asks_letter=is_letter or are_letters)


@lru_cache(READINGS_KEPT)
def _read_gold(answer: str) -> Reading:
    reading = read(answer)
    if reading.trees or reading.choice:
        return reading
    return replace(reading, sentence=prose_values(answer))


_read_short = lru_cache(READINGS_KEPT)(read)


def _read(answer: str) -> Reading:
    """Rollouts of one prompt often give the same answer. Long answers are not worth the memory."""
    return _read_short(answer) if len(answer) <= _SHORT else read(answer)


def forget_readings() -> None:
    """Empties the caches of references and answers: for measurements."""
    for cache in (read_gold, _read_gold, _read_short):
        cache.cache_clear()


def grade(gold: Gold, found: Extraction, rules: Rules, decide: Decide = undecided) -> Ruling:
    """Whether the answer that was taken from a response is the reference."""
    answer = found.answer or ""
    if gold.number is not None and (number := plain_number(answer)) is not None:
        if number == gold.number:
            return _SAME_NUMBER
        if rules.tolerance is None:
            return _OTHER_NUMBER
    reading = _read(answer)
    ruling = rule(gold.reading, reading, rules, decide)
    may_be_prose = not reading.trees and (not reading.is_qualified or denies_another(answer))
    refined = refine(found, letters=gold.asks_letter) if ruling.equal is False and may_be_prose else None
    if not refined:
        return ruling
    again = rule(gold.reading, _read(refined), rules, decide)
    return ruling if again.equal is False else replace(again, answer=refined)


def rule(gold: Reading, answer: Reading, rules: Rules, decide: Decide = undecided) -> Ruling:
    """Compares two readings."""
    if gold.plain == answer.plain:
        return Ruling(bool(gold.plain), "same text")
    if selects_the_same(gold.plain, answer.plain):
        return Ruling(True, "same choices")
    comparison = Comparison(rules, decide)
    if gold.choice and answer.choice:
        return _rule_by_choice(gold, answer, comparison)
    if gold.moduli and answer.moduli and gold.moduli != answer.moduli:
        return Ruling(False, "another modulus")
    is_open = gold.operation and answer.operation
    for wanted, given in _pairs(gold, answer):
        found = comparison.same(wanted, given)
        if found and is_unfinished(wanted, given):
            return Ruling(False, "the same value, but not worked out")
        if found:
            return Ruling(True, "same value")
        is_open = is_open or found is None
    if is_open:
        return Ruling(None, "open")
    if gold.trees and answer.trees:
        return Ruling(False, "different value")
    return _rule_by_words(gold, answer, comparison)


def _rule_by_choice(gold: Reading, answer: Reading, comparison: Comparison) -> Ruling:
    """Compares letters. What stands beside them may not contradict: `(C) 25` would answer (C) 24 and (D) 25."""
    if gold.choice != answer.choice:
        return Ruling(False, "different choice")
    constants = [not any(map(symbols, reading.chosen)) for reading in (gold, answer)]
    pairs = product(gold.chosen, answer.chosen) if all(constants) else ()
    if any(comparison.same(wanted, given) is False for wanted, given in pairs):
        return Ruling(False, "the same choice, but another value beside it")
    return Ruling(True, "same choice")


def _rule_by_words(gold: Reading, answer: Reading, comparison: Comparison) -> Ruling:
    """Compares readings of which at least one is no mathematics."""
    named = (
        comparison.same(wanted, _as_tuple(given)) for wanted, given in product(gold.sentence, answer.trees)
    )
    if any(named):
        return Ruling(True, "the value that the reference names")
    if not answer.trees and wording.is_prose(gold.plain) and wording.is_named_in(answer.words, gold.words):
        return Ruling(True, "the phrase that the reference names")
    is_spoken = not gold.trees or not any(letter.isdigit() for letter in gold.words)
    if is_spoken and wording.same_words(gold.words, answer.words):
        return Ruling(True, "same words")
    return Ruling(False, answer.problem or "different words")


def _pairs(gold: Reading, answer: Reading) -> Iterator[tuple[Tree, Tree]]:
    """Meanings to compare. Less likely ones only meet what is written so: 1,22 is 1.22, but `-3, 0` is not -3.

    A reference of 10,000 is grouped and no decimal: 10.0 is not what it says.
    """
    yield from product(gold.trees, answer.trees)
    if not (gold.trees and isinstance(gold.trees[0], Number)):
        yield from product(gold.others, filter(_is_decimal_or_time, answer.trees))
    is_below_one = answer.plain.startswith(("0,", "-0,"))  # hardly a list: 0,5 answers 1/2 as well
    wanted = (t for t in gold.trees if _is_decimal_or_time(t) or (is_below_one and not _is_whole(t)))
    yield from product(wanted, answer.others)


def _is_whole(tree: Tree) -> bool:
    return isinstance(tree, Number) and tree.value.denominator == 1


def _is_decimal_or_time(tree: Tree) -> bool:
    return (isinstance(tree, Number) and tree.places is not None) or (
        isinstance(tree, Apply) and tree.name == "time"
    )


def _as_tuple(tree: Tree) -> Tree:
    return Bracket(tree.items, "(", ")") if isinstance(tree, Bracket) else tree
