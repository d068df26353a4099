"""All that is printed: data on stdout, talk and progress on stderr, progress only on a terminal."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from proctor.sandbox.local.proof import LayerReport
from proctor.verifiers.core import Blame
from proctor.verifiers.expression import Expression
from proctor.verifiers.files.summary import Summary, Tally, name_of
from proctor.verifiers.part import Bounds

_MEANS_SHOWN = 4  # parts beside the progress bar


def _out() -> Console:
    return Console(soft_wrap=True, highlight=False, markup=False)


def _err() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def line(text: str) -> None:
    """A line of data."""
    _out().print(text)


def as_json(data: Any) -> None:
    """Data for another program."""
    _out().print(json.dumps(data, indent=2, ensure_ascii=False))


def binary_stdout() -> IO[bytes]:
    """Standard output for rows."""
    return sys.stdout.buffer


def note(text: str) -> None:
    """Something worth knowing."""
    _err().print(_visible(text), style="dim")


def warning(text: str) -> None:
    """Something that may be wrong."""
    _err().print(Text.assemble(("warning: ", "bold yellow"), _visible(text)))


def error(text: str) -> None:
    """Why there is no result. Left as it is, for a caret in it points at the line above."""
    _err().print(Text.assemble(("error: ", "bold red"), _visible(text)))


def _visible(text: str) -> str:
    """The text without control characters: file and column names must not steer the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)


def crash() -> None:
    """The exception that nobody expected."""
    _err().print(traceback.format_exc())


class ScoringProgress:
    """The bar over a file: share read, rows, rate, running means."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def show(self, summary: Summary, fraction: float | None, *, done_before: int = 0) -> None:
        """Moves the bar. `done_before` are rows of an earlier run, which do not count for the rate."""
        rows = summary.rollouts + summary.rejected
        elapsed = self._bar.tasks[0].elapsed or 0.0
        rate = (rows - done_before) / elapsed if elapsed > 0 else 0.0
        means = [("reward", summary.reward), *list(summary.parts.items())[:_MEANS_SHOWN]]
        shown = "  ".join(f"{name} {_number(tally.mean)}" for name, tally in means)
        text = f"{rows:,} rows  {rate:,.0f}/s  {shown}"
        self._bar.update(self._task, completed=fraction, total=None if fraction is None else 1.0, shown=text)


@contextmanager
def scoring_progress() -> Iterator[ScoringProgress]:
    """Shows a progress bar while inside, on a terminal; elsewhere nothing."""
    console = _err()
    columns = (BarColumn(bar_width=24), TextColumn("{task.fields[shown]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield ScoringProgress(bar, bar.add_task("", total=None, shown=""))


def summary_tables(summary: Summary, *, on_stderr: bool = False) -> None:
    """What scoring came to: means and time by part, verdicts by status and blame, the sum of the rows."""
    console = _err() if on_stderr else _out()
    console.print(_parts_table(summary))
    console.print(_verdicts_table(summary))
    console.print(_accounts(summary))


@contextmanager
def counting(what: str, *, total: int) -> Iterator[Callable[[int], None]]:
    """Gives a function that moves a bar to a count, on a terminal; elsewhere it does nothing."""
    console = _err()
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def evaluation(estimates: Iterable[object], statuses: Mapping[str, int]) -> None:
    """pass@k with its interval, and how the samples ended."""
    console = _out()
    for each in estimates:
        console.print(str(each))
    table = Table()
    table.add_column("how samples ended")
    table.add_column("samples", justify="right")
    for name, count in sorted(statuses.items(), key=lambda pair: -pair[1]):
        table.add_row(name, f"{count:,}")
    console.print(table)


def plan(reward: Expression) -> None:
    """Range and columns of a reward, its parts and when they run, and what is weak about it."""
    known = reward.outline
    columns = ", ".join(known.columns) or "none beside the completion"
    _out().print(f"{reward}\n\nrange {span(known.bounds)}   columns {columns}   hash {reward.hash}\n")
    table = Table(box=None, pad_edge=False)
    for heading in ("round", "part", "range", "runs", "cost", "role"):
        table.add_column(heading, overflow="fold")
    for planned in known.parts:
        kind = "verifies the answer" if planned.part.exam else ""
        cells = (str(planned.round), str(planned.part), span(planned.part.bounds), planned.runs)
        table.add_row(*map(Text, cells), Text(planned.part.cost.name.lower()), kind)
    _out().print(table)
    for concern in reward.check():
        _out().print(f"\nwarning: {concern}")


def span(bounds: Bounds) -> str:
    """A range in words."""
    return f"{bounds.low:g} to {bounds.high:g}"


def layers(reports: Iterable[LayerReport]) -> None:
    """The walls of a sandbox: which were asked for, which hold, how that was proved, what to do if not."""
    table = Table(box=None, pad_edge=False)
    for heading in ("layer", "asked", "holds", "proof", "what to do"):
        table.add_column(heading, overflow="fold")
    for report in reports:
        style = "" if report.holds else "bold red" if report.asked else "dim"
        cells = (report.layer, _yes(report.asked), _yes(report.holds), report.proof)
        table.add_row(*map(Text, cells), Text("" if report.holds else report.remedy), style=style)
    _out().print(table)


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def part_list(rows: Iterable[tuple[str, str, str]]) -> None:
    """Name, range and one line of help of every part."""
    table = Table(box=None, pad_edge=False)
    table.add_column("part", style="bold")
    table.add_column("range", justify="right", no_wrap=True)
    table.add_column("what it measures")
    for row in rows:
        table.add_row(*map(Text, row))
    _out().print(table)


def part_page(name: str, bounds: str, doc: str, options: Sequence[tuple[str, str, str]]) -> None:
    """All there is to know of one part."""
    console = _out()
    console.print(Text.assemble((name, "bold"), f"   range {bounds}"))
    console.print(f"\n{doc}\n")
    table = Table(box=None, pad_edge=False)
    for heading in ("option", "type", "default"):
        table.add_column(heading)
    for row in options:
        table.add_row(*map(Text, row))
    if options:
        console.print(table)


def _parts_table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("part", overflow="fold")
    for heading in ("mean", "with a value", "seconds", "share of time", "slowest (ms)"):
        table.add_column(heading, justify="right")
    total = sum(tally.seconds for tally in summary.parts.values()) or 1.0
    table.add_row("reward", _number(summary.reward.mean), f"{summary.reward.scored:,}", style="bold")
    for name, tally in sorted(summary.parts.items(), key=lambda item: -item[1].seconds):
        table.add_row(
            Text(name), _number(tally.mean), f"{tally.scored:,}",
            f"{tally.seconds:.2f}", f"{tally.seconds / total:.0%}", f"{tally.slowest * 1000:.2f}",
        )  # fmt: skip
    return table


def _verdicts_table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("verdict")
    table.add_column("blame")
    for name in summary.parts:
        table.add_column(Text(name), justify="right", overflow="fold")
    statuses = {status: None for tally in summary.parts.values() for status, _ in _by_count(tally)}
    for status in statuses:
        counts = (tally.statuses.get(status, 0) for tally in summary.parts.values())
        blame = status.blame.value if status.blame else ""
        style = "" if status.blame in (None, Blame.CANDIDATE) else "yellow"
        table.add_row(
            status.value.replace("_", " "), blame, *(f"{n:,}" if n else "" for n in counts), style=style
        )
    return table


def _by_count(tally: Tally) -> list[tuple[Any, int]]:
    return tally.statuses.most_common()


def _accounts(summary: Summary) -> str:
    """Every row is accounted for, and the sums add up."""
    without = summary.rollouts - summary.reward.scored
    blames = ", ".join(f"blame {name_of(blame)} {count:,}" for blame, count in summary.unscorable.items())
    text = f"{summary.rollouts + summary.rejected:,} rows = {summary.reward.scored:,} with a reward"
    text += f" + {without:,} without" + (f" ({blames})" if blames else "")
    return text + f" + {summary.rejected:,} bad"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
