"""What the objects and the plan cost: scoring with parts that do nothing, beside a bare loop, in one run.

    python -m proctor.benchmarks.score_overhead

The parts look at one character and make a Verdict, so that everything else is overhead. "Bare loop" computes
the same numbers with neither verdicts nor scores: the floor in Python. The share says how much of the whole
time the overhead would be beside parts that take --part-us microseconds for a rollout; 30 is near the floor
for grading a short answer in Python, and `math` and `steps` on a GSM8K solution take several times that.
Times are of the processor, the least of several rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import typer
from rich.console import Console
from rich.table import Table

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.expression import reward
from proctor.verifiers.nodes import clip, field, maximum, when
from proctor.verifiers.part import Bounds, Part
from proctor.verifiers.size import Len


@dataclass(frozen=True)
class FirstIs(Part):
    """Whether the first character is the one; as little work as a part can do."""

    character: str = "a"

    name: ClassVar[str] = "first_is"

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        character = self.character
        right, wrong = Verdict(1.0, Status.CORRECT), Verdict(0.0, Status.INCORRECT)
        return [right if rollout.completion[0] == character else wrong for rollout in rollouts]


@dataclass(frozen=True)
class FirstIsWithEvidence(Part):
    """The same, with a Verdict and evidence of its own for each rollout, as real parts have."""

    character: str = "a"

    name: ClassVar[str] = "first_is_with_evidence"

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        character = self.character
        return [
            Verdict(
                float(rollout.completion[0] == character), Status.MEASURED, {"first": rollout.completion[0]}
            )
            for rollout in rollouts
        ]


A, B = FirstIs("a"), FirstIs("b")
EXPRESSIONS = {
    "one part": A,
    "weighted sum": A + 0.1 * B,
    "the same, with evidence": FirstIsWithEvidence("a") + 0.1 * FirstIsWithEvidence("b"),
    "gate": A & B,
    "route and clip": when(field("task").equals("x"), clip(A - 0.5 * B, 0, 1), B),
    "seed reward": A + 0.2 * B - maximum(0, Len() - 2000) * 0.0001,
}


def main(
    rollouts: Annotated[int, typer.Option(help="rollouts in a batch")] = 100_000,
    rounds: Annotated[int, typer.Option(help="rounds, of which the fastest counts")] = 5,
    part_us: Annotated[float, typer.Option(help="microseconds that a real part takes for a rollout")] = 30.0,
) -> None:
    """Measures and prints the table."""
    batch = [
        Rollout("abcd"[place % 4] + " text", answer="4", task="xy"[place % 2], num_tokens=place % 4000)
        for place in range(rollouts)
    ]
    floor = _least(rounds, lambda: _bare(batch)) / rollouts
    table = Table("expression", "µs a rollout", "rollouts/s", "bare loops", "share beside a real part")
    for name, node in EXPRESSIONS.items():
        each = _least(rounds, partial(reward(node).score, batch)) / rollouts
        share = each / (each + part_us / 1e6)
        table.add_row(name, f"{each * 1e6:.2f}", f"{1 / each:,.0f}", f"{each / floor:.0f}", f"{share:.0%}")
    table.caption = (
        f"{rollouts:,} rollouts; bare loop {floor * 1e6:.2f} µs, real part {part_us:g} µs a rollout"
    )
    Console().print(table)


def _bare(batch: Sequence[Rollout]) -> list[float]:
    return [1.0 if rollout.completion[0] == "a" else 0.0 for rollout in batch]


def _least(rounds: int, run: Callable[[], object]) -> float:
    """Processor seconds of the fastest round."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


if __name__ == "__main__":
    typer.run(main)
