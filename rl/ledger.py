"""Where every prompt and rollout went: each ends in exactly one fate, and the sums are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum


class Fate(str, Enum):
    """What became of a rollout."""

    TRAINED = "trained"  # it was in the loss
    ZERO_VARIANCE = "zero_variance"  # its group's rewards were all equal: nothing to learn
    UNSCORABLE = "unscorable"  # no verdict, by a fault that is not the candidate's
    TRUNCATED_MASKED = "truncated_masked"  # cut off by the length limit and left out of the loss
    STALE = "stale"  # below average, and the policy has moved away from it since it was sampled
    DROPPED = "dropped"  # given up: the step was rolled back, or had less than a row for each process


class LedgerError(RuntimeError):
    """Rollouts were lost or counted twice."""


@dataclass(slots=True)
class Ledger:
    """Counts since the start of the run; its fields are its whole state."""

    prompts: int = 0  # prompts sampled, refills included
    sampled: int = 0  # rollouts sampled
    fates: Counter[str] = field(default_factory=Counter)

    def enter(self, *, prompts: int, rollouts: int) -> None:
        """Counts what was sampled."""
        self.prompts += prompts
        self.sampled += rollouts

    def settle(self, fates: Iterable[Fate]) -> Counter[str]:
        """Counts fates, and gives back the counts of this call."""
        counted = Counter(fate.value for fate in fates)
        self.fates.update(counted)
        return counted

    def check(self) -> None:
        """Raises LedgerError where rollouts and fates do not add up."""
        settled = sum(self.fates.values())
        if settled != self.sampled:
            raise LedgerError(f"{settled} rollouts have a fate, of {self}")

    def __str__(self) -> str:
        fates = ", ".join(f"{name} {count:,}" for name, count in self.fates.most_common())
        return f"{self.sampled:,} rollouts of {self.prompts:,} prompts: {fates}"

    def to_json(self) -> dict[str, object]:
        return {"prompts": self.prompts, "sampled": self.sampled, "fates": dict(self.fates)}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Ledger:
        return cls(int(data["prompts"]), int(data["sampled"]), Counter(data["fates"]))  # type: ignore[arg-type]
