"""What counts as a word, in one place: for lengths, repetition, language and shown reasoning."""

from __future__ import annotations

import re

# Scripts without spaces, Chinese and Japanese: one character is one word.
UNSPACED = "぀-ヿ㐀-䶿一-鿿豈-﫿"
_LETTERS = rf"[^\W_{UNSPACED}]+"
_WORD = re.compile(rf"[{UNSPACED}]|{_LETTERS}(?:[.,'’_-]{_LETTERS})*")


def words(text: str) -> list[str]:
    """Runs of letters and digits ("3.5" and "don't" are one each), and single characters of scripts that have no
    spaces. In linear time."""
    return _WORD.findall(text)
