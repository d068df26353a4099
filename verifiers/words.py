"""What counts as a word, in one place: for lengths, repetition, language and shown reasoning."""

from __future__ import annotations

import re

# Scripts without spaces, Chinese and Japanese: one character is one word. As escapes: a tool that normalises text
# makes U+8C48 of U+F900, and the range would hold Korean.
UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTERS = rf"[^\W_{UNSPACED}]+"
_WORD = re.compile(rf"[{UNSPACED}]|{_LETTERS}(?:[.,'’_-]{_LETTERS})*")


def words(text: str) -> list[str]:
    """Runs of letters and digits ("3.5" and "don't" are one each), and single characters of scripts that have no
    spaces. In linear time."""
    return _WORD.findall(text)
