"""The reward part `math`: is the final answer of a response equal to the reference?"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.maths.extract import Extraction, extract
from proctor.verifiers.maths.grading import Gold, Ruling, grade, read_gold
from proctor.verifiers.maths.rules import Rules
from proctor.verifiers.maths.symbolic import OpenPair, Settled, settle
from proctor.verifiers.part import Bounds, Cost, Part, grader_error
from proctor.verifiers.registry import register
from proctor.verifiers.thinking import opens_thinking

_PENDING = Verdict(None, Status.SKIPPED)
_VALUES = {Status.CORRECT: 1.0, Status.INCORRECT: 0.0}


@register
@dataclass(frozen=True)
class Math(Part):
    r"""Whether the final answer of a response equals the reference.

    What it measures: the final answer is taken out of the response (`proctor.verifiers.maths.extract` says
    how), read as mathematics or plain language, and compared with the reference: numbers of every spelling,
    units, percent, surds, expressions, equations, inequalities, intervals, sets, tuples, matrices, choices,
    words. Exact rational arithmetic decides almost everything; what it leaves open is settled to 60 digits
    or by algebra in a worker process that is killed at `timeout_s`.

    Formula and range: 1 where equal, 0 where not or where there is no answer (status no_answer). No value
    where the reference cannot be read (bad_reference), is missing (misconfigured), or a worker failed
    (grader_error, unavailable).

    What it pays wrongly: a right answer from wrong working; equality that the reference's author would not
    call an answer, such as (x + 1)^2 where x^2 + 2x + 1 was to be expanded. It refuses what it cannot read.

    Options, and why they are so:
        policy: `lenient` takes the last box, else the last statement of an answer, else the last formula or
            number, as people do. `strict` takes boxes only: for models that were told to box.
        tolerance: relative. None: exact, because 3.14 is not pi. Apart from it, a reference such as 12.55
            stands for what rounds to it, and 16 printed digits for the value that prints so.
        percent: `either`: 50% is 50 and is 1/2, since references leave the sign to the question.
            `fraction`: 1/2 only; `number`: 50 only.
        ordered: None: as the brackets say: (1, 2) is ordered, {1, 2} and a bare list are not. True: all
            lists are; False: none is.
        units: `convert`: 10 cm is 0.1 m, a unit may be missing, and another one is wrong. `ignore` compares
            the numbers; `same` wants a unit where the reference has one.
        ignore_case: names of variables in either case, as people write them; letters of choices always are.
        last_number: whether an answer that is not marked may be taken from the end of the text. Without it
            a response has to say which is its answer.
        timeout_s: for the symbolic path of one rollout; it takes milliseconds as a rule.
        answer: the column of the reference.

    Source: house rules and labelled pairs as described in `benchmarks/compare_graders.py`, which measures it.
    """

    policy: Literal["lenient", "strict"] = "lenient"
    tolerance: float | None = None
    percent: Literal["either", "fraction", "number"] = "either"
    ordered: bool | None = None
    units: Literal["convert", "ignore", "same"] = "convert"
    ignore_case: bool = True
    last_number: bool = True
    timeout_s: float = 2.0
    answer: str = "answer"

    name: ClassVar[str] = "math"
    cost: ClassVar[Cost] = Cost.MILLISECONDS
    exam: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.tolerance is not None and not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance of math must be None or from 0 to 1, got {self.tolerance}")
        if not 0 < self.timeout_s <= 60:
            raise ValueError(f"timeout_s of math must be above 0 and at most 60, got {self.timeout_s}")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.answer,)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """Decides what it can here, and sends the rest to the workers in one call."""
        rules = Rules(self.tolerance, self.percent, self.ordered, self.units, self.ignore_case)
        verdicts: list[Verdict] = []
        left_open: list[_Open] = []
        for rollout in rollouts:
            start = time.perf_counter()
            try:
                judged = self._judge(rollout, rules)
            except Exception as error:  # the leaf's border: one rollout's fault stays its own
                judged = grader_error(error)
            if isinstance(judged, _Open):
                left_open.append(replace(judged, place=len(verdicts), seconds=time.perf_counter() - start))
                judged = _PENDING
            verdicts.append(
                Verdict(judged.value, judged.status, judged.evidence, time.perf_counter() - start)
            )
        pairs = [pair.pair for pair in left_open]
        for pair, settled in zip(left_open, settle(pairs, self.timeout_s) if pairs else (), strict=True):
            verdicts[pair.place] = _closed(pair, settled)
        return verdicts

    def _judge(self, rollout: Rollout, rules: Rules) -> Verdict | _Open:
        """The verdict on one rollout, or what is left open."""
        reference = rollout.get(self.answer)
        if reference is None:
            return Verdict(None, Status.MISCONFIGURED, {"missing": self.answer})
        text = reference if isinstance(reference, str) else str(reference)
        is_one = isinstance(reference, str) or not isinstance(reference, Collection)
        gold = read_gold(text)
        if not is_one or not gold.is_readable:  # nobody can write a list such as ['5'] as Python prints it
            return Verdict(None, Status.BAD_REFERENCE, {"reference": text})
        found = extract(
            rollout.completion,
            self.policy,
            last_number=self.last_number,
            letters=gold.asks_letter,
            is_open=bool(rollout.prompt) and opens_thinking(rollout.prompt),
        )
        if found.answer is None:
            return Verdict(0.0, Status.NO_ANSWER, {"reference": gold.answer, "rule": found.rule})
        ruling = grade(gold, found, rules)
        evidence = _evidence(gold, found, ruling)
        if ruling.equal is None:
            return _Open(OpenPair(gold.answer, ruling.answer or found.answer, rules), evidence)
        status = Status.CORRECT if ruling.equal else Status.INCORRECT
        return Verdict(_VALUES[status], status, evidence)


@dataclass(frozen=True, slots=True)
class _Open:
    """A rollout that the workers have to settle."""

    pair: OpenPair
    evidence: dict[str, Any]
    place: int = 0  # in the batch
    seconds: float = 0.0  # spent on it so far


def _closed(left_open: _Open, settled: Settled) -> Verdict:
    evidence = {**left_open.evidence, "why": settled.why}
    seconds = left_open.seconds + settled.seconds
    return Verdict(_VALUES.get(settled.status), settled.status, evidence, seconds)


def _evidence(gold: Gold, found: Extraction, ruling: Ruling) -> dict[str, Any]:
    evidence = {
        "answer": found.answer,
        "reference": gold.answer,
        "rule": found.rule,
        "why": ruling.why,
        "context": found.context,
    }
    return {**evidence, "compared": ruling.answer} if ruling.answer else evidence


def equal(gold: str, answer: str, **options: Any) -> Verdict:
    """The verdict on one answer, bare or a whole response, with the options of `Math`."""
    (verdict,) = Math(**options).verify([Rollout(answer, answer=gold)])
    return verdict
