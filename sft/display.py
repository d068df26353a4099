"""All that training prints, on stderr: tables, coloured rows, and a progress bar on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from proctor.sft.config import Key
from proctor.sft.dataset import Data
from proctor.sft.evaluate import Evaluation
from proctor.sft.proof import Failure
from proctor.sft.quality import Quality

_FAILURES_SHOWN = 3  # of each fault
_PIECE_SHOWN = 400  # characters of an untrained stretch


class Update(Protocol):
    """Moves the bar to a step and shows numbers beside it."""

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None: ...


def console() -> Console:
    """Talk goes to stderr: stdout is for data."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """A line of talk."""
    console().print(text, markup=False)


def show_data(data: Data) -> None:
    """What was read and what the proof found."""
    rows, proof = data.rows, data.proof
    table = Table(title="Mask proof", show_header=False, title_justify="left")
    for name, value in (
        ("conversations", f"{rows.num_conversations:,}"),
        ("rows", f"{proof.num_rows:,}"),
        ("tokens", f"{proof.num_tokens:,}"),
        ("trained tokens", f"{proof.num_trained:,} ({_share(proof.num_trained, proof.num_tokens)})"),
        ("prompt tokens trained", f"{proof.prompt_tokens_trained:,}"),
        ("dropped as too long", f"{rows.num_dropped:,}"),
        ("truncated", f"{rows.num_truncated:,}"),
        *((f"fault: {fault.value}", f"{count:,}") for fault, count in proof.faults.items()),
    ):
        table.add_row(name, value)
    console().print(table)
    for text, count in proof.scaffolds.most_common(3):
        note(f"the template adds {text!r} inside {count:,} trained turns")
    for warning in proof.warnings:
        console().print(Text(f"warning: {warning}", style="yellow"))
    for fault in proof.faults:
        same = [failure for failure in proof.failures if failure.fault is fault]
        for failure in same[:_FAILURES_SHOWN]:
            show_failure(failure)
    if any(failure.pieces for failure in proof.failures):
        note("(trained text is on green, or between ⟦ and ⟧)")
    console().print(Text("the mask is proved" if proof.holds else "the mask is not proved", style="bold"))


def show_quality(quality: Quality, page: Path) -> None:
    """The findings in a sentence each."""
    table = Table(title=f"{quality.num_rows:,} rows", show_header=False, title_justify="left")
    for finding in quality.findings:
        table.add_row(finding.title, finding.summary)
    console().print(table)
    note(f"rows to look at are in {page}")


def show_keys(keys: Sequence[Key]) -> None:
    """The keys of a config, as data on stdout."""
    table = Table(box=None)
    table.add_column("key", no_wrap=True)  # a name that is cut cannot be given
    for heading in ("type", "default", "meaning"):
        table.add_column(heading, overflow="fold")
    for key in keys:
        table.add_row(Text(key.name), Text(key.kind), Text(key.default), Text(key.text))
    Console(highlight=False).print(table)


def show_failure(failure: Failure) -> None:
    """A failing row: trained text on green, the rest dim; between ⟦ and ⟧ where there are no colours."""
    out = console()
    out.print(Text(f"{failure.source}: {failure.fault.value}: {failure.detail}", style="red"))
    shown = Text()
    for text, trained in failure.pieces:
        if not trained and len(text) > _PIECE_SHOWN:
            text = text[: _PIECE_SHOWN // 2] + " … " + text[-_PIECE_SHOWN // 2 :]
        if trained and out.color_system is None:
            text = f"⟦{text}⟧"
        shown.append(text, style="black on green" if trained else "dim")
    if failure.pieces:
        out.print(shown)


def show_evaluation(step: int, evaluation: Evaluation, limit: int) -> None:
    """The numbers on a line, and a few generations with their rewards."""
    known = {name: value for name, value in evaluation.numbers.items() if value is not None}
    note(f"step {step}: " + "  ".join(f"{name} {_number(value)}" for name, value in known.items()))
    for place, generation in enumerate(evaluation.generations[:limit]):
        line = Text(generation.question.prompt, style="dim")
        line.append(generation.completion, style="default")
        if evaluation.scored:
            line.append(f"  {evaluation.scored.scores[place]}", style="cyan")
        console().print(line)


@contextmanager
def progress(total: int, start: int, *, visible: bool) -> Iterator[Update]:
    """The bar of a run; without a terminal, or on other processes than the first, it shows nothing."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
    )
    out = console()
    with Progress(*columns, console=out, disable=not (visible and out.is_terminal)) as bar:
        task = bar.add_task("", total=total, completed=start, numbers="")

        def update(step: int, numbers: Mapping[str, float]) -> None:
            shown = (
                f"loss {numbers['loss']:.4f} {numbers['tokens_per_second']:,.0f} tok/s "
                f"lr {numbers['learning_rate']:.1e}"
            )
            bar.update(task, completed=step, numbers=shown)

        yield update


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "0%"


def _number(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
