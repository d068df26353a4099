"""Reward parts that hold a response's length against a limit, a target or its own group.

What can only be a fault (`overlong`, `target` in its exact form) is a positive number, to be subtracted. What
depends on the answer being right is joined to it in the expression, where the dependence can be read:

    math - overlong(max_tokens=4096, buffer=512)
    cosine(max_tokens=4096) if math else cosine(max_tokens=4096, short=-10, long=0)
    math + 0.2 * (kimi if math else min(0, kimi))
    math * target(tokens=1024, form="max")

A plain linear penalty needs no part of its own: `math - max(0, len - 2000) * 0.0001`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.leaf import groups_of
from proctor.verifiers.part import Bounds, Cost, Part, each
from proctor.verifiers.registry import register
from proctor.verifiers.words import words

# Tokens as the trainer counted them, never a guess: a tokenizer of our own would disagree with the trainer's
# limit. Where there is no count, words or characters are asked for by name.
Unit: TypeAlias = Literal["tokens", "words", "characters"]


def length_of(rollout: Rollout, unit: Unit) -> int | None:
    """Length of the completion; None where tokens are wanted and the rollout has no count."""
    if unit == "tokens":
        return rollout.num_tokens
    return len(words(rollout.completion)) if unit == "words" else len(rollout.completion)


def _measured(rollout: Rollout, unit: Unit, value_of: Callable[[int], float]) -> Verdict:
    length = length_of(rollout, unit)
    if length is None:
        return Verdict(None, Status.MISCONFIGURED, {"problem": _NO_COUNT, "column": "num_tokens"})
    return Verdict(value_of(length), Status.MEASURED, {unit: length})


_NO_COUNT = "column 'num_tokens' is missing; map one to it, or count words: unit=\"words\""


def _columns(unit: Unit) -> tuple[str, ...]:
    return ("num_tokens",) if unit == "tokens" else ()


def _require(holds: bool, part: Part, rule: str) -> None:
    if not holds:
        raise ValueError(f"{part.name}: {rule}")


@register
@dataclass(frozen=True)
class Overlong(Part):
    """How far the response runs into the last `buffer` tokens before its limit: a penalty, to be subtracted.

    What it measures: length against the limit of generation, so that a response that comes near it is warned
    before it is cut off.

    Formula and range: 0 up to max_tokens - buffer; (length - (max_tokens - buffer)) / buffer up to
    max_tokens; 1 beyond. In [0, 1]. DAPO writes it as a negative reward; here: `math - overlong(...)`.

    What it pays wrongly: nothing is paid; it punishes a long right answer as much as a long wrong one.

    Source: DAPO, arXiv:2503.14476, equation 13 (soft overlong punishment).
    """

    max_tokens: int
    buffer: int
    unit: Unit = "tokens"  # what max_tokens and buffer count

    name: ClassVar[str] = "overlong"
    cost: ClassVar[Cost] = Cost.MICROSECONDS

    def __post_init__(self) -> None:
        _require(0 < self.buffer <= self.max_tokens, self, "0 < buffer <= max_tokens is needed")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        return _columns(self.unit)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return each(rollouts, lambda rollout: _measured(rollout, self.unit, self._value))

    def _value(self, length: int) -> float:
        return min(max((length - (self.max_tokens - self.buffer)) / self.buffer, 0.0), 1.0)


@register
@dataclass(frozen=True)
class Cosine(Part):
    """A reward that goes from `short` at length 0 to `long` at the limit, along half a cosine.

    What it measures: length, as one of the two curves of the paper. Which one applies depends on the answer,
    and the expression says so: right answers earn more when short, wrong ones are punished less when long.
    `cosine(max_tokens=4096) if math else cosine(max_tokens=4096, short=-10, long=0)` has the paper's values.

    Formula and range: long + (short - long) * (1 + cos(pi * min(length, max_tokens) / max_tokens)) / 2, in
    [min(short, long), max(short, long)]. From max_tokens on it stays at `long`: unclamped, the cosine would
    rise again. With `exceed` it is that value from max_tokens on, as in the paper (-10 there).

    What it pays wrongly: where `short` is higher, a guess without reasoning; where `long` is, padding.

    Source: Demystifying Long Chain-of-Thought Reasoning in LLMs, arXiv:2502.03373 (cosine reward).
    """

    max_tokens: int
    short: float = 2.0  # value at length 0
    long: float = 1.0  # value at max_tokens
    exceed: float | None = None  # value from max_tokens on; None: `long`
    unit: Unit = "tokens"  # what max_tokens counts

    name: ClassVar[str] = "cosine"
    cost: ClassVar[Cost] = Cost.MICROSECONDS

    def __post_init__(self) -> None:
        _require(self.max_tokens > 0, self, "max_tokens must be positive")
        ends = (self.short, self.long, self.exceed or 0.0)
        _require(all(map(math.isfinite, ends)), self, "short, long and exceed must be finite")

    @property
    def bounds(self) -> Bounds:
        ends = [self.short, self.long] + ([self.exceed] if self.exceed is not None else [])
        return Bounds(min(ends), max(ends))

    @property
    def columns(self) -> tuple[str, ...]:
        return _columns(self.unit)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return each(rollouts, lambda rollout: _measured(rollout, self.unit, self._value))

    def _value(self, length: int) -> float:
        if length >= self.max_tokens:
            return self.long if self.exceed is None else self.exceed
        value = self.long + (self.short - self.long) * (1 + math.cos(math.pi * length / self.max_tokens)) / 2
        return min(max(value, min(self.short, self.long)), max(self.short, self.long))  # rounding of floats


@register
@dataclass(frozen=True)
class Kimi(Part):
    """Length against the shortest and longest response to the same prompt: 0.5 for that, -0.5 for this.

    What it measures: where the response stands among its own group (`Rollout.group`, or equal prompts), never
    among other prompts: hard problems need more words.

    Formula and range: 0.5 - (length - min) / (max - min) over the group, 0 where all are equally long or the
    group is of one; in [-0.5, 0.5]. The paper gives a wrong answer only the negative half:
    `math + 0.2 * (kimi if math else min(0, kimi))`. A rollout of unknown length is not in the group.

    What it pays wrongly: in a group of wrong answers, short ones; whoever is shortest is paid 0.5, be it by
    one token. The paper warms up without it.

    Source: Kimi k1.5, arXiv:2501.12599, section 2.3.3 (length penalty).
    """

    unit: Unit = "tokens"

    name: ClassVar[str] = "kimi"
    cost: ClassVar[Cost] = Cost.MICROSECONDS
    by_group: ClassVar[bool] = True

    @property
    def bounds(self) -> Bounds:
        return Bounds(-0.5, 0.5)

    @property
    def columns(self) -> tuple[str, ...]:
        return _columns(self.unit)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        lengths = [length_of(rollout, self.unit) for rollout in rollouts]
        verdicts: dict[int, Verdict] = {}
        for places in groups_of(rollouts):
            known = [length for place in places if (length := lengths[place]) is not None]
            for place in places:
                verdicts[place] = self._judge(lengths[place], known)
        return [verdicts[place] for place in range(len(rollouts))]

    def _judge(self, length: int | None, group: list[int]) -> Verdict:
        if length is None:
            return Verdict(None, Status.MISCONFIGURED, {"problem": _NO_COUNT, "column": "num_tokens"})
        low, high = min(group), max(group)
        value = 0.5 - (length - low) / (high - low) if high > low else 0.0
        return Verdict(value, Status.MEASURED, {self.unit: length, "shortest": low, "longest": high})


@register
@dataclass(frozen=True)
class Target(Part):
    """Length against a length that was asked for, as a distance or as a budget.

    What it measures: how well the response keeps to `tokens`, or to the number in the row's own column (the
    prompt then says "think for 1024 tokens").

    Formula and range: with d = wanted - length: form "exact" is the penalty scale * |d|, in [0, infinity), to
    be subtracted: `math - target(tokens=1024)`; form "max" is clip(scale * d + offset, 0, 1), in [0, 1], to
    multiply with: `math * target(tokens=1024, form="max")`, which lets a response be shorter.

    What it pays wrongly: "exact" punishes a right answer that needed fewer words; words that fill the length
    are as good as reasoning.

    Source: L1, LCPO-Exact and LCPO-Max, arXiv:2503.04697; its alpha is 0.0003 and its delta 0.5.
    """

    tokens: int | None = None  # the wanted length; None: each row has its own in `column`
    form: Literal["exact", "max"] = "exact"
    column: str = "target_tokens"
    scale: float = 0.0003  # the paper's alpha
    offset: float = 0.5  # the paper's delta: what a response of exactly the wanted length gets, in form "max"
    unit: Unit = "tokens"

    name: ClassVar[str] = "target"
    cost: ClassVar[Cost] = Cost.MICROSECONDS

    def __post_init__(self) -> None:
        _require(self.tokens is None or self.tokens > 0, self, "tokens must be positive")
        _require(0 < self.scale < math.inf, self, "scale must be positive and finite")
        _require(0 <= self.offset <= 1, self, "offset must be from 0 to 1")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0 if self.form == "max" else math.inf)

    @property
    def columns(self) -> tuple[str, ...]:
        own = () if self.tokens is not None else (self.column,)
        return (*_columns(self.unit), *own)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return each(rollouts, self._judge)

    def _judge(self, rollout: Rollout) -> Verdict:
        wanted = self.tokens if self.tokens is not None else _as_length(rollout.get(self.column))
        if wanted is None:
            given = rollout.get(self.column)
            problem = f"column '{self.column}' must hold a positive number, got {given!r}"
            return Verdict(None, Status.MISCONFIGURED, {"problem": problem, "column": self.column})
        verdict = _measured(rollout, self.unit, lambda length: self._value(wanted - length))
        return Verdict(verdict.value, verdict.status, {**verdict.evidence, "wanted": wanted})

    def _value(self, difference: float) -> float:
        if self.form == "exact":
            return self.scale * abs(difference)
        return min(max(self.scale * difference + self.offset, 0.0), 1.0)


def _as_length(value: object) -> float | None:
    try:
        length = float(value) if isinstance(value, (int, float, str)) else math.nan
    except ValueError:
        return None
    return length if 0 < length < math.inf else None
