"""What a run of scoring came to: means, verdicts by status and blame, time by part. Constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from proctor.verifiers.core import Blame, Score, Status
from proctor.verifiers.files.scoring import Scored
from proctor.verifiers.files.sources import BadRow

_OURS = (Blame.GRADER, Blame.INFRASTRUCTURE, Blame.CONFIGURATION)


@dataclass(slots=True)
class Tally:
    """What one part, or the reward as a whole, came to."""

    scored: int = 0  # rollouts with a value
    total: float = 0.0  # sum of the values
    statuses: Counter[Status] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0  # seconds of the slowest rollout

    @property
    def mean(self) -> float | None:
        return self.total / self.scored if self.scored else None

    def add_value(self, value: float | None) -> None:
        if value is not None:
            self.scored += 1
            self.total += value


class Summary:
    """Counts scores as they come."""

    def __init__(self) -> None:
        self.rollouts = 0
        self.rejected = 0
        self.reward = Tally()
        self.parts: dict[str, Tally] = {}
        self.unscorable: Counter[Blame | None] = Counter()  # rollouts without reward, by who is to blame
        self.reasons: dict[Blame, str] = {}  # what the first of those had: "ROW: PART: what is wrong"

    def add(self, items: Iterable[Scored | BadRow]) -> None:
        for item in items:
            if isinstance(item, BadRow):
                self.rejected += 1
            else:
                self._add_score(item.score, item.row.number)

    def _add_score(self, score: Score, number: int) -> None:
        self.rollouts += 1
        self.reward.add_value(score.total)
        for name, verdict in score.verdicts.items():
            tally = self.parts.get(name)
            if tally is None:
                tally = self.parts[name] = Tally()
            tally.add_value(verdict.value)
            tally.statuses[verdict.status] += 1
            tally.seconds += verdict.seconds
            tally.slowest = max(tally.slowest, verdict.seconds)
        if score.total is None:
            blame = culprit(score)
            self.unscorable[blame] += 1
            if blame is not None and blame not in self.reasons:
                self.reasons[blame] = f"{number}: {_reason(score, blame)}"

    @property
    def failed(self) -> bool:
        """Whether rows were bad, or rollouts got no reward by a fault that is ours."""
        return self.rejected > 0 or any(self.unscorable[blame] for blame in _OURS)

    def to_json(self) -> dict[str, Any]:
        return {
            "rollouts": self.rollouts,
            "rejected": self.rejected,
            "reward": {"mean": self.reward.mean, "scored": self.reward.scored},
            "unscorable": {name_of(blame): count for blame, count in self.unscorable.items()},
            "parts": {
                name: {
                    "mean": tally.mean,
                    "scored": tally.scored,
                    "statuses": {status.value: count for status, count in tally.statuses.items()},
                    "seconds": tally.seconds,
                    "slowest_seconds": tally.slowest,
                }
                for name, tally in self.parts.items()
            },
        }


def culprit(score: Score) -> Blame | None:
    """Who is to blame that there is no reward; None where no part blames anyone.

    Of the verdicts without a value the first that blames, a fault of ours before one of the reference.
    Nobody is blamed for a part that has no opinion, and where the expression itself says None.
    """
    found = (verdict.blame for verdict in score.verdicts.values() if verdict.value is None)
    blames = [blame for blame in found if blame is not None]
    ours = [blame for blame in blames if blame in _OURS]
    return next(iter(ours or blames), None)


def _reason(score: Score, blame: Blame) -> str:
    """What the first part that blames so has found."""
    name, verdict = next(pair for pair in score.verdicts.items() if pair[1].blame is blame)
    problem = verdict.evidence.get("problem")
    return f"{name}: {verdict.status.value}, {problem}" if problem else f"{name}: {verdict}"


def name_of(blame: Blame | None) -> str:
    return "no one" if blame is None else blame.value
