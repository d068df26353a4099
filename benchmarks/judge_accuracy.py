"""How the code part's verdicts agree with the labels of public sets, and whether they ever change.

    python -m proctor.benchmarks.judge_accuracy --data FOLDER
    python -m proctor.benchmarks.judge_accuracy --data FOLDER --set humaneval --repeat 20 --sandbox docker

Prints a row a set and every disagreement with its verdict and evidence. A verdict counts as flaky where it is
not the same in every repetition, right or wrong. Exit status 1: there was a disagreement or a flaky verdict.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer
from rich.console import Console
from rich.table import Table

from proctor.benchmarks.judge_sets import FILES, SETS, Labelled, read_set
from proctor.verifiers.core import Verdict
from proctor.verifiers.programs.part import Code

_BATCH = 256
_SHOWN = 600


@dataclass(slots=True)
class Agreement:
    """What came of one set."""

    programs: int
    seconds: float = 0.0
    wrong: list[tuple[Labelled, Verdict]] = field(default_factory=list)  # of the first run
    flaky: dict[str, Counter[str]] = field(default_factory=dict)  # by program: how often each status
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def agreeing(self) -> int:
        return self.programs - len(self.wrong)


def agrees(labelled: Labelled, verdict: Verdict) -> bool:
    """A verdict without a value (a failure of ours, or bad tests) agrees with no label."""
    return verdict.value is not None and (verdict.value == 1.0) is labelled.passes


def judge_set(programs: Sequence[Labelled], part: Code, repeat: int = 1) -> Agreement:
    """Judges all programs `repeat` times."""
    found = Agreement(len(programs))
    seen: list[Counter[str]] = [Counter() for _ in programs]
    start = time.perf_counter()
    for number in range(repeat):
        verdicts = _judge(programs, part)
        for counts, verdict in zip(seen, verdicts, strict=True):
            counts[verdict.status.value] += 1
        if number == 0:
            found.statuses.update(verdict.status.value for verdict in verdicts)
            judged = zip(programs, verdicts, strict=True)
            found.wrong = [(each, verdict) for each, verdict in judged if not agrees(each, verdict)]
    found.seconds = time.perf_counter() - start
    found.flaky = {
        labelled.id: counts for labelled, counts in zip(programs, seen, strict=True) if len(counts) > 1
    }
    return found


def _judge(programs: Sequence[Labelled], part: Code) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for start in range(0, len(programs), _BATCH):
        verdicts += part.verify([each.rollout for each in programs[start : start + _BATCH]])
    return verdicts


def describe(labelled: Labelled, verdict: Verdict) -> str:
    """One disagreement: label, verdict, and the evidence but for the program."""
    evidence: dict[str, Any] = {name: each for name, each in verdict.evidence.items() if name != "code"}
    label = "passes" if labelled.passes else "fails"
    return f"{labelled.id} ({label}): {verdict.status.value} {json.dumps(evidence, default=str)[:_SHOWN]}"


def show(results: dict[str, Agreement], sandbox: str, repeat: int) -> Table:
    """A row a set."""
    table = Table(
        title=f"Verdicts of the code part that agree with the label, sandbox {sandbox}",
        caption=f"{repeat} run(s) of every program; flaky: not the same status in all of them",
    )
    table.add_column("set", no_wrap=True)
    for column in ("programs", "agree", "flaky", "a second"):
        table.add_column(column, justify="right")
    table.add_column("statuses")
    for name, each in results.items():
        table.add_row(
            name,
            str(each.programs),
            f"{each.agreeing} ({each.agreeing / each.programs:.2%})",
            str(len(each.flaky)) if repeat > 1 else "-",
            f"{each.programs * repeat / each.seconds:,.0f}",
            ", ".join(f"{status} {count}" for status, count in each.statuses.most_common()),
        )
    return table


def main(
    data: Annotated[Path, typer.Option(help=FILES)],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help=f"One of {', '.join(SETS)}; all without it.")
    ] = None,
    sandbox: Annotated[str, typer.Option(help="local or docker.")] = "local",
    repeat: Annotated[int, typer.Option(min=1, help="Runs of every program.")] = 1,
    timeout: Annotated[float, typer.Option(help="Processor seconds a program may use.")] = 10.0,
    memory_mb: Annotated[int, typer.Option(help="Memory a program may use.")] = 1024,
) -> None:
    """Judge labelled programs and show where verdict and label differ."""
    unknown = set(sets or ()) - set(SETS)
    if unknown:
        raise typer.BadParameter(f"unknown set {sorted(unknown)}; known: {', '.join(SETS)}")
    where = cast('Literal["local", "docker"]', sandbox)
    part = Code(extraction="raw", sandbox=where, timeout=timeout, memory_mb=memory_mb)
    talk, results = Console(stderr=True), dict[str, Agreement]()
    for name in sets or SETS:
        talk.print(f"{name} ...")
        results[name] = judge_set(read_set(data, name), part, repeat)
        for labelled, verdict in results[name].wrong:
            typer.echo(f"[{name}] {describe(labelled, verdict)}")
        for identity, counts in results[name].flaky.items():
            typer.echo(f"[{name}] flaky: {identity}: {dict(counts)}")
    Console().print(show(results, sandbox, repeat))
    if any(each.wrong or each.flaky for each in results.values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
