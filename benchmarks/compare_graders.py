"""Proctor's `math` beside math-verify on answers whose correctness is recorded: who is right, and how fast.

    python -m proctor.benchmarks.compare_graders --data FOLDER --json report.json
    python -m proctor.benchmarks.compare_graders --data FOLDER --quick

Accuracy, false-positive and false-negative rates by category, throughput, latency, hostile answers, and every
remaining disagreement with a label. math-verify runs in a process that is killed after --timeout-s, because it
may hang; a killed row counts as "not equal". Times are of the processor, ours with cold caches and including
the worker's share, medians of --rounds; the ratio is from one run on one machine.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from proctor.benchmarks.hostile_answers import hostile_answers
from proctor.benchmarks.labelled_answers import FILES, Labelled, Source, read_labelled
from proctor.sandbox.workers import Failure, WorkerPool
from proctor.verifiers import answers
from proctor.verifiers.core import Rollout
from proctor.verifiers.maths import symbolic
from proctor.verifiers.maths.grading import forget_readings

_MATH_VERIFY = "proctor.benchmarks.math_verify_grader:grade"
_QUICK = 200  # rows of each set under --quick
_SHOWN = 70  # characters of an answer in a table


@dataclass(frozen=True, slots=True)
class Graded:
    """What one grader said about a set, in the order of its rows."""

    equal: list[bool]
    wall_s: list[float]  # of each row, one at a time
    why: list[str]
    cpu_s: float = 0.0  # of all rows, where it was measured


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of one category, or of a whole set."""

    rows: int
    right: float
    false_positives: float  # of the rows whose label is "not equal"
    false_negatives: float  # of the rows whose label is "equal"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row where our verdict is not the label."""

    source: str
    id: str
    category: str
    policy: str
    gold: str
    response: str  # its end
    label: bool
    why: str  # our reason
    label_reason: str


@dataclass(slots=True)
class Comparison:
    """All that the command measures."""

    rates: dict[str, dict[str, dict[str, Rates]]] = field(default_factory=dict)  # set, category, grader
    rows_per_s: dict[str, dict[str, float]] = field(default_factory=dict)  # set, grader
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)  # grader, quantile
    hostile: dict[str, dict[str, float]] = field(default_factory=dict)  # family, grader: slowest, seconds
    disagreements: list[Disagreement] = field(default_factory=list)


def compare(folder: Path, *, rows: int | None, rounds: int, timeout_s: float) -> Comparison:
    """Runs both graders on all sets. `rows` limits every set."""
    found = Comparison()
    answers.Math().verify([Rollout("\\boxed{\\sec^2 y}", answer="\\tan^2 y + 1")])  # starts our workers
    with WorkerPool(size=1, imports=("math_verify",)) as pool:
        for source in track(list(Source), "sets", console=Console(stderr=True), transient=True):
            labelled = read_labelled(folder, source)[:rows]
            mine, theirs = grade_by_us(labelled), grade_by_math_verify(labelled, pool, timeout_s)
            found.rates[source.value] = rates_by_category(labelled, {"proctor": mine, "math-verify": theirs})
            found.disagreements += disagreements(labelled, mine, source)
            if source is Source.PAIRS:
                found.latency_ms = {"proctor": quantiles_ms(mine), "math-verify": quantiles_ms(theirs)}
            else:
                found.rows_per_s[source.value] = throughput(labelled, theirs.cpu_s, pool, rounds, timeout_s)
        found.hostile = hostile_seconds(pool, timeout_s)
    return found


def grade_by_us(rows: Sequence[Labelled]) -> Graded:
    part = answers.Math()
    forget_readings()
    equal, wall_s, why = [], [], []
    for row in rows:
        start = time.perf_counter()
        (verdict,) = part.verify([Rollout(row.response, answer=row.gold)])
        wall_s.append(time.perf_counter() - start)
        equal.append(verdict.value == 1.0)
        why.append(str(verdict.evidence.get("why") or verdict.evidence.get("rule") or verdict.status.value))
    return Graded(equal, wall_s, why)


def grade_by_math_verify(rows: Sequence[Labelled], pool: WorkerPool, timeout_s: float) -> Graded:
    """A row that has to be killed counts as not equal. Raises RuntimeError where no worker starts at all."""
    results = pool.map(_MATH_VERIFY, [(row.gold, row.response) for row in rows], timeout_s=timeout_s)
    if broken := [result.detail for result in results if result.failure is Failure.POOL]:
        raise RuntimeError(f"no worker for math-verify: {broken[0]}")
    return Graded(
        [result.failure is None and result.value["equal"] for result in results],
        [result.seconds for result in results],
        [result.failure.value if result.failure else "" for result in results],
        sum(timeout_s if result.failure else result.value["cpu_s"] for result in results),
    )


def rates_by_category(rows: Sequence[Labelled], graders: dict[str, Graded]) -> dict[str, dict[str, Rates]]:
    """Rates of every grader by category, by stated policy, and overall."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        groups[row.category].append(place)
        if row.policy:
            groups[f"policy: {row.policy}"].append(place)
        groups["all"].append(place)
    return {
        name: {grader: rates(rows, graded, groups[name]) for grader, graded in graders.items()}
        for name in sorted(groups, key=lambda name: (name == "all", name.startswith("policy"), name))
    }


def rates(rows: Sequence[Labelled], graded: Graded, places: Sequence[int]) -> Rates:
    negatives = [place for place in places if not rows[place].expected]
    positives = [place for place in places if rows[place].expected]
    wrongly_equal = sum(graded.equal[place] for place in negatives)
    missed = sum(not graded.equal[place] for place in positives)
    return Rates(
        len(places),
        1 - (wrongly_equal + missed) / len(places),
        wrongly_equal / len(negatives) if negatives else 0.0,
        missed / len(positives) if positives else 0.0,
    )


def disagreements(rows: Sequence[Labelled], graded: Graded, source: Source) -> list[Disagreement]:
    return [
        Disagreement(
            source.value, row.id, row.category, row.policy, row.gold, row.response[-_SHOWN:], row.expected, why, row.reason  # noqa: E501
        )
        for row, equal, why in zip(rows, graded.equal, graded.why, strict=True)
        if equal is not row.expected
    ]  # fmt: skip


def quantiles_ms(graded: Graded) -> dict[str, float]:
    ordered = sorted(graded.wall_s)
    at = {"median": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in at.items()
    }


def throughput(
    rows: Sequence[Labelled], first_cpu_s: float, pool: WorkerPool, rounds: int, timeout_s: float
) -> dict[str, float]:
    """Rows per second of processor time, medians of rounds in turns; math-verify's first has been run already."""
    rollouts = [Rollout(row.response, answer=row.gold) for row in rows]
    mine, theirs = [_our_cpu_s(rollouts)], [first_cpu_s]
    for _ in range(rounds - 1):
        mine.append(_our_cpu_s(rollouts))
        theirs.append(grade_by_math_verify(rows, pool, timeout_s).cpu_s)
    return {
        "proctor": len(rows) / statistics.median(mine),
        "math-verify": len(rows) / statistics.median(theirs),
    }


def _our_cpu_s(rollouts: Sequence[Rollout]) -> float:
    forget_readings()
    with seconds_in_workers() as in_workers:
        start = time.process_time()
        answers.Math().verify(rollouts)
        return time.process_time() - start + sum(in_workers)


@contextmanager
def seconds_in_workers() -> Iterator[list[float]]:
    """Collects what the workers take while inside; a verdict's own seconds do not say where they went."""
    seconds: list[float] = []

    def settle(pairs: Sequence[symbolic.OpenPair], timeout_s: float) -> list[symbolic.Settled]:
        settled = symbolic.settle(pairs, timeout_s)
        seconds.extend(each.seconds for each in settled)
        return settled

    with patch.object(answers, "settle", settle):
        yield seconds


def hostile_seconds(pool: WorkerPool, timeout_s: float) -> dict[str, dict[str, float]]:
    """The slowest hostile answer of every family."""
    slowest: dict[str, dict[str, float]] = {}
    hostile = hostile_answers()
    rows = [Labelled(answer.family, answer.gold, answer.response, False, answer.family) for answer in hostile]
    for grader, graded in (
        ("proctor", grade_by_us(rows)),
        ("math-verify", grade_by_math_verify(rows, pool, timeout_s)),
    ):
        for answer, seconds in zip(hostile, graded.wall_s, strict=True):
            family = slowest.setdefault(answer.family, {})
            family[grader] = max(seconds, family.get(grader, 0.0))
    return slowest


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def _print(found: Comparison, console: Console) -> None:
    for source, categories in found.rates.items():
        table = Table(title=f"{source} (math-verify {version('math-verify')})")
        for column in ("category", "n", "right", "theirs", "false pos.", "theirs", "false neg.", "theirs"):
            table.add_column(column, justify="left" if column == "category" else "right")
        for name, graders in categories.items():
            mine, theirs = graders["proctor"], graders["math-verify"]
            table.add_row(
                name, str(mine.rows), _percent(mine.right), _percent(theirs.right), _percent(mine.false_positives),
                _percent(theirs.false_positives), _percent(mine.false_negatives), _percent(theirs.false_negatives),
            )  # fmt: skip
        console.print(table)
    _print_speed(found, console)
    table = Table(title=f"{len(found.disagreements)} disagreements with a label")
    for column in (
        "set",
        "id",
        "kind",
        "reference",
        "end of the response",
        "label",
        "our reason",
        "reason of the label",
    ):
        table.add_column(column, overflow="fold")
    for row in found.disagreements:
        table.add_row(
            row.source.split("_")[0], row.id, row.policy or row.category, row.gold[:_SHOWN], row.response,
            "equal" if row.label else "not equal", row.why, row.label_reason,
        )  # fmt: skip
    console.print(table)


def _print_speed(found: Comparison, console: Console) -> None:
    table = Table(title="speed, one process, cold caches")
    for column in ("", "proctor", "math-verify", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    for source, graders in found.rows_per_s.items():
        mine, theirs = graders["proctor"], graders["math-verify"]
        table.add_row(f"{source}, rows/s", f"{mine:,.0f}", f"{theirs:,.0f}", f"{mine / theirs:.1f}")
    for quantile in ("median", "p99", "max"):
        mine, theirs = found.latency_ms["proctor"][quantile], found.latency_ms["math-verify"][quantile]
        table.add_row(
            f"{Source.PAIRS.value}, {quantile}, ms", f"{mine:.2f}", f"{theirs:.2f}", f"{theirs / mine:.1f}"
        )
    for family, graders in found.hostile.items():
        mine, theirs = graders["proctor"], graders["math-verify"]
        table.add_row(f"hostile: {family}, slowest, s", f"{mine:.3f}", f"{theirs:.3f}", "")
    console.print(table)


def main(
    data: Annotated[Path, typer.Option(help=FILES)],
    report: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    quick: Annotated[bool, typer.Option(help=f"The first {_QUICK} rows of every set, one round.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the throughput measurement.")] = 3,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="After this math-verify is killed.")] = 5.0,
) -> None:
    """Compares Proctor's maths verdicts with math-verify's on labelled answers."""
    try:
        found = compare(
            data, rows=_QUICK if quick else None, rounds=1 if quick else rounds, timeout_s=timeout_s
        )
    except FileNotFoundError as error:
        Console(stderr=True).print(str(error), markup=False)
        raise typer.Exit(2) from error
    _print(found, Console(width=200))
    if report:
        report.write_text(json.dumps(asdict(found), indent=1, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    typer.run(main)
