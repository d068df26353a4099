"""Splits a response into what the model thought and what it said. Only what it said can hold an answer.

Covers the marks that reasoning models write, in any case: <think>, <thinking>, <thought>, <reasoning>,
<seed:think>, <|begin_of_thought|> ... <|end_of_thought|>, [THINK] ... [/THINK] and ◁think▷ ... ◁/think▷.
Does not cover channels that a tokenizer strips before the text gets here, nor marks in another language.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from proctor.verifiers.core import Message

_MARK = re.compile(
    r"<(?P<xml_end>/?)(?P<xml>think|thinking|thought|reasoning|seed:think)\s{0,3}>"
    r"|<\|(?P<verb>begin|end)_of_thought\|>"
    r"|\[(?P<square_end>/?)think\]"
    r"|◁(?P<triangle_end>/?)think▷",
    re.IGNORECASE,
)
# A search in lower case costs a fifth of the case-blind pattern; most responses hold none of these.
_HINTS = ("think", "thought", "reasoning")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_QUOTES = tuple("\"'`")
_MARGIN = 80  # white space in front of a mark at the start of its line
# Templates end with the mark and white space; whatever stands further back was closed or is content.
_PROMPT_TAIL = 64


@dataclass(frozen=True, slots=True)
class Thinking:
    """A response in two: `thinking` and `rest`, each joined by newlines where it came in several pieces."""

    thinking: str | None  # None: there is no thinking section; "": there is one and it is empty
    rest: str  # what stands outside of thinking sections, white space kept
    closed: bool = True  # False: the last section never ends, so the response never came to its answer


def split_thinking(text: str, *, is_open: bool = False, holds_code: bool = False) -> Thinking:
    """Takes thinking sections out of a response, in linear time.

    A closing mark that nothing opened says that the prompt's template had opened the section: all before
    it is thinking. Sections do not nest: a model that muses about "<think>" while thinking has not opened
    another one, and the first closing mark of the section's own kind ends it.

    Args:
        text: the completion.
        is_open: the prompt ended inside a section (`opens_thinking`), so that a completion without any
            mark is thinking that never ended.
        holds_code: the response holds code, which may mention marks: outside of a section, marks count only
            where no fenced block is open, an opening one only at the start of its line, and a closing one not
            beside a quote.
    """
    if not is_open and not _may_have_marks(text):
        return Thinking(None, text)
    inside: list[tuple[int, int]] = []
    outside: list[tuple[int, int]] = []
    kind = "any" if is_open else None  # kind of the section that we are in; None: outside
    start = 0
    fences = [fence.start() for fence in _FENCE.finditer(text)] if holds_code else []
    for mark in _MARK.finditer(text):
        ends, name = _read(mark)
        is_in_block = (bisect(fences, mark.start()) - bisect(fences, start)) % 2 == 1
        if kind is None and holds_code and _is_mentioned(text, mark, ends, is_in_block):
            continue
        if kind is None and ends:
            inside, outside = [(0, mark.start())], []
        elif kind is None:
            outside.append((start, mark.start()))
            kind = name
        elif ends and kind in (name, "any"):
            inside.append((start, mark.start()))
            kind = None
        else:
            continue
        start = mark.end()
    (outside if kind is None else inside).append((start, len(text)))
    return Thinking(_join(text, inside) if inside else None, _join(text, outside), kind is None)


def opens_thinking(prompt: str | Sequence[Message]) -> bool:
    """Whether the prompt (text, or chat messages) ends with an opening mark, as templates of R1 kind do."""
    tail = prompt_tail(prompt)
    return any(mark.end() == len(tail) and not _read(mark)[0] for mark in _MARK.finditer(tail))


def prompt_tail(prompt: str | Sequence[Message]) -> str:
    """The last characters that the model had before it, white space at the end left out; "" without any.

    Of chat messages only an assistant's turn that was begun for the model counts.
    """
    if isinstance(prompt, str):
        return prompt[-_PROMPT_TAIL:].rstrip()
    if prompt and prompt[-1].get("role") == "assistant":
        return str(prompt[-1].get("content") or "")[-_PROMPT_TAIL:].rstrip()
    return ""


def _may_have_marks(text: str) -> bool:
    lower = text.lower()
    return any(hint in lower for hint in _HINTS)


def _is_mentioned(text: str, mark: re.Match[str], ends: bool, is_in_block: bool) -> bool:
    """Whether a mark outside of a section is part of code or only spoken of."""
    first = max(0, mark.start() - _MARGIN)
    before = text[first : mark.start()]
    is_at_start = not before.rpartition("\n")[2].strip() and (first == 0 or "\n" in before)
    following = text[mark.end() : mark.end() + 1]
    if ends:
        is_alone = is_at_start and not following.strip()
        return not is_alone and (is_in_block or before[-1:] in _QUOTES or following in _QUOTES)
    return is_in_block or not is_at_start


def _read(mark: re.Match[str]) -> tuple[bool, str]:
    """Whether the mark ends a section, and the kind of section."""
    if mark["xml"] is not None:
        return mark["xml_end"] == "/", mark["xml"].lower()
    if mark["verb"] is not None:
        return mark["verb"].lower() == "end", "|thought|"
    if mark["square_end"] is not None:
        return mark["square_end"] == "/", "[think]"
    return mark["triangle_end"] == "/", "◁think▷"


def _join(text: str, spans: list[tuple[int, int]]) -> str:
    return "\n".join(text[start:end] for start, end in spans if end > start)
