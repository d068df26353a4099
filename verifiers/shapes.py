"""What is wrong with the form of a response, shape by shape: each function returns the fault, or None.

All are strict about what a reward must not let through: an empty section, a tag twice, text outside of the
sections, tags within tags, a section that never ends. All take linear time.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

# A response of more brackets deep is refused before it is parsed: the decoder recurses.
MAX_JSON_DEPTH = 100


def fault_of_sections(text: str, tags: Sequence[str]) -> str | None:
    """`<a>...</a> <b>...</b>`: each section once, in order, none empty, only white space around them.

    Any other mark that looks like one of the tags, in whatever case or spacing, is a fault too: where a
    section quotes the tags nobody can tell for sure where the answer is.
    """
    expected = [mark for tag in tags for mark in (f"<{tag}>", f"</{tag}>")]
    marks = list(_marks_of(tuple(tags)).finditer(text))
    for mark, wanted in zip(marks, expected, strict=False):
        if mark[0] != wanted:
            return f"{mark[0]} where {wanted} was expected"
    if len(marks) != len(expected):
        several = len(marks) > len(expected)
        return f"{marks[len(expected)][0]} too many" if several else f"no {expected[len(marks)]}"
    end = 0
    for opening, closing in zip(marks[::2], marks[1::2], strict=True):
        if text[end : opening.start()].strip():
            return f"text before {opening[0]}"
        if _is_blank(text[opening.end() : closing.start()]):
            return f"{opening[0]} is empty"
        end = closing.end()
    return f"text after {expected[-1]}" if text[end:].strip() else None


def _is_blank(text: str) -> bool:
    """Whether nothing is to be seen: white space, and signs of no width such as U+200B."""
    return not any(sign.isprintable() and sign != " " for sign in text)


@lru_cache(maxsize=64)
def _marks_of(tags: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(sorted(map(re.escape, tags), key=len, reverse=True))
    return re.compile(rf"<\s{{0,9}}/?\s{{0,9}}(?:{names})(?:\s[^<>]{{0,99}})?/?>", re.IGNORECASE)


_BOX = re.compile(r"\\f?box(?:ed)?(?![a-zA-Z])\s{0,9}")
_TYPE = re.compile(r"\\(?:text|math)(?:bf|it|rm|sf|tt)?(?![a-zA-Z])|\\mbox(?![a-zA-Z])")
_BRACES = re.compile(r"\\[{}\\]|[{}]")


def fault_of_box(text: str) -> str | None:
    """Exactly one `\\boxed{...}`, balanced, with something in it that could be an answer."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return "no \\boxed{}"
    if len(boxes) > 1:
        return f"{len(boxes)} boxes, where the answer belongs into one"
    start = boxes[0].end()
    if not text.startswith("{", start):
        return "\\boxed without braces"
    end = _end_of_braces(text, start)
    if end is None:
        return "\\boxed{ is never closed"
    content = text[start + 1 : end - 1]
    return (
        None
        if any(map(_may_answer, _TYPE.sub("", content)))
        else f"\\boxed{{{content[:20]}}} holds no answer"
    )


def _may_answer(sign: str) -> bool:
    """A letter, a figure, or a sign of mathematics, such as ∞ and <."""
    return sign.isalnum() or unicodedata.category(sign) == "Sm"


def has_open_box(text: str) -> bool:
    """Whether the last `\\boxed{` never closes."""
    boxes = deque(_BOX.finditer(text), maxlen=1)
    return bool(boxes) and text.startswith("{", boxes[0].end()) and not _end_of_braces(text, boxes[0].end())


def _end_of_braces(text: str, start: int) -> int | None:
    depth = 0
    for brace in _BRACES.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return brace.end()
    return None


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block of code, as CommonMark has it."""

    language: str  # first word after the fence, in lower case
    body: str
    closed: bool


# Signs that are looked at first and then taken as they are: to try fewer of them takes quadratic time.
_FENCE = re.compile(r"^ {0,3}(?=(`{3,}|~{3,}))\1([^\n`]*)$", re.MULTILINE)


def fences(text: str) -> Iterator[Fence]:
    """The fenced blocks of a text, in order; one that is never closed is the last."""
    opening: re.Match[str] | None = None
    for mark in _FENCE.finditer(text):
        if opening is None:
            opening = mark
        elif mark[1].startswith(opening[1]) and not mark[2].strip():
            yield Fence(_language_of(opening), text[opening.end() : mark.start()].strip("\n"), closed=True)
            opening = None
    if opening is not None:
        yield Fence(_language_of(opening), text[opening.end() :], closed=False)


def _language_of(opening: re.Match[str]) -> str:
    words = opening[2].split(maxsplit=1)
    return words[0].lower() if words else ""


_ALIASES = {
    "py": "python",
    "python3": "python",
    "c++": "cpp",
    "c#": "csharp",
    "cs": "csharp",
    "js": "javascript",
    "ts": "typescript",
    "sh": "bash",
    "shell": "bash",
    "golang": "go",
    "rs": "rust",
}


def fault_of_code(text: str, language: str | None) -> str | None:
    """Exactly one closed code block that is not empty; of that language, where one is given."""
    wanted = language and _ALIASES.get(language.lower(), language.lower())
    blocks = [
        fence
        for fence in fences(text)
        if not wanted or _ALIASES.get(fence.language, fence.language) == wanted or not fence.closed
    ]
    kind = f"{language} block" if language else "code block"
    if not blocks:
        return f"no {kind}"
    if not blocks[-1].closed:
        return "a code block is never closed"
    if len(blocks) > 1:
        return f"{len(blocks)} {kind}s, where one was expected"
    return f"the {kind} is empty" if _is_blank(blocks[0].body) else None


def parse_json(text: str) -> tuple[Any, str | None]:
    """The JSON value that a whole text is, and its fault: None where it is one.

    Stricter than Python's own reader: no NaN or Infinity (1e999), no key twice in an object. Prose or a fence
    around the value is a fault.
    """
    if _depth(text) > MAX_JSON_DEPTH:
        return None, f"more than {MAX_JSON_DEPTH} brackets deep"
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object), None
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"


# A string need not end to match: with a closing quote required, text full of quotes takes quadratic time.
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        deepest = max(deepest, depth)
    return deepest


def _finite(numeral: str) -> float:
    value = float(numeral)
    return _refuse(numeral) if math.isinf(value) else value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return found
