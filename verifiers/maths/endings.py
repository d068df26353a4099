r"""What a text ends in that marks no answer: which of its numbers counts, and the last row of a derivation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from proctor.verifiers.maths import prose
from proctor.verifiers.maths.compounds import compound_span
from proctor.verifiers.maths.plain import plain_number

# `Step 3` and `these 2 months` name what the text has spoken of before.
_POINTS_BACK = re.compile(
    r"\b(?:these|those|steps?|parts?|cases?|questions?|problems?|equations?|figures?|tables?|examples?|methods?)\s#?\Z",
    re.IGNORECASE,
)
_PARTS_FOLLOW = re.compile(r"[^.!?\n]{0,60}[:(—–]")  # between a total and the first of its parts
_MOST_PARTS = 6
_END = re.compile(r"\\end\{((?:align|aligned|split|gather|gathered|eqnarray)\*?)\}[\s$.\\\])]{0,20}\Z")
_ROW_END = re.compile(r"\\\\(?:\[[^\]\n]{0,9}\])?")
_EXPLAINED = re.compile(
    r"(?P<answer>\S[^\n]{0,80})\n\s{0,9}[#*_]{0,9}"
    r"(?:explanation|reason(?:ing)?|justification|working|because|here(?:'s| is))\b",
    re.IGNORECASE,
)


def final_numbers(text: str) -> list[re.Match[str]]:
    """Numbers that may be the answer: neither changed by a word, nor asked about, nor spoken of before."""
    found = prose.final_numbers(text)
    new = [each for each in found if not _POINTS_BACK.search(text, max(0, each.start() - 20), each.start())]
    return new or found


def last_span(numbers: Sequence[re.Match[str]]) -> tuple[int, int]:
    """Where the answer stands that ends with the last of these numbers, or with the total of the last ones."""
    total = _total(numbers)
    if total is not None:
        return total.span()
    return compound_span(numbers) or (prose.listed_from(list(numbers)), numbers[-1].end())


def conclusion(text: str) -> str | None:
    r"""What a derivation in rows comes to at the end of a text: 5 of `x &= 2 + 3 \\ &= 5`.

    None where there is none, or where each row gives a variable of its own its value.
    """
    end = _END.search(text, max(0, text.rfind("\\end{")))
    begin = text.rfind(f"\\begin{{{end[1]}}}", 0, end.start()) if end else -1
    if end is None or begin < 0:
        return None
    body = text[begin + len(end[1]) + len("\\begin{}") : end.start()]
    rows = [row for each in _ROW_END.split(body.replace("&", "")) if (row := each.strip(" \n.,;"))]
    lefts = [row.partition("=")[0].strip() for row in rows]
    are_all_given = all(len(left) == 1 for left in lefts) and len(set(lefts)) == len(lefts)
    return None if len(rows) < 2 or are_all_given else rows[-1].lstrip("= ")


def explained(text: str) -> str | None:
    """The first line of a text that goes on to explain it, where that line is an answer and no prose."""
    found = _EXPLAINED.match(text)
    if found is None or prose.is_prose(found["answer"], words=2) or not prose.says_something(found["answer"]):
        return None
    return found["answer"].strip()


def _total(numbers: Sequence[re.Match[str]]) -> re.Match[str] | None:
    """The number whose parts follow in the same sentence: 72 of `72 clips: 48 in April and 24 in May`."""
    for count in range(2, min(_MOST_PARTS, len(numbers) - 1) + 1):
        whole, *parts = numbers[-count - 1 :]
        values = [plain_number(each[0].strip()) for each in (whole, *parts)]
        known = [Fraction(value) for value in values if value is not None]
        follows = _PARTS_FOLLOW.fullmatch(whole.string, whole.end(), parts[0].start())
        if len(known) == count + 1 and known[0] == sum(known[1:]) and follows:
            return whole
    return None
