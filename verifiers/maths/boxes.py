r"""Finds `\boxed{...}`: balanced, rendered, not negated; and which boxes make up one answer together.

Covers \boxed, \fbox, \framebox, any number of backslashes, a lost one (BACKSPACE + "oxed"), and a box
without braces. Does not cover boxes that a macro of the response's own would draw.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from proctor.verifiers.maths.prose import hedged

# A pattern with a literal start costs a quarter of one that looks for backslashes first.
_BOX = re.compile(r"(?:[bB]oxed|fbox|framebox|oxed)\s{0,3}(?=[{\S])")
_BARE = re.compile(r"[-+]?[\w.,/%]{0,200}[\w%]")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_UNSEEN_AROUND = re.compile(
    r"\\(?:[hv]?phantom|cancel|xcancel|bcancel|sout|st|color\{white\}|textcolor\{white\})\s*\{\s*\\?$"
)
_NEGATED = re.compile(
    r"(?:\b(?:not|never|neither|cannot be|n't|n't be|n't equal)|\\ne(?:q|g)?|≠)\s*"
    r"(?:equal(?: to)?|simply|just)?\s*[\\$(\s]*$",
    re.IGNORECASE,
)
_REJECTED = re.compile(
    r"[\s$)\\\].,]{0,9}(?:is|was|seems|looks)\s+(?:wrong|incorrect|not|false)\b", re.IGNORECASE
)
_GAP_MARKUP = re.compile(r"\\text\w*\s?\{|\\(?:q?quad|[,;: ()\[\]\\])|[$}]")
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_PLACEHOLDERS = ("...", "answer", "your answer", "final answer", "")
_GAP = 80  # characters between two boxes of one answer, at most
_GAP_WORDS = 9  # words between them, at most
_MOST = 64  # boxes of one answer, at most
_LAST = 200  # boxes at the end that are looked at
_LONGEST = 100_000  # characters of all boxes together that are looked at
_CONTEXT = 40  # characters before a box that may negate it


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its content, and where it starts and ends in the text."""

    content: str
    start: int
    end: int
    joint: str = ""  # what joins it to the box before: "" (first), "," or "or"


def last_boxes(text: str) -> tuple[Box, ...]:
    """The boxes that hold the final answer, in order: the last one, and those that it is listed with."""
    starts = [match for match in _BOX.finditer(text) if match.start() and text[match.start() - 1] in "\\\b"]
    group: list[Box] = []
    left = _LONGEST
    for match in reversed(starts[-_LAST:]):
        if len(group) >= _MOST or left < 0:
            break
        box = _box(text, match, left)
        left -= box.end - box.start
        if not _holds_answer(text, box) or (group and box.end > group[0].start):
            continue
        if not group:
            group.append(box)
        elif group[0].start - box.end <= _GAP and (joint := _joint(text, box, group[0])):
            group[:1] = [box, replace(group[0], joint=joint)]
        else:
            break
    return tuple(group)


def _box(text: str, match: re.Match[str], longest: int) -> Box:
    start = match.start() - 1
    while start and text[start - 1] == "\\":
        start -= 1
    if text[match.end()] == "{":
        end = _closing_brace(text, match.end(), longest)
        return Box(text[match.end() + 1 : end], start, min(end + 1, len(text)))
    bare = _BARE.match(text, match.end())
    return Box(bare[0], start, bare.end()) if bare else Box("", start, match.end())


def _closing_brace(text: str, start: int, longest: int) -> int:
    """Where the brace that opens at `start` closes; the end of the text, or of what is looked at, if it never does."""
    depth = 0
    for mark in _BRACES.finditer(text, start, start + longest):
        depth += (mark[0] == "{") - (mark[0] == "}")
        if not depth:
            return mark.start()
    return min(len(text), start + longest)


def _holds_answer(text: str, box: Box) -> bool:
    r"""Whether a box is rendered, neither negated nor rejected, and more than an instruction's \boxed{...}."""
    before = text[max(0, box.start - _CONTEXT) : box.start]
    bare = box.content.strip().strip("$").strip().lower()
    if bare in _PLACEHOLDERS or bare.startswith("\\phantom") or _UNSEEN_AROUND.search(before):
        return False
    return not (_NEGATED.search(before) or _REJECTED.match(text, box.end))


def _joint(text: str, box: Box, following: Box) -> str:
    """What joins two boxes to one answer: `or` where the second is offered for the first; empty where nothing does."""
    other = hedged(text, box.end)
    if other is not None and not text[other : following.start].strip("$\\([ "):
        return "or"
    if not _joins(text[box.end : following.start]):
        return ""
    return "or" if _OR.search(text, box.end, following.start) else ","


def _joins(gap: str) -> bool:
    """Whether what stands between two boxes makes them parts of one answer: nothing, space, `and`, a comma."""
    bare, marks = _GAP_MARKUP.subn(" ", gap)
    words = bare.split()
    if not words:
        return bool(marks and gap.strip("$\n ")) or not gap.strip("$")
    if len(words) > _GAP_WORDS or any(sign in bare for sign in "=:.\n"):
        return False
    return words[-1].lower() in ("and", "or", "&") or words[-1][-1] in ",;"
