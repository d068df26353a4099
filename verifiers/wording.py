"""Reward parts on how a response is worded: does it repeat itself, and does it come to its end?

`repetition` is a fault and positive: subtract it. Whether the trainer cut a response off is a column of its
own: `truncated` in an expression is 1 where it did. `complete` can also judge by the text.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Cost, Part, each
from proctor.verifiers.registry import register
from proctor.verifiers.shapes import fences, has_open_box
from proctor.verifiers.thinking import opens_thinking, split_thinking
from proctor.verifiers.words import UNSPACED

# A Chinese or Japanese character is a word of its own, and so is a sign: a row of dots is a repetition.
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")
_MAX_NGRAM = 100  # 100,000 words in n-grams of 100 take 50 MB for a moment


@register
@dataclass(frozen=True)
class Repetition(Part):
    """Share of the response's n-grams that have occurred in it before: a penalty, to be subtracted.

    What it measures: loops and padding, anywhere in the completion, thinking included. Words are compared in
    lower case; a Chinese or Japanese character counts as a word, and so does a punctuation mark.

    Formula and range: 1 - distinct n-grams / n-grams, in [0, 1]; 0 where the response is shorter than
    `ngram`. A text that says the same thing k times over comes to about 1 - 1/k.

    What it pays wrongly: nothing is paid; it punishes what must repeat itself, such as tables, code and
    enumerations of cases, the more so the smaller `ngram` is.

    Source: Demystifying Long Chain-of-Thought Reasoning in LLMs, arXiv:2502.03373 (n-gram repetition
    penalty), as the share that Open R1's get_repetition_penalty_reward computes.
    """

    ngram: int = 20
    unit: Literal["words", "characters", "tokens"] = (
        "words"  # tokens: the column token_ids, a list of numbers
    )

    name: ClassVar[str] = "repetition"
    cost: ClassVar[Cost] = Cost.MICROSECONDS

    def __post_init__(self) -> None:
        if not 1 <= self.ngram <= _MAX_NGRAM:
            raise ValueError(f"repetition: ngram must be from 1 to {_MAX_NGRAM}, got {self.ngram}")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("token_ids",) if self.unit == "tokens" else ()

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return each(rollouts, self._judge)

    def _judge(self, rollout: Rollout) -> Verdict:
        units = self._units(rollout)
        if units is None:
            problem = "column 'token_ids' must hold a list of whole numbers"
            return Verdict(None, Status.MISCONFIGURED, {"problem": problem, "column": "token_ids"})
        total = len(units) - self.ngram + 1
        if total < 1:
            return Verdict(0.0, Status.MEASURED, {"ngrams": 0})
        distinct = _count_distinct(units, self.ngram)
        return Verdict(1 - distinct / total, Status.MEASURED, {"ngrams": total, "distinct": distinct})

    def _units(self, rollout: Rollout) -> Sequence[str] | Sequence[int] | None:
        if self.unit == "characters":
            return rollout.completion
        if self.unit == "words":
            return _WORD.findall(rollout.completion.lower())
        ids = rollout.get("token_ids")
        return ids if isinstance(ids, (list, tuple)) and all(isinstance(i, int) for i in ids) else None


def _count_distinct(units: Sequence[str] | Sequence[int], ngram: int) -> int:
    """Number of different n-grams. A unit becomes four bytes: a slice of bytes hashes faster than a tuple."""
    numbers: dict[str | int, int] = {}
    data = array("I", [numbers.setdefault(unit, len(numbers)) for unit in units]).tobytes()
    size = len(data) // len(units)
    return len({data[at : at + size * ngram] for at in range(0, len(data) - size * (ngram - 1), size)})


@register
@dataclass(frozen=True)
class Complete(Part):
    """Whether the response came to its own end, 1, or was cut off, 0.

    What it measures: what the trainer says (`Rollout.truncated`). Where it says nothing, there is no verdict
    (misconfigured), unless `guess` is on: then a text counts as cut off that never ends a thinking section, a
    code block, a `\\boxed{` or an `<answer>`.

    Formula and range: 1 or 0.

    What it pays wrongly: with `guess`, a response that was cut off between sentences. The penalty alone can
    be had from the column itself: `math - 0.5 * truncated`.

    Source: own design; DAPO, arXiv:2503.14476, section 3.4, on the harm of scoring cut samples as wrong.
    """

    guess: bool = False  # judge by the text where the trainer does not say

    name: ClassVar[str] = "complete"
    cost: ClassVar[Cost] = Cost.MICROSECONDS

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        return () if self.guess else ("truncated",)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return each(rollouts, self._judge)

    def _judge(self, rollout: Rollout) -> Verdict:
        if rollout.truncated is not None:
            return Verdict(float(not rollout.truncated), Status.MEASURED, {"by": "trainer"})
        if not self.guess:
            problem = "column 'truncated' is missing; guess=True judges by the text"
            return Verdict(None, Status.MISCONFIGURED, {"problem": problem, "column": "truncated"})
        never_ends = _what_never_ends(rollout)
        if never_ends:
            return Verdict(0.0, Status.MEASURED, {"by": "text", "never ends": never_ends})
        return Verdict(1.0, Status.MEASURED, {"by": "text"})


def _what_never_ends(rollout: Rollout) -> str | None:
    split = split_thinking(rollout.completion, is_open=opens_thinking(rollout.prompt))
    if not split.closed:
        return "thinking"
    if any(not fence.closed for fence in fences(split.rest)):
        return "code block"
    if has_open_box(split.rest):
        return "\\boxed{"
    return "<answer>" if split.rest.rfind("<answer>") > split.rest.rfind("</answer>") else None
