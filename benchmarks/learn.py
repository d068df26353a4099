"""Does every algorithm learn? The addition task from its SFT model, over algorithms, seeds, full and LoRA.

    python -m proctor.benchmarks.learn --out runs/learn                       # all of it: ten CPU minutes
    python -m proctor.benchmarks.learn --algorithm grpo --algorithm ppo --seeds 1

Every run is a `proctor train` of its own on 16 prompts x 8 samples for 80 steps. Its result is a line of
OUT/results.jsonl, and a run that has one is not repeated: interrupt the command and give it again at will.
The rate falls by a cosine to a tenth: at a constant one the last policy is the luck of its last steps.
Accuracy is on 256 problems that were never trained on, greedy and 4 samples at temperature 1. The model is
made by `make demo`'s recipe where --model names none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from proctor.benchmarks.demo import DATA, environment, write_task
from proctor.verifiers.files.sources import read_rows

ALGORITHMS = ("grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "ppo")
_PIECES = {"ppo": ("--critic.learning_rate", "1e-3")}  # beside the presets
# No KL to the start: it is half wrong, and would hold the policy there.
_COMMON = (
    "--reward.expression", "math", "--rollouts.prompts", "16", "--rollouts.samples", "8",
    "--rollouts.max_new_tokens", "40", "--optimizer.warmup_steps", "5", "--kl_coef", "0",
    "--evaluation.prompts", "256", "--evaluation.samples", "4", "--refill_zero_variance", "false",
    "--run.tensorboard", "false", "--optimizer.min_learning_rate_share", "0.1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trial:
    """One run."""

    algorithm: str
    tuning: str  # "full" or "lora"
    engine: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.algorithm}-{self.tuning}-{self.engine}-{self.seed}"

    @property
    def words(self) -> list[str]:
        rate = "2e-3" if self.tuning == "lora" else "5e-4"
        words = ["--algorithm.name", self.algorithm, "--rollouts.engine", self.engine]
        words += ["--run.seed", str(self.seed), "--optimizer.learning_rate", rate]
        words += (
            ["--lora", "true", "--lora_rank", "32", "--lora_alpha", "64"] if self.tuning == "lora" else []
        )
        return [*words, *_PIECES.get(self.algorithm, ())]


def main(
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/learn"),
    model: Annotated[Path | None, typer.Option(help="An SFT model of the task.")] = None,
    algorithm: Annotated[list[str] | None, typer.Option(help="Repeatable; default: all.")] = None,
    tuning: Annotated[list[str] | None, typer.Option(help="full or lora. Repeatable.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="transformers or vllm. Repeatable.")] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each.")] = 3,
    steps: Annotated[int, typer.Option(help="Steps of a run.")] = 80,
) -> None:
    """Runs what is missing and prints one table."""
    out.mkdir(parents=True, exist_ok=True)
    made = warm_start(out / "task")
    start = model or made
    table = Table(title=f"Addition, {steps} steps of 16 x 8, {seeds} seeds", title_justify="left")
    for heading in ("algorithm", "tuned", "sampler", "before", "sampled", "greedy", "CPU s a step"):
        table.add_column(heading, justify="left" if heading in ("algorithm", "tuned", "sampler") else "right")
    for chosen in algorithm or ALGORITHMS:
        for kind in tuning or ("full",):
            for sampler in engine or ("transformers",):
                trials = [Trial(chosen, kind, sampler, seed) for seed in range(seeds)]
                found = [_run(trial, start, out, steps) for trial in trials]
                table.add_row(chosen, kind, sampler, *_cells(found))
    Console().print(table)


def warm_start(task: Path) -> Path:
    """The SFT model of the addition task, beside its prompts in that folder; what is missing is made."""
    if not (task / "prompts.jsonl").exists():
        write_task(task)
    if not (task / "sft" / "model").exists():
        _proctor(["sft", str(DATA / "addition_sft.toml")], task)
    return task / "sft" / "model"


def _run(trial: Trial, model: Path, out: Path, steps: int) -> dict[str, float]:
    """The run's result, read where it was run before with as many steps."""
    done = _results(out).get((trial.name, steps))
    if done is not None:
        return done
    folder, task = (out / trial.name).resolve(), (out / "task").resolve()
    words = [
        "--model.path", str(model.resolve()), "--data.train", json.dumps([str(task / "prompts.jsonl")]),
        "--data.evaluation", json.dumps([str(task / "held_back.jsonl")]), "--run.output", str(folder),
        "--run.steps", str(steps),
    ]  # fmt: skip
    seconds = _proctor(["train", *words, *_COMMON, *trial.words], out)
    found = _result(folder, seconds / steps)
    with (out / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"name": trial.name, "steps": steps, **found}) + "\n")
    return found


def _results(out: Path) -> dict[tuple[str, int], dict[str, float]]:
    """What was run before, by name and steps."""
    path = out / "results.jsonl"
    rows = [row.data for row in read_rows(path)] if path.exists() else []
    return {(row.pop("name"), row.pop("steps")): row for row in rows}


def _result(folder: Path, seconds_a_step: float) -> dict[str, float]:
    lines = [row.data for row in read_rows(folder / "metrics.jsonl")]
    before, *_, after = [line for line in lines if "evaluation/sampled" in line]
    return {
        "before": before["evaluation/sampled"],
        "sampled": after["evaluation/sampled"],
        "greedy": after["evaluation/greedy"],
        "seconds": seconds_a_step,
    }


def _proctor(words: list[str], folder: Path) -> float:
    """Runs a command of ours on one thread; its CPU seconds, start and evaluations included."""
    before = os.times()
    on_one_thread = {**environment(), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "proctor", *words], cwd=folder, env=on_one_thread, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _cells(found: list[dict[str, float]]) -> list[str]:
    """Means, and the least and the most where there are several."""
    cells = []
    for name in ("before", "sampled", "greedy"):
        values = [each[name] for each in found]
        spread = f" ({min(values):.1%} to {max(values):.1%})" if len(values) > 1 else ""
        cells.append(f"{fmean(values):.1%}{spread}")
    return [*cells, f"{fmean(each['seconds'] for each in found):.2f}"]


if __name__ == "__main__":
    typer.run(main)
