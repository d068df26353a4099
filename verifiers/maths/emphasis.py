"""The answer that a response sets in bold type: `Weng earned **$10** for 50 minutes`, `the point is **(2, 3)**`.

Only numbers and formulas: a bold word may be a name, a heading or a stressed `not`. Only where nothing after it
may be the answer instead, and nothing before it denies or changes it.
"""

from __future__ import annotations

import re

from proctor.verifiers.maths import prose

_WINDOW = 2_000  # characters at the end in which it is looked for
_JOINT = re.compile(r",\s?|,?\s(?:and|or)\s")
# What may follow an answer and have numbers in it: circumstances, and the same in other words.
_ASIDE = re.compile(
    r"\W{0,3}(?:[a-z]{1,20}\s){0,3}?(?:for|when|where|at|with|because|since|if|on|in|after|or about|or approximately)\b"
    r"[^\n]*\Z|\s?\([^()\n]*\)[\s.]*\Z"
)
_GOES_ON = re.compile(
    r"\b(?:so|thus|hence|therefore|then|which|total|altogether|but|now|not|and)\b|,\s+(?:giving|leaving|making)\b|[.!?]\s+\S",
    re.IGNORECASE,
)


def last_emphasis(text: str) -> str | None:
    """What is bold at the end of a text, with what it is listed with; None where that is no answer."""
    window = text[-_WINDOW:].rstrip()
    spans = (
        [span for span in prose.BOLD.finditer(window) if prose.says_something(span[2])]
        if "*" in window
        else []
    )
    if not spans:
        return None
    start, end = _listed_from(spans), spans[-1].end()
    content = prose.without_bold(window[start:end]).strip()
    before = window[max(0, start - 20) : start].rstrip(" ")
    is_answer = not (content.endswith(":") or prose.is_prose(content) or prose.is_code(content))
    is_plain = not (prose.DENIED_BEFORE.search(before) or prose.is_changed_before(window, start))
    return content if is_answer and is_plain and _is_aside(window[end:]) else None


def _listed_from(spans: list[re.Match[str]]) -> int:
    first = len(spans) - 1
    while first and _JOINT.fullmatch(spans[first].string, spans[first - 1].end(), spans[first].start()):
        first -= 1
    return spans[first].start()


def _is_aside(tail: str) -> bool:
    """Whether what follows the bold type holds no other answer."""
    if not prose.says_something(tail):
        return True
    return _ASIDE.match(tail) is not None and _GOES_ON.search(tail) is None
