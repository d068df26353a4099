"""Proctor's SFT beside TRL's SFTTrainer: same model, rows, batch, float32, one thread, one run.

    python -m proctor.benchmarks.compare_sft
    python -m proctor.benchmarks.compare_sft --part head --rounds 3 --json report.json

Every contender runs in a process of its own, the contenders in turn, `--rounds` times; shown are medians. Processor
seconds leave out imports, data, set-up and the first steps (of the head: the first pass). Tokens are real ones,
prompts included and padding not, counted alike. The peak of memory is what came on top of model and data. A ratio is
the median of the rounds' own ratios, of tokens a second where trainers are compared: TRL shuffles anew and its last
batches differ by a few tokens. That all do the same work is checked, not hoped: as many targets in the run and a first
loss within 2% of TRL's padded run, and Proctor's last losses within 5% of it (TRL's grouped and packed runs order the
rows by length and end higher); of Proctor's heads, gradients equal to 1e-6 to those of whole logits.

`tiny` is the demo task's model; `wide` one with a vocabulary of 151,936; `head` the last layer and loss alone.
TRL pads a batch to its longest row; `trl-grouped` draws batches of like length, which leaves little to pad but changes
what a step learns from; `trl-packed` packs the batch into one row, `trl-packed-split` into four rows in turn, the
fastest packed setting found for it here. Proctor groups the rows of a batch by length, or packs.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

CONTENDERS = {
    "head": ("trl", "plain", "recomputed", "fused"),
    "tiny": ("trl", "ours", "trl-grouped", "trl-packed", "ours-packed", "trl-packed-split"),
    "wide": ("trl", "ours", "trl-packed", "ours-packed", "trl-packed-split"),
}
OURS = {"fused", "recomputed", "ours", "ours-packed"}
# (theirs, ours, measure): above 1, Proctor is better.
_TRAINERS = [
    ("trl", "ours", "tokens_per_cpu_s"),
    ("trl", "ours-packed", "tokens_per_cpu_s"),
    ("trl-packed", "ours", "tokens_per_cpu_s"),
    ("trl-packed", "ours-packed", "tokens_per_cpu_s"),
    ("trl-packed-split", "ours-packed", "tokens_per_cpu_s"),
    ("trl", "ours", "peak_mb"),
    ("trl-packed", "ours-packed", "peak_mb"),
]
RATIOS = {
    "head": [("trl", "fused", "cpu_s"), ("trl", "fused", "peak_mb"), ("plain", "fused", "cpu_s"),
             ("plain", "fused", "peak_mb"), ("trl", "recomputed", "cpu_s")],
    "tiny": [("trl-grouped", "ours", "tokens_per_cpu_s"), *_TRAINERS],
    "wide": _TRAINERS,
}  # fmt: skip

Measured = dict[str, float]


def compare(part: str, rounds: int) -> dict[str, list[Measured]]:
    """Measures of each round by contender; contenders alternate, so that a busy machine slows all."""
    found: dict[str, list[Measured]] = {way: [] for way in CONTENDERS[part]}
    turns = [(turn, way) for turn in range(rounds) for way in CONTENDERS[part]]
    for _, way in track(turns, description=part, console=Console(stderr=True), transient=True):
        found[way].append(_run(part, way))
        check_same_work(way, found[way][-1], found[CONTENDERS[part][0]][0])
    return found


def check_same_work(way: str, measured: Measured, reference: Measured) -> None:
    """Raises RuntimeError where a contender learned from other targets, or learned something else."""
    is_ours = way in OURS
    if is_ours and measured.get("gradient_gap", 0.0) > 1e-6:
        raise RuntimeError(f"{way}: gradients are off by {measured['gradient_gap']:.1e} of the largest")
    if measured.get("targets") != reference.get("targets"):
        raise RuntimeError(f"{way}: {measured['targets']} targets, not {reference['targets']}")
    tolerances = {"first_loss": 0.02} | ({"last_loss": 0.05} if is_ours else {})
    for name, tolerance in tolerances.items():
        loss, expected = measured.get(name, 0.0), reference.get(name, 0.0)
        if abs(loss - expected) > tolerance * expected:
            raise RuntimeError(f"{way}: {name} {loss:.4f} is not within {tolerance:.0%} of {expected:.4f}")


def medians(rounds: list[Measured]) -> Measured:
    """The median of every measure."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def times_better(theirs: list[Measured], ours: list[Measured], measure: str) -> float:
    """How many times better ours is, the median over the rounds."""
    ratios = [their[measure] / our[measure] for their, our in zip(theirs, ours, strict=True)]
    median = statistics.median(ratios)
    return 1 / median if measure == "tokens_per_cpu_s" else median


def _run(part: str, way: str) -> Measured:
    command = [sys.executable, "-m", "proctor.benchmarks.sft_contenders", part, way]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{way} failed:\n{done.stderr[-2000:]}")
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    return measured


def _table(part: str, found: dict[str, Measured]) -> Table:
    names = list(next(iter(found.values())))
    table = Table(Column(part, no_wrap=True), *names)
    for way, measured in found.items():
        table.add_row(
            way,
            *(
                f"{measured[name]:,.3g}" if measured[name] < 100 else f"{measured[name]:,.0f}"
                for name in names
            ),
        )
    return table


def main(
    part: Annotated[str, typer.Option("--part", help="head, tiny, wide or all.")] = "all",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Times each contender runs.")] = 3,
    report: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
) -> None:
    """Compares and prints tables and ratios."""
    out, results = Console(), {}
    for name in CONTENDERS if part == "all" else (part,):
        found = compare(name, rounds)
        measured = {way: medians(each) for way, each in found.items()}
        out.print(_table(name, measured))
        ratios = {
            f"{ours} against {theirs}, {measure}": times_better(found[theirs], found[ours], measure)
            for theirs, ours, measure in RATIOS[name]
        }
        for label, ratio in ratios.items():
            out.print(f"{label}: {ratio:.2f} times better")
        results[name] = {"measured": measured, "ratios": ratios, "rounds": found}
    about = (
        f"trl {version('trl')}, torch {version('torch')}, {platform.machine()}, one thread, {rounds} rounds"
    )
    out.print(about)
    if report:
        report.write_text(json.dumps({"about": about, **results}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
