"""The reward part `answer_shown`: whether an answer comes with reasoning."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Cost, Part, each
from proctor.verifiers.registry import register
from proctor.verifiers.thinking import opens_thinking, split_thinking
from proctor.verifiers.words import words


@register
@dataclass(frozen=True)
class AnswerShown(Part):
    """Whether reasoning of at least `least` words stands before the answer.

    What it measures: the words before the first place where the answer is given: `\\boxed`, `<answer>`,
    `####`, "the answer is", `A:` at the start of a line; without any of these, the last number. Each pair of
    neighbouring words counts once, so that a phrase said over and over is no reasoning. Thinking counts as
    reasoning, and an answer inside it does not end it.

    Formula and range: 1 where distinct pairs of words before the answer >= least, else 0; 0 where there is no
    answer. A gate against the known hack of a bare answer: `answer_shown and math`.

    What it pays wrongly: words that are no reasoning, as long as they vary. `least` is a threshold and not a
    goal: more words earn nothing. 10 turns away none of 750 right GSM8K solutions, and 1.2% of MATH-500 ones.

    Source: own design, against answers without reasoning as seen when only the outcome is rewarded.
    """

    least: int = 10  # words before the answer, or rather pairs of neighbouring words that differ

    name: ClassVar[str] = "answer_shown"
    cost: ClassVar[Cost] = Cost.MICROSECONDS

    def __post_init__(self) -> None:
        if self.least < 1:
            raise ValueError(f"answer_shown: least must be at least 1, got {self.least}")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return each(rollouts, self._judge)

    def _judge(self, rollout: Rollout) -> Verdict:
        split = split_thinking(rollout.completion, is_open=opens_thinking(rollout.prompt))
        place = _place_of_answer(split.rest) if split.closed else None
        if place is None:
            return Verdict(0.0, Status.NO_ANSWER, {"problem": "no answer was found"})
        shown = _count_pairs(f"{split.thinking or ''}\n{split.rest[:place]}")
        evidence = {"words": shown, "least": self.least}
        return Verdict(1.0, Status.CORRECT, evidence) if shown >= self.least else _short_of(evidence)


_ANSWER = re.compile(
    r"\\boxed|<answer>|#{4}|(?:final|the|my) answer(?: is|:)|^(?:A|Answer|Final answer|答案)\s{0,3}[:：]",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"\d[\d.,/]*")


def _place_of_answer(text: str) -> int | None:
    """Where the answer starts; None where there is none."""
    marker = _ANSWER.search(text)
    if marker:
        return marker.start()
    numbers = deque(_NUMBER.finditer(text), maxlen=1)
    return numbers[0].start() if numbers else None


def _count_pairs(text: str) -> int:
    found = words(text.lower())
    return len(set(pairwise(found))) + bool(found)


def _short_of(evidence: dict[str, int]) -> Verdict:
    return Verdict(0.0, Status.INCORRECT, {"problem": "too little reasoning before the answer", **evidence})
