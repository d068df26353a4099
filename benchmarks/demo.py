"""`make demo`: the main jobs on real input, one after the other, each by the command that a user would give.

1. scores 2,000 real model solutions of GSM8K and compares with their recorded correctness;
2. grades HumanEval samples, some right, some wrong, some hostile, in the jail;
3. teaches a small model two-digit addition: imitation first, then GRPO on a verified reward.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import proctor as proctor_package
from proctor.verifiers.files.sources import read_rows

DATA = Path(__file__).parent / "data"
ROOT = Path(proctor_package.__file__).parents[1]
console = Console(highlight=False)


class StepFailedError(RuntimeError):
    """A command of the demo did not end well."""


def main(
    out: Annotated[Path, typer.Option(help="Folder for what the demo writes.")] = Path("demo-out"),
    only: Annotated[list[str] | None, typer.Option(help="score, code or train. Repeatable.")] = None,
) -> None:
    """Runs the demo and says where its reports are."""
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    steps: dict[str, Callable[[Path], None]] = {"score": score, "code": code, "train": train}
    for name in only or steps:
        started = time.perf_counter()
        steps[name](out)
        console.print(f"[dim]{name}: {time.perf_counter() - started:.0f} s[/dim]")


def score(out: Path) -> None:
    """Real rollouts, one expression, verdicts that agree with the record."""
    console.rule("1. Score 2,000 real GSM8K solutions")
    scored, report = out / "gsm8k_scored.jsonl", out / "gsm8k_report.html"
    proctor(
        "score", str(DATA / "gsm8k_solutions.jsonl.gz"), "--reward", "math + 0.1 * steps",
        "--map", "completion=response", "--map", "answer=gold",
        "--out", str(scored), "--report", str(report), "--overwrite",
    )  # fmt: skip
    rows = [row.data for row in read_rows(scored)]
    agree = sum((row["verdicts"]["math"]["value"] == 1.0) == row["is_correct"] for row in rows)
    lucky = [row for row in rows if row["is_correct"] and _value(row, "steps") not in (1.0, None)]
    console.print(f"{agree} of {len(rows)} verdicts agree with the recorded correctness")
    console.print(
        f"{len(lucky)} right answers have a step that does not hold, or none at all; report: {report}"
    )
    if agree != len(rows):
        raise StepFailedError("verdicts differ from the record")


def code(out: Path) -> None:
    """Programs of every intention, and who was paid."""
    console.rule("2. Grade HumanEval samples: right, wrong, hostile")
    proctor("sandbox", "doctor")
    tasks, samples = DATA / "humaneval_demo_tasks.jsonl.gz", DATA / "humaneval_demo_samples.jsonl"
    results = out / "humaneval_results.jsonl"
    words = ["--samples", str(samples), "--data", str(tasks), "--out", str(results), "--overwrite"]
    proctor("eval", "humaneval", *words)
    rows = [row.data for row in read_rows(results)]
    table = Table(title="Who was paid, and why", title_justify="left")
    for column in ("sample", "paid", "verdict"):
        table.add_column(column)
    paid: Counter[str] = Counter()
    for row in rows:
        kind = row["kind"].partition(":")[0]
        paid[kind] += bool(row["passed"])
        if kind != "right":
            table.add_row(row["kind"], "yes" if row["passed"] else "no", row["status"])
    console.print(table)
    console.print(f"paid: {paid['right']} right, {paid['wrong']} wrong, {paid['hostile']} hostile; {results}")
    right = sum(row["kind"] == "right" for row in rows)
    if paid != Counter(right=right, wrong=0, hostile=0):
        raise StepFailedError("somebody was paid who should not be, or the other way round")


def train(out: Path) -> None:
    """Imitation, then a verified reward: from copying a mixture to being right."""
    console.rule("3. Teach addition: SFT, then GRPO")
    task = out / "addition"
    write_task(task)
    for name in ("addition_sft.toml", "addition_grpo.toml"):
        shutil.copy(DATA / name, task)
    proctor("sft", "addition_sft.toml", cwd=task)
    proctor("train", "addition_grpo.toml", cwd=task)
    proctor("report", "grpo", "--out", "report.html", cwd=task)
    _plot(task / "grpo" / "metrics.jsonl")
    console.print(f"report: {task / 'report.html'}")


def proctor(*words: str, cwd: Path | None = None) -> None:
    """Runs a command of ours as a user would, and shows it first."""
    console.print(f"[bold]$ proctor {shlex.join(words)}[/bold]")
    done = subprocess.run([sys.executable, "-m", "proctor", *words], cwd=cwd, env=environment())
    if done.returncode:
        raise StepFailedError(f"proctor {words[0]} ended with exit code {done.returncode}")


def environment() -> dict[str, str]:
    """Ours, in which a bare checkout is found from any folder; an installed package is found first."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT)])}


def write_task(folder: Path) -> None:
    """Model, demonstrations and prompts of the addition task; an earlier demo's runs make room."""
    from transformers.utils import logging as transformers_logging

    from proctor.sft import demo_task

    transformers_logging.disable_progress_bar()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    training, held_back = demo_task.split_problems()
    tokenizer = demo_task.make_tokenizer()
    demo_task.make_model(tokenizer).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    _write_rows(folder / "demonstrations.jsonl", demo_task.demonstrations(training, 20_000))
    for name, problems in (("prompts", training), ("held_back", held_back)):
        rows = [{"prompt": problem.prompt, "answer": problem.answer} for problem in problems]
        _write_rows(folder / f"{name}.jsonl", rows)


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _plot(metrics: Path) -> None:
    """The reward curve in the terminal."""
    import plotext

    steps = [row.data for row in read_rows(metrics)]
    steps = [step for step in steps if "correct" in step]
    plotext.plot_size(80, 16)
    plotext.title("share of right answers while training")
    plotext.plot([step["step"] for step in steps], [step["correct"] for step in steps])
    plotext.theme("clear")
    drawing = plotext.build()
    print(drawing if sys.stdout.isatty() else plotext.uncolorize(drawing))


def _value(row: dict[str, object], part: str) -> float | None:
    verdicts = row["verdicts"]
    assert isinstance(verdicts, dict)
    value: float | None = verdicts[part]["value"]
    return value


if __name__ == "__main__":
    try:
        typer.run(main)
    except StepFailedError as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(1)
