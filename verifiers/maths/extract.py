r"""Takes the final answer out of a response, and says by which rule and why.

The order, for the policy `lenient`; `strict` knows boxes only:

1. Thinking sections are cut off. One that never closes means that the response never came to its answer.
2. The last `\boxed{...}` that is rendered, not empty and not negated. Boxes listed together ("\boxed{1} and
   \boxed{2}") are one answer of several parts, so that hedging between two answers gives both.
3. A statement after the box ("the final answer is 43", "#### 43") replaces it; an admitted mistake without
   a new answer takes it back.
4. Without a box: the last statement of an answer, in any of some twenty languages, unless corrected after.
5. Without a statement: what the last sentence sets in bold type, the first line where the others explain it, the
   whole response where it is a bare answer, else its last formula or number. This last resort can be turned off.

What is offered beside an answer ("42, or maybe 43") belongs to it. What is taken is text, not yet read.
Every pattern runs in linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from proctor.verifiers.maths import emphasis, endings, prose
from proctor.verifiers.maths.boxes import Box, last_boxes
from proctor.verifiers.maths.latex import mend
from proctor.verifiers.maths.plain import plain_number
from proctor.verifiers.maths.statements import Statement, last_statement, sentence
from proctor.verifiers.maths.visible import visible
from proctor.verifiers.thinking import split_thinking

Policy = Literal["lenient", "strict"]
_CONTEXT = 40  # characters kept on either side of an answer, for people
_BARE_LENGTH = 300  # a whole response up to this long may be a bare answer
_WINDOW = 2000  # characters at the end in which the last resort looks
_MOST_WORDS = 12  # of a stated answer in plain language
_BEGINS_WORKING = re.compile(r"(?:let|we|first|to|the (?:problem|question)|in order|i)\b", re.IGNORECASE)
_RETRACTS = re.compile(
    r"\b(?:(?:i|we) (?:have )?ma(?:d|k)e (?:an?|some) (?:\w+ ){0,2}(?:error|mistake)|scratch that|"
    r"(?:that|this|it|which|above|answer|result) (?:is|was) (?:actually |clearly )?"
    r"(?:wrong|incorrect|not (?:right|correct|the answer)))\b",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"\b(?:(?:it|answer|value|result|that|this) (?:should|must) (?:instead |actually |really )?(?:be|have been)"
    r"|(?:actually|no|wait|oops|sorry),? (?:it is|it's|it equals)"
    r"|correct (?:value|result|number|one) is|correction(?=:))\b:?\s{0,9}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was taken from a response, and why. `answer` is None where it commits to none."""

    answer: str | None
    rule: str  # box, boxes, statement, correction, bold, formula, number, letter, first line, whole; or why none
    context: str = ""  # the answer with what stands around it


def extract(
    response: str,
    policy: Policy = "lenient",
    *,
    last_number: bool = True,
    letters: bool = False,
    is_open: bool = False,
) -> Extraction:
    """The final answer of a response.

    Args:
        response: the completion as it came from the model.
        policy: `lenient`, or `strict` for boxes only.
        last_number: whether the last formula or number may stand in for an answer that is not marked.
        letters: the answer asked for is the letter of a choice, so that a lone capital counts.
        is_open: the prompt opened a thinking section.
    """
    split = split_thinking(response, is_open=is_open)
    if not split.closed:
        return Extraction(None, "thinking never ends")
    text = visible(split.rest)
    boxes = last_boxes(text) if "ox" in text else ()
    if boxes:
        later = _after_box(text, boxes[-1].end, letters=letters) if policy == "lenient" else None
        return later or _boxed(text, boxes)
    if policy == "strict":
        return Extraction(None, "no box")
    statement = last_statement(text)
    found = _stated(text, statement, letters=letters) if statement else None
    if statement and found:
        return _corrected(text, statement.end, letters=letters) or found
    return (
        _last_resort(text, letters=letters) if last_number else Extraction(None, "no statement of an answer")
    )


def refine(found: Extraction, *, letters: bool = False) -> str | None:
    """The answer within a boxed or whole text that is prose: of `so he has 79 g` the 79. None where it is none."""
    answer = found.answer or ""
    if found.rule not in ("box", "bold", "whole") or len(answer) > _BARE_LENGTH or prose.is_code(answer):
        return None
    statement = last_statement(answer)
    if statement is not None:
        return prose.core(statement.content, letters=letters)
    if not prose.is_prose(answer, words=1):
        return None
    return (prose.last_choice(answer) if letters else None) or _last_value(answer).answer


def _boxed(text: str, boxes: tuple[Box, ...]) -> Extraction:
    said = dict.fromkeys(box.content for box in boxes)  # a box that is repeated says nothing new
    answer = (" or " if any(box.joint == "or" for box in boxes) else ", ").join(said)
    other = prose.hedged(text, boxes[-1].end)
    if other is not None:
        answer = f"{answer} or {prose.core(sentence(text, other))}"
    context = _around(text, boxes[0].start, boxes[-1].end)
    return Extraction(answer, "box" if len(boxes) == 1 else "boxes", context)


def _after_box(text: str, end: int, *, letters: bool) -> Extraction | None:
    """What is said after a box where it changes the answer."""
    if end + 4 > len(text):
        return None
    statement = last_statement(text, end)
    if statement is None:
        return _corrected(text, end, letters=letters)
    return _correction(text, statement, letters=letters)


def _corrected(text: str, end: int, *, letters: bool) -> Extraction | None:
    """What is said after an answer to correct it or to take it back."""
    if end + 4 > len(text):
        return None
    corrections = list(_INSTEAD.finditer(text, end))
    if not corrections:
        taken_back = _RETRACTS.search(text, end)
        return Extraction(None, "taken back", taken_back[0]) if taken_back else None
    last = corrections[-1]
    statement = Statement(sentence(text, last.end()), last.start(), last.end(), last[0])
    return _correction(text, statement, letters=letters)


def _correction(text: str, statement: Statement, *, letters: bool) -> Extraction | None:
    found = _stated(text, statement, letters=letters)
    if found is None or not found.answer:
        return None
    says_something = letters or prose.says_something(found.answer)
    return Extraction(found.answer, "correction", found.context) if says_something else None


def _stated(text: str, statement: Statement, *, letters: bool) -> Extraction | None:
    """The answer of a statement; None where it only announces one ("Answer: Let's see ...")."""
    if text[statement.end : statement.end + 1] == "?":
        return None  # is the answer 5?
    other = prose.hedged(text, statement.end)
    if other is None and plain_number(statement.content) is not None:
        return Extraction(statement.content, "statement", _around(text, statement.start, statement.end))
    content = mend(statement.content)
    answer = content if statement.is_enclosed else prose.core(content, letters=letters)
    announces = _BEGINS_WORKING.match(answer) or len(answer.split()) > _MOST_WORDS
    if not answer or (announces and not prose.says_something(answer)):
        return None
    if other is not None:
        answer = f"{answer} or {prose.core(sentence(text, other), letters=letters)}"
    return Extraction(answer, "statement", _around(text, statement.start, statement.end))


def _last_resort(text: str, *, letters: bool) -> Extraction:
    stripped = prose.without_bold(text.strip(" \t\n\r`_"))
    if not stripped:
        return Extraction(None, "empty")
    choice = prose.last_choice(stripped) if letters else None
    if choice:
        return Extraction(choice, "letter", stripped[-2 * _CONTEXT :])
    is_short = len(stripped) <= _BARE_LENGTH
    emphasised = emphasis.last_emphasis(text)
    if emphasised is not None:
        return Extraction(emphasised, "bold", stripped[-2 * _CONTEXT :])
    first = endings.explained(stripped)
    if first is not None:
        return Extraction(first, "first line", first)
    derived = endings.conclusion(mend(stripped))
    if derived is not None:
        return Extraction(derived, "formula", stripped[-2 * _CONTEXT :])
    bare = prose.bare(mend(stripped)) if is_short else ""
    if bare:
        return Extraction(bare, "whole", bare)
    if stripped.rfind("\\begin{") > stripped.rfind("\\end{"):
        return Extraction(None, "cut off inside a formula")
    found = _last_value(stripped)
    return Extraction(stripped, "whole", stripped) if is_short and found.answer is None else found


def _last_value(text: str) -> Extraction:
    """The last formula or number of a text, whichever ends later."""
    window = text[-_WINDOW:]
    formulas = [found for found in prose.FORMULA.finditer(window) if prose.says_something(_inside(found))]
    numbers = [] if prose.is_code(window) else endings.final_numbers(window)
    if formulas and (not numbers or numbers[-1].start() < formulas[-1].end()):
        start, end = prose.listed_from(formulas), formulas[-1].end()
        return Extraction(window[start:end], "formula", _around(window, start, end))
    if numbers:
        start, end = endings.last_span(numbers)
        return Extraction(window[start:end].strip(), "number", _around(window, start, end))
    return Extraction(None, "no answer found")


def _inside(formula: re.Match[str]) -> str:
    """A formula without its delimiters."""
    return next(group for group in formula.groups() if group)


def _around(text: str, start: int, end: int) -> str:
    return text[max(0, start - _CONTEXT) : end + _CONTEXT]
