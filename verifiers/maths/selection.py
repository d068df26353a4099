"""Questions with several right choices: `A, B, D`, `ABD` and `A, B and D` select the same."""

from __future__ import annotations

import re

_LONGEST = 60  # characters
_MARKUP = re.compile(r"\\[a-z]+|[\s{}()$*]")
_ORDERED = re.compile(r"\([A-J][,;]")  # (A, B) is a pair, (A), (B) is none
_LETTERS = re.compile(r"[A-J](?:(?:,?and|[,;&])?[A-J])+")


def selected(answer: str) -> frozenset[str] | None:
    """The choices that an answer lists, two at least; None where it is anything else."""
    if len(answer) > _LONGEST or _ORDERED.match(answer):
        return None
    bare = _MARKUP.sub("", answer)
    if not _LETTERS.fullmatch(bare):
        return None
    letters = [letter for letter in bare if letter.isupper()]
    return frozenset(letters) if len(set(letters)) == len(letters) else None


def selects_the_same(reference: str, answer: str) -> bool:
    """Whether both list the same choices, each in its way."""
    wanted = selected(reference)
    return wanted is not None and wanted == selected(answer)
