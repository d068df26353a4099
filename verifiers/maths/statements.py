"""Finds sentences that state the final answer: `The answer is 42`, `#### 42`, `<answer>42</answer>`, 答案是42.

Covers the common forms of about twenty languages. The last statement that says something counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proctor.verifiers.maths.prose import without_bold

_ENGLISH = re.compile(r"answers?|\bans\b|####|^[ \t]{0,8}A ?:(?=[ \t]{0,8}\S)", re.IGNORECASE | re.MULTILINE)
# White space is bounded wherever two runs of it could meet: unbounded, a long one takes quadratic time.
_GAP = r"\s{0,9}"
_OF = rf"(?:{_GAP}\s(?:to|for|of)\s[^.\n:=]{{1,80}}?)?"
_VERB = r"(?:is|was|are|equals|(?:would|should|must|will|can only) be|comes out (?:to|as))\b"
_STATED = re.compile(
    rf"{_OF}{_GAP}(?:(?:\*\*|__|\)|\")?{_GAP}(?:{_VERB}{_GAP}:?|[:=])|\*\*{_GAP}:?|(?={_GAP}(?:\\\(|\$|\\\[)))",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"[#*\s]{0,9}(?:the\s)?(?:final\s|correct\s)?answer[ \t*_:]{0,9}$", re.IGNORECASE | re.MULTILINE
)
_HEADING_START = 40  # characters between the start of a line and the word `answer` of a heading, at most
# `Suppose the answer is 6` and `if the final answer is 6` state nothing.
_SUPPOSED = re.compile(
    r"\b(?:assum(?:e|es|ed|ing)|suppos(?:e|ed|ing)|imagin(?:e|ing)|pretend|if|whether|let(?:'s|’s| us) say)\s"
    r"(?:that\s)?(?:(?:the|our|my|your|this|his|her|an?)\s)?(?:final\s|correct\s|right\s)?$",
    re.IGNORECASE,
)
_SUPPOSED_START = 40  # characters of it before the word `answer`, at most
_LINE_END = re.compile(r"[ \t*_:]{0,9}\n\s*")
_JSON_VALUE = re.compile(rf"[\"']{_GAP}:{_GAP}(?:\"((?:[^\"\\]|\\.)*)\"|'([^']*)'|([^,}}\n]+))")
_CLOSING_TAG = re.compile(r"</(?:final_)?answer>|\[/answer\]", re.IGNORECASE)
# Other languages: the noun for an answer, then what may stand between it and the answer.
_OTHERS = re.compile(
    "|".join(
        (
            r"réponse(?: finale| correcte)?\s*(?:est|:|=|vaut)",
            r"respuesta(?: final| correcta)?\s*(?:es|:|=|sería)",
            r"resposta(?: final| correta)?\s*(?:é|:|=|seria)",
            r"risposta(?: finale| corretta)?\s*(?:è|:|=)",
            r"antwort\s*(?:ist|lautet|:|=|beträgt)",
            r"antwoord\s*(?:is|:|=)",
            r"\bsvaret?\s*(?:är|er|:|=)",
            r"odpowiedź\s*(?:to|jest|:|=)",
            r"odpověď\s*(?:je|:|=)",
            r"(?:ответ|відповідь)\s*(?:равен|есть|это|:|=|—|-)",
            r"(?:cevap|yanıt)\s*[:=]",
            r"jawaban(?:nya)?\s*(?:adalah|ialah|:|=)",
            r"đáp án\s*(?:là|đúng là|:|=)",
            r"答案(?:应该|應該)?\s*(?:是|为|為|:|：|=|選|选)",
            r"答え?\s*(?:は|:|：)",
            r"정답은|답은|답\s*[:：]",
            r"(?:الإجابة|الجواب|الاجابة)(?: النهائية| الصحيحة)?\s*(?:هي|هو|:|=)",
            r"उत्तर\s*(?:है|:|=|होगा|(?=[\d-]))",
            r"คำตอบ\s*(?:คือ|:)",
        )
    ),
    re.IGNORECASE,
)
_ASCII_OTHERS = ("respuesta", "resposta", "risposta", "antwort", "antwoord", "svar", "cevap", "jawaban")
_MATHS_START = re.compile(r"[\s*_:]{0,20}(?P<open>\$\$|\$|\\\(|\\\[)")
_CLOSING = {
    "$": re.compile(r"(?<!\\)\$"),
    "$$": re.compile(r"\$\$"),
    "\\(": re.compile(r"\\\)"),
    "\\[": re.compile(r"\\\]"),
}
_LEADING = re.compile(r"[\s*_:：>–—\"“}]*")
_SENTENCE_END = re.compile(r"(?<!\b(?:i\.e|e\.g))[.。।!?？！](?=\s|$|[*_\"”」<])|\n|<\||</")
_EDGES = ' \t\n*_`"”“'
# The last line of GSM8K's own form, which needs no search.
_LAST_LINE = re.compile(r"[ \t]{0,9}(####|A ?:)[ \t]{0,9}([-+]?\d[\d,.]{0,40}?)[ \t.]{0,9}\Z")
_NEAR = 120  # characters at the end that are searched first: most statements stand there
_BETWEEN = re.compile(rf"{_GAP}(?:,{_GAP}and\b|,{_GAP}or\b|,|;|and\b|or\b)", re.IGNORECASE)
_UNIT = re.compile(
    rf"{_GAP}(?:%|°|(?:square |cubic |sq\.? )?[a-zA-Z]{{1,20}}(?:\^?[23]|²|³)?)(?={_GAP}(?:[.,;!]|$))"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a sentence states as the answer, where that stands, and the words that introduced it."""

    content: str
    start: int
    end: int
    marker: str
    is_enclosed: bool = False  # by a tag or quotes: there is no explanation in it


def last_statement(text: str, start: int = 0) -> Statement | None:
    """The last statement of a final answer at or after `start` that states something."""
    last = _LAST_LINE.match(text, max(start, text.rfind("\n") + 1))
    if last:
        return Statement(last[2], last.start(), last.end(2), last[1])
    near = max(start, len(text) - _NEAR)
    english = _english_from(text, near, len(text))
    if english is None and near > start:
        english = _english_from(text, start, near)
    other = _other_from(text, english.start if english else start)
    return other or english


def _english_from(text: str, start: int, stop: int) -> Statement | None:
    """The last statement that begins at or after `start` and before `stop`."""
    keys = [key for key in _ENGLISH.finditer(text, start) if key.start() < stop]
    for key in reversed(keys):
        enclosed = _enclosed_span(text, key)
        span = enclosed or _spoken_span(text, key)
        if span and (content := _bare(text, span)):
            return Statement(content, key.start(), span[1], key[0].strip(), enclosed is not None)
    return None


def _other_from(text: str, start: int) -> Statement | None:
    tail = text[start:]
    if tail.isascii():
        lower = tail.lower()
        if not any(noun in lower for noun in _ASCII_OTHERS):
            return None
    for key in reversed(list(_OTHERS.finditer(text, start))):
        span = _sentence_span(text, key.end())
        if content := _bare(text, span):
            return Statement(content, key.start(), span[1], key[0].strip())
    return None


def _enclosed_span(text: str, key: re.Match[str]) -> tuple[int, int] | None:
    """The answer in `<answer>42</answer>`, `[answer]42[/answer]` or `"answer": "42"`."""
    before, after = text[key.start() - 1 : key.start()], text[key.end() : key.end() + 1]
    tag = before == "<" or text[max(0, key.start() - 7) : key.start()].lower() == "<final_"
    if (tag and after == ">") or (before == "[" and after == "]"):
        closing = _CLOSING_TAG.search(text, key.end())
        return key.end() + 1, closing.start() if closing else len(text)
    if after in ("'", '"') and (value := _JSON_VALUE.match(text, key.end())):
        return value.span(value.lastindex or 0)
    return None


def _spoken_span(text: str, key: re.Match[str]) -> tuple[int, int] | None:
    """The answer after `the answer is`, `Answer:`, `####`, or a heading."""
    if key[0] == "####" or key[0].endswith(":"):
        return _sentence_span(text, key.end())
    if _SUPPOSED.search(text, max(0, key.start() - _SUPPOSED_START), key.start()):
        return None
    stated = _STATED.match(text, key.end())
    if stated is None:
        near = max(0, key.start() - _HEADING_START)
        line = max(near, text.rfind("\n", near, key.start()) + 1)
        stated = _LINE_END.match(text, key.end()) if _HEADING.match(text, line) else None
    return _sentence_span(text, stated.end()) if stated else None


def sentence(text: str, start: int) -> str:
    """The formula, or else the sentence, that begins at `start`."""
    return _bare(text, _sentence_span(text, start))


def _bare(text: str, span: tuple[int, int]) -> str:
    return without_bold(text[span[0] : span[1]]).strip(_EDGES)


def _sentence_span(text: str, start: int) -> tuple[int, int]:
    maths = _MATHS_START.match(text, start)
    if maths:
        return maths.start("open"), _formulas_end(text, maths)
    lead = _LEADING.match(text, start)
    start = lead.end() if lead else start
    end = _SENTENCE_END.search(text, start)
    return start, end.start() if end else len(text)


def _formulas_end(text: str, maths: re.Match[str]) -> int:
    """Where a formula ends, those that it is listed with (`$x = 1$ or $x = 2$`), and the unit that follows."""
    while True:
        closing = maths["open"]
        close = _CLOSING[closing].search(text, maths.end())
        if close is None:
            stop = _SENTENCE_END.search(text, maths.end())
            return stop.start() if stop else len(text)
        end = close.end()
        joint = _BETWEEN.match(text, end)
        following = _MATHS_START.match(text, joint.end()) if joint else None
        if following is None:
            unit = _UNIT.match(text, end)
            return unit.end() if unit else end
        maths = following
