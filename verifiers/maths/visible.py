"""What of a response is rendered: without comments, struck-out parts, tags of type, marks that end a turn.

Covers HTML, Markdown and LaTeX. Does not cover what a style sheet or a macro would hide. Linear in time.
"""

from __future__ import annotations

import re

# What hides everything between two marks. A pair is looked for only once it has both marks.
_PAIRS = (
    ("<!--", "-->"),
    ("<s>", "</s>"),
    ("<del>", "</del>"),
    ("<strike>", "</strike>"),
    ("\\begin{comment}", "\\end{comment}"),
    ("\\iffalse", "\\fi"),
)
_NOTE = re.compile(r"<<[^<>\n]{1,200}>>")  # of a calculator, as GSM8K has them
_HIDDEN = re.compile(
    r"~~[^~\n]{1,400}~~|^[ \t]{0,20}%[^\n]*|(?<!\S)%\s?\$?\\boxed[^\n]*"
    r"|</?(?:b|i|u|p|em|strong|br|div|span|center|h\d|s)\s?/?>|<\|[\w ]{1,40}\|>",
    re.MULTILINE,
)


def visible(text: str) -> str:
    """The text with spaces in place of all that is not rendered."""
    # Written out: a loop over the marks costs five times as much, and this runs on every response.
    if "</" in text or "<!" in text or "\\iff" in text or "{comment}" in text:
        for start, end in _PAIRS:
            text = _without_pair(text, start, end)
    if "<<" in text:
        text = _NOTE.sub("", text)
    if "%" in text or "~~" in text or "<|" in text or "</" in text or "<br" in text:
        text = _HIDDEN.sub(lambda hidden: " " * len(hidden[0]), text)
    return text


def _without_pair(text: str, opening: str, closing: str) -> str:
    pieces = []
    position = 0
    while (start := text.find(opening, position)) >= 0:
        end = text.find(closing, start)
        if end < 0:
            break
        end += len(closing)
        pieces += [text[position:start], " " * (end - start)]
        position = end
    return "".join([*pieces, text[position:]]) if pieces else text
