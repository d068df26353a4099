"""All that RL training prints, on stderr: the plan, and a live view of the run on a terminal."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from proctor.rl.evaluate import Evaluation
from proctor.rl.train import Report

_SHOWN = (
    ("reward", "reward", ".3f"),
    ("correct", "correct", ".1%"),
    ("kl", "KL", ".4f"),
    ("entropy", "entropy", ".3f"),
    ("length", "length", ".1f"),
    ("truncated", "truncated", ".1%"),
    ("clipped_high", "clipped", ".2%"),
    ("gap", "sampler gap", ".1e"),
    ("tokens_per_second", "tokens/s", ",.0f"),
)
_LAST = 10  # steps in the table
_COMPLETION_SHOWN = 300  # characters


def console() -> Console:
    """Talk goes to stderr: stdout is for data."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """A line of talk."""
    console().print(_visible(text), markup=False)


@contextmanager
def watching(num_steps: int, *, completions: int = 2) -> Iterator[Callable[[Report], None]]:
    """Gives a function that shows a step: a live table on a terminal, a line every so often elsewhere."""
    screen = console()
    bar = Progress(
        TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=screen
    )
    task = bar.add_task("", total=num_steps)
    if not screen.is_terminal:
        yield lambda report: _line(screen, report)
        return
    steps: deque[Report] = deque(maxlen=_LAST)
    with Live(bar, console=screen, refresh_per_second=4, transient=False) as live:

        def show(report: Report) -> None:
            steps.append(report)
            bar.update(task, completed=report.step)
            live.update(Group(_table(steps), _parts(report), _samples(report, completions), bar))

        yield show


def show_evaluations(before: Evaluation | None, after: Evaluation | None) -> None:
    """Before and after, side by side."""
    if before is None and after is None:
        return
    table = Table(title="Evaluation", title_justify="left")
    for column in ("", "greedy", "sampled", "reward", "tokens", "problems"):
        table.add_column(column, justify="left" if not column else "right")
    for name, found in (("before", before), ("after", after)):
        if found is not None:
            table.add_row(
                name,
                f"{found.greedy:.1%}",
                f"{found.sampled:.1%}",
                f"{found.reward:.3f}",
                f"{found.length:.1f}",
                f"{found.num_problems} x {found.num_samples}",
            )
    console().print(table)


def show_plan(facts: Mapping[str, str]) -> None:
    """A two-column table of what a run will do."""
    table = Table(title="Plan", show_header=False, title_justify="left")
    for name, value in facts.items():
        table.add_row(name, value)
    console().print(table)


def _line(screen: Console, report: Report) -> None:
    """Every tenth of the run a line: logs are read, not watched."""
    every = max(1, report.num_steps // 10)
    if report.step % every and report.step != 1:
        return
    numbers = ", ".join(f"{title} {_number(report.metrics.get(name), form)}" for name, title, form in _SHOWN)
    unscored = report.metrics.get("fate/unscorable")
    aloud = f", {unscored} of {len(report.experiences)} rollouts without a verdict" if unscored else ""
    screen.print(f"step {report.step}/{report.num_steps}: {numbers}{aloud}", markup=False)


def _table(steps: deque[Report]) -> Table:
    table = Table(expand=False)
    table.add_column("step", justify="right")
    for _, title, _ in _SHOWN:
        table.add_column(title, justify="right")
    for report in steps:
        table.add_row(
            str(report.step), *(_number(report.metrics.get(name), form) for name, _, form in _SHOWN)
        )
    return table


def _parts(report: Report) -> Text:
    """The last step's reward by part, fates and time split."""
    groups = []
    for prefix, form in (("reward/", ".3f"), ("fate/", "d"), ("seconds/", ".2f")):
        found = {
            name.removeprefix(prefix): value
            for name, value in report.metrics.items()
            if name.startswith(prefix) and value
        }
        shown = ", ".join(f"{name} {_number(value, form)}" for name, value in found.items())
        groups.append(f"{prefix.rstrip('/')}: {shown}")
    return Text("\n".join(groups), style="dim")


def _samples(report: Report, count: int) -> Table:
    table = Table(show_header=False, expand=False)
    for experience in report.experiences[:count]:
        reward = _number(experience.score.total, ".3f")
        table.add_row(reward, Text(_visible(experience.text[:_COMPLETION_SHOWN])))
    return table


def _visible(text: str) -> str:
    """The text without control characters: what a model writes must not steer the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def _number(value: Any, form: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return format(value, form)
