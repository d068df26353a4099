"""Thousands of mixed programs through one judge, one in twenty an attack: what grows, what is left, what changes.

    python -m proctor.benchmarks.judge_endurance --data FOLDER --count 20000

First every program is judged once, quietly. Then `--count` of them, drawn at random, as fast as they go; after
each tenth the processes below this one are counted, with their memory and descriptors. A verdict that is not
that of the quiet run, or anything left behind, gives exit status 1. Other users of the machine also write to
/tmp: give the run file systems of its own where that matters:

    unshare --mount --ipc sh -c 'mount -t tmpfs x /tmp; mount -t tmpfs x /dev/shm; exec python -m ...'
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from proctor.benchmarks.judge_sets import FILES, Labelled, read_set
from proctor.benchmarks.process_tree import Tree, adopt_orphans, look_at
from proctor.verifiers.core import Rollout, Verdict
from proctor.verifiers.files.sources import read_rows
from proctor.verifiers.programs.part import Code
from proctor.verifiers.programs.sandboxes import SandboxKey, sandbox_for

_BATCH = 50
_ATTACK_SHARE = 0.05
_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue")
_SYSV = ("shm", "sem", "msg")
_SETS = ("humaneval", "verdicts", "completions", "atcoder")
_SETTLE_S = 10.0
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How things stood after so many executions."""

    executions: int
    seconds: float
    tree: Tree

    @property
    def line(self) -> str:
        return (
            f"{self.executions:,} executions in {self.seconds:.0f} s: {self.tree.processes} processes, "
            f"{self.tree.resident_mb:.0f} MB, {self.tree.descriptors} descriptors"
        )


@dataclass(slots=True)
class Endurance:
    """What the run showed."""

    checkpoints: list[Checkpoint] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)  # verdicts that are not those of the quiet run
    left: list[str] = field(default_factory=list)  # files, IPC objects, groups and processes left behind
    statuses: Counter[str] = field(default_factory=Counter)

    def growth(self, what: str) -> float:
        """Per thousand executions, from the first checkpoint to the last."""
        first, last = self.checkpoints[0], self.checkpoints[-1]
        change = getattr(last.tree, what) - getattr(first.tree, what)
        return float(1000 * change / max(1, last.executions - first.executions))


def read_attacks(folder: Path) -> list[Labelled]:
    """Attacks in Python, and honest look-alikes, with the tests of their task."""
    tasks = json.loads((folder / "attack_tasks.json").read_text(encoding="utf-8"))["tasks"]
    found = []
    for row in (each.data for each in read_rows(folder / "attacks.jsonl")):
        if row["language"] == "python":
            task = tasks[row["task"]]
            tests = task.get("asserts") or task["tests"]
            rollout = Rollout(row["code"], tests=tests, fields={"entry_point": task.get("entry_point", "")})
            found.append(Labelled(f"attack {row['id']}", rollout, "pass" in row["must"]))
    return found


def draw(programs: Sequence[Labelled], attacks: Sequence[Labelled], count: int, seed: int) -> list[Labelled]:
    """So many at random, one in twenty an attack."""
    chance = random.Random(seed)
    return [chance.choice(attacks if chance.random() < _ATTACK_SHARE else programs) for _ in range(count)]


def traces() -> set[str]:
    """What a program could leave behind outside its jail: files, System V objects, control groups."""
    found = {f"{place}/{name}" for place in _PLACES if Path(place).is_dir() for name in os.listdir(place)}  # noqa: PTH208
    for kind in _SYSV:
        table = Path(f"/proc/sysvipc/{kind}")
        if table.exists():
            found |= {
                f"sysv {kind} {' '.join(line.split()[:2])}" for line in table.read_text().splitlines()[1:]
            }
    return found | _orphaned_groups()


def _orphaned_groups() -> set[str]:
    """Control groups whose runner, which is in their name, is gone."""
    root = Path("/sys/fs/cgroup")
    paths = [path for pattern in ("proctor-*", "*/proctor-*", "*/*/proctor-*") for path in root.glob(pattern)]
    return {str(path) for path in paths if not Path("/proc", path.name.rpartition("-")[2]).exists()}


def endure(programs: Sequence[Labelled], part: Code, quiet: dict[str, str], talk: Console) -> Endurance:
    """Judges all in batches and compares each status with the quiet run's."""
    found, start = Endurance(), time.perf_counter()
    every = max(_BATCH, len(programs) // 10 // _BATCH * _BATCH)
    for begin in range(0, len(programs), _BATCH):
        batch = programs[begin : begin + _BATCH]
        for labelled, verdict in zip(batch, _judge(part, batch), strict=True):
            found.statuses[verdict.status.value] += 1
            if _said(verdict) != quiet[labelled.id]:
                found.changed.append(f"{labelled.id}: {quiet[labelled.id]}, then {_said(verdict)}")
        done = begin + len(batch)
        if done % every == 0:
            found.checkpoints.append(Checkpoint(done, time.perf_counter() - start, look_at(os.getpid())))
            talk.print(found.checkpoints[-1].line)
    return found


def _judge(part: Code, programs: Sequence[Labelled]) -> list[Verdict]:
    return part.verify([each.rollout for each in programs])


def _said(verdict: Verdict) -> str:
    return f"{verdict.status.value} {verdict.value}"


def leftovers(before: set[str], processes: int) -> list[str]:
    """What is there that was not before; the sandbox is closed by now. Waits a while for what is ending."""
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline and look_at(os.getpid()).processes > processes:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)  # orphans that this process has adopted: init would do the same
        time.sleep(0.05)
    extra = look_at(os.getpid()).processes - processes
    found = sorted(traces() - before)
    return [*found, f"{extra} processes"] if extra > 0 else found


def show(found: Endurance) -> Table:
    """A row a checkpoint, and the growth per thousand executions."""
    table = Table(title="One judge, mixed programs, 5% attacks", caption=f"statuses: {dict(found.statuses)}")
    for column in ("executions", "seconds", "processes", "descriptors", "resident MB"):
        table.add_column(column, justify="right")
    for each in found.checkpoints:
        tree = each.tree
        numbers = (
            f"{each.seconds:.0f}",
            str(tree.processes),
            str(tree.descriptors),
            f"{tree.resident_mb:.1f}",
        )
        table.add_row(f"{each.executions:,}", *numbers)
    names = ("processes", "descriptors", "resident_mb")
    table.add_section()
    table.add_row("per 1,000", "", *(f"{found.growth(name):+.2f}" for name in names))
    return table


def main(
    data: Annotated[
        Path, typer.Option(help=FILES + " Also attacks.jsonl and attack_tasks.json of tests/data.")
    ],
    count: Annotated[int, typer.Option(min=_BATCH, help="Executions.")] = 20_000,
    distinct: Annotated[
        int, typer.Option(help="Different programs they are drawn from, attacks apart.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
) -> None:
    """Run thousands of programs and show what grows, what is left and what changes."""
    adopt_orphans()
    talk, part = Console(stderr=True), Code(extraction="raw", timeout=2.0, memory_mb=512)
    before, processes = traces(), look_at(os.getpid()).processes
    pool = [labelled for name in _SETS for labelled in read_set(data, name)]
    programs, attacks = random.Random(seed).sample(pool, min(distinct, len(pool))), read_attacks(data)
    drawn = draw(programs, attacks, count, seed)
    different = list({each.id: each for each in drawn}.values())
    talk.print(f"quiet run: {len(different)} different programs")
    quiet = {each.id: _said(_judge(part, [each])[0]) for each in different}
    found = endure(drawn, part, quiet, talk)
    sandbox_for(SandboxKey("local", "full")).close()  # type: ignore[attr-defined]
    found.left = leftovers(before, processes)
    Console().print(show(found))
    for title, lines in (("changed verdicts", found.changed), ("left behind", found.left)):
        typer.echo(f"{title}: {len(lines)}")
        for line in lines[:_SHOWN]:
            typer.echo(f"  {line}")
    if found.changed or found.left:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
