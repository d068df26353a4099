"""`len`: how long a completion is."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Part
from proctor.verifiers.registry import register
from proctor.verifiers.words import UNSPACED, words

_ONE_TOKEN = rf"{UNSPACED}\uac00-\ud7af"  # Korean has spaces, but long words
_TOKEN = re.compile(rf"[{_ONE_TOKEN}]|[^\W{_ONE_TOKEN}]+|[^\w\s]")  # or a word or number, or a sign


@register
@dataclass(frozen=True)
class Len(Part):
    """Length of the completion, as in `max(0, len - 2000) * 0.0001`.

    What it measures: by default tokens, as the trainer counted them (`num_tokens`). A rollout without
    that count is estimated from its text, and its evidence says so: one token for each word, number,
    sign, and Chinese, Japanese or Korean character. `len("words")` and `len("characters")` look at the
    text alone.

    Formula and range: a whole number from 0, without upper limit.

    What it pays wrongly: nothing by itself. An estimate is short of real tokenizers wherever they cut a
    word or number in pieces, so a limit that matters needs the trainer's count.

    Source: none; the quantity behind every length penalty.
    """

    unit: Literal["tokens", "words", "characters"] = "tokens"

    name: ClassVar[str] = "len"

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, math.inf)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [self._measure(rollout) for rollout in rollouts]

    def _measure(self, rollout: Rollout) -> Verdict:
        text = rollout.completion
        if self.unit == "characters":
            return Verdict(len(text), Status.MEASURED, {"unit": "characters"})
        if self.unit == "words":
            return Verdict(len(words(text)), Status.MEASURED, {"unit": "words"})
        if rollout.num_tokens is not None:
            return Verdict(rollout.num_tokens, Status.MEASURED, {"unit": "tokens"})
        return Verdict(len(_TOKEN.findall(text)), Status.MEASURED, {"unit": "tokens, estimated"})
