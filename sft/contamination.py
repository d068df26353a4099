"""Training rows that hold what an evaluation set asks: long n-grams in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proctor.sft.duplicates import ngrams, words


@dataclass(frozen=True, slots=True)
class Overlap:
    """One training row that shares text with an evaluation question."""

    row: int
    evaluation_set: str
    question: int  # its place in the evaluation set
    shared: str  # one n-gram in common
    share: float  # of the question's n-grams that are in the row, 0 to 1


def overlaps(
    texts: Sequence[str], evaluation_sets: Mapping[str, Sequence[str]], *, size: int = 13, least: float = 0.5
) -> list[Overlap]:
    """Rows that hold at least the share `least` of some question's word n-grams, the worst question of each.

    size 13 is GPT-3's (arXiv:2005.14165, appendix C). A question shorter than that must be in the row whole:
    its only n-gram is itself, so the row's n-grams of that length are looked at.
    """
    wanted, sizes = _index(evaluation_sets, size)
    found = []
    for row, text in enumerate(texts):
        tokens = words(text)
        grams = set().union(*(ngrams(tokens, length) for length in sizes)) if sizes else set()
        worst = _worst(row, grams, wanted, least)
        if worst is not None:
            found.append(worst)
    return found


@dataclass(slots=True)
class _Questions:
    """Which questions hold an n-gram, and how many n-grams each has."""

    holders: dict[tuple[str, ...], list[tuple[str, int]]]
    counts: dict[tuple[str, int], int]


def _index(evaluation_sets: Mapping[str, Sequence[str]], size: int) -> tuple[_Questions, set[int]]:
    questions = _Questions({}, {})
    sizes = set()
    for name, texts in evaluation_sets.items():
        for place, text in enumerate(texts):
            grams = ngrams(words(text), size)
            questions.counts[name, place] = len(grams)
            for gram in grams:
                questions.holders.setdefault(gram, []).append((name, place))
                sizes.add(len(gram))
    return questions, sizes


def _worst(row: int, grams: set[tuple[str, ...]], questions: _Questions, least: float) -> Overlap | None:
    shared: dict[tuple[str, int], list[tuple[str, ...]]] = {}
    for gram in grams:
        for holder in questions.holders.get(gram, ()):
            shared.setdefault(holder, []).append(gram)
    shares = {holder: len(common) / questions.counts[holder] for holder, common in shared.items()}
    if not shares or max(shares.values()) < least:
        return None
    name, place = worst = max(shares, key=lambda holder: shares[holder])
    return Overlap(row, name, place, " ".join(min(shared[worst])), shares[worst])
