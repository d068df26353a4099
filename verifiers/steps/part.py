"""The reward part `steps`: does the arithmetic that a solution writes hold, line by line?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Cost, Part, each
from proctor.verifiers.registry import register
from proctor.verifiers.steps.equations import Claim, find_claims
from proctor.verifiers.thinking import opens_thinking, split_thinking

# A verdict names so many failed steps; the count says how many there were.
_MAX_SHOWN = 5


@register
@dataclass(frozen=True)
class Steps(Part):
    """Share of the arithmetic steps in a solution that hold, each checked exactly.

    What it measures: every equality between numbers that the response writes, whatever its final answer:
    `3 * 4 = 12`, `<<3*4=12>>12`, `$\\frac{1}{2} \\times 30 = 15$`, `25% of 80 = 20`; chains, prose, units.
    No reference is needed. It tells a right answer from wrong working apart from one well earned.

    Formula and range: held / found over distinct steps, in [0, 1]; exact rational arithmetic. A result with
    decimals may be rounded or cut at its last digit where the exact one does not come out at whole cents
    (10/3 = 3.33 holds, 2.25 + 1.3 = 3.5 does not), and a calculator note's result may be shown rounded
    (`<<7/3=2.33>>2`). What nobody can decide is no step: variables, roots, mixed units, a quotient in whole
    things (100/3 = 33). Without a step the value is `empty`: 0 as a rule (status no_answer), or None (status
    skipped: there was nothing to examine, and nobody is to blame). None is right where it stays inside a
    branch for tasks with sums; in a plain `math + 0.1 * steps` it would take the whole reward away.

    What it pays wrongly: steps that are true and beside the point. One that is repeated counts once, but
    `1 + 1 = 2, 1 + 2 = 3 ...` is paid in full, so keep its weight far below that of the answer. A wrong plan
    carried out correctly holds. A loss shown as a gain (30 - 50 = 20 fewer) fails.

    Source: the calculator annotations of GSM8K, Cobbe et al., arXiv:2110.14168; verifying each step and not
    the outcome: Uesato et al., arXiv:2211.14275.
    """

    empty: float | None = 0.0  # value of a response without a step; None: no value
    thinking: bool = True  # whether steps in thinking sections count too

    name: ClassVar[str] = "steps"
    cost: ClassVar[Cost] = Cost.MICROSECONDS

    def __post_init__(self) -> None:
        if self.empty is not None and not 0 <= self.empty <= 1:
            raise ValueError(f"empty of steps must be None or from 0 to 1, got {self.empty}")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return each(rollouts, self._judge)

    def _text_of(self, rollout: Rollout) -> str:
        if self.thinking:
            return rollout.completion
        return split_thinking(rollout.completion, is_open=opens_thinking(rollout.prompt)).rest

    def _judge(self, rollout: Rollout) -> Verdict:
        claims = {claim.text: claim for claim in find_claims(self._text_of(rollout))}
        if not claims:
            status = Status.SKIPPED if self.empty is None else Status.NO_ANSWER
            return Verdict(self.empty, status, {"steps": 0})
        failed = [claim for claim in claims.values() if not claim.holds]
        evidence: dict[str, object] = {"steps": len(claims), "held": len(claims) - len(failed)}
        if not failed:
            return Verdict(1.0, Status.CORRECT, evidence)
        evidence["failed"] = [_show(claim) for claim in failed[:_MAX_SHOWN]]
        status = Status.INCORRECT if len(failed) == len(claims) else Status.PARTIAL
        return Verdict(1 - len(failed) / len(claims), status, evidence)


def _show(claim: Claim) -> str:
    text = claim.text if len(claim.text) <= 80 else f"{claim.text[:79]}…"
    return f"{text} (it is {claim.computed})"
