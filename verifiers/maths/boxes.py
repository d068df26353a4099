r"""Finds `\boxed{...}`: balanced, rendered, not negated; and which boxes make up one answer together.

Covers \boxed, \fbox, \framebox, any number of backslashes, a lost one (BACKSPACE + "oxed"), and a box
without braces. Does not cover boxes that a macro of the response's own would draw.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

# A pattern with a literal start costs a quarter of one that looks for backslashes first.
_BOX = re.compile(r"(?:[bB]oxed|fbox|framebox|oxed)\s{0,3}(?=[{\S])")
_BARE = re.compile(r"[-+]?[\w.,/%]*[\w%]")
_HIDDEN = re.compile(
    r"<!--.*?-->|~~[^~\n]{1,400}~~|<(?P<tag>s|del|strike)>.*?</(?P=tag)>"
    r"|^[ \t]*%[^\n]*|(?<!\S)%\s?\$?\\boxed[^\n]*"
    r"|\\begin\{comment\}.*?\\end\{comment\}|\\iffalse.*?\\fi(?![a-z])"
    # What shows nothing of itself: tags of type, and the marks that end a turn.
    r"|</?(?:b|i|u|p|em|strong|br|div|span|center|h\d|s)\s?/?>|<\|[\w ]{1,40}\|>",
    re.DOTALL | re.MULTILINE,
)
_UNSEEN_AROUND = re.compile(
    r"\\(?:[hv]?phantom|cancel|xcancel|bcancel|sout|st|color\{white\}|textcolor\{white\})\s*\{\s*\\?$"
)
_NEGATED = re.compile(
    r"(?:\b(?:not|never|neither|cannot be|n't|n't be|n't equal)|\\ne(?:q|g)?|≠)\s*(?:equal(?: to)?|simply|just)?\s*[\\$(\s]*$",
    re.IGNORECASE,
)
_REJECTED = re.compile(
    r"[\s$)\\\].,]*(?:is|was|seems|looks)\s+(?:wrong|incorrect|not|false)\b", re.IGNORECASE
)
_GAP_MARKUP = re.compile(r"\\text\w*\s?\{|\\(?:q?quad|[,;: ()\[\]\\])|[$}]")
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_GAP_WORDS = 9  # words between two boxes of one answer, at most
_GAP = 80  # characters between two boxes of one answer, at most
_MOST = 64  # boxes of one answer, at most


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its content, and where it starts and ends in the text."""

    content: str
    start: int
    end: int
    joint: str = ""  # what joins it to the box before: "" (first), "," or "or"


def visible(text: str) -> str:
    """The text without comments and struck-out parts, of the same length."""
    # Written out: a loop over the marks costs five times as much, and this runs on every response.
    if (
        "%" in text
        or "~~" in text
        or "<!" in text
        or "</" in text
        or "<|" in text
        or "\\iff" in text
        or "{comment}" in text
    ):
        return _HIDDEN.sub(lambda hidden: " " * len(hidden[0]), text)
    return text


def last_boxes(text: str) -> tuple[Box, ...]:
    """The boxes that hold the final answer, in order: the last one, and those that it is listed with."""
    starts = [match for match in _BOX.finditer(text) if match.start() and text[match.start() - 1] in "\\\b"]
    group: list[Box] = []
    for match in reversed(starts):
        if group and (len(group) >= _MOST or match.end() < group[0].start - 1500):
            break
        box = _box(text, match)
        if box is None or (group and box.end > group[0].start):
            continue
        if not group:
            group.append(box)
        elif group[0].start - box.end <= _GAP and _joins(text[box.end : group[0].start]):
            joint = "or" if _OR.search(text, box.end, group[0].start) else ","
            group[:1] = [box, replace(group[0], joint=joint)]
        else:
            break
    return tuple(group)


def _joins(gap: str) -> bool:
    """Whether what stands between two boxes makes them parts of one answer: nothing, space, `and`, a comma."""
    bare, marks = _GAP_MARKUP.subn(" ", gap)
    words = bare.split()
    if not words:
        return bool(marks and gap.strip("$\n ")) or not gap.strip("$")
    if len(words) > _GAP_WORDS or any(sign in bare for sign in "=:.\n"):
        return False
    return words[-1].lower() in ("and", "or", "&") or words[-1][-1] in ",;"


def _box(text: str, match: re.Match[str]) -> Box | None:
    start = match.start() - 1
    while start and text[start - 1] == "\\":
        start -= 1
    if text[match.end()] == "{":
        end = closing_brace(text, match.end())
        content = text[match.end() + 1 : end]
        end = min(end + 1, len(text))
    else:
        bare = _BARE.match(text, match.end())
        if bare is None:
            return None
        content, end = bare[0], bare.end()
    before = text[max(0, start - 40) : start]
    if not content.strip() or _UNSEEN_AROUND.search(before) or _is_placeholder(content):
        return None
    if _NEGATED.search(before) or _REJECTED.match(text, end):
        return None
    return Box(content, start, end)


def closing_brace(text: str, start: int) -> int:
    """Where the brace that opens at `start` closes; the end of the text where it never does."""
    depth = 0
    for mark in _BRACES.finditer(text, start):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}":
            depth -= 1
            if not depth:
                return mark.start()
    return len(text)


_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)


def _is_placeholder(content: str) -> bool:
    r"""Whether the box is an instruction's, not an answer's: \boxed{...}, \boxed{\phantom{2}}, \boxed{answer}."""
    bare = content.strip().strip("$").strip().lower()
    return bare in ("...", "answer", "your answer", "final answer", "") or bare.startswith("\\phantom")
