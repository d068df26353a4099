"""`proctor score`: a file of rollouts through a reward."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from proctor import __version__, console
from proctor.app import Exit, command, usable
from proctor.commands.reading import Load, read_pairs, read_reward
from proctor.verifiers.files.job import Batch, Job, unsaved
from proctor.verifiers.files.report import About, Report
from proctor.verifiers.files.scored import ScoredFile, Unsaved, is_same_file, side_files, told
from proctor.verifiers.files.sources import BadRow, InputError, Source
from proctor.verifiers.files.summary import Summary

_BAD_ROWS_SHOWN = 5

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="JSONL (or .gz), JSON, CSV, Parquet, a datasets folder, or - for JSON lines on stdin.",
    ),
]
RewardText = Annotated[
    str, typer.Option("--reward", "-r", help="A reward expression, or a TOML file with one.")
]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        "-m",
        metavar="OURS=THEIRS",
        help="Which column is which; a.b reaches into objects. Repeatable.",
    ),
]
Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        help="Where scored rows go, as JSON lines; an interrupted run is taken up again. - is stdout.",
    ),
]
ReportPath = Annotated[
    Path | None, typer.Option("--report", help="Write an HTML report, one file for offline use.")
]
Split = Annotated[str | None, typer.Option("--split", help="Which split of a datasets folder.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rows.")]
BatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, help="The most rows that are scored at a time.")
]
Step = Annotated[int, typer.Option("--step", min=0, help="Training step, for weights on a schedule.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout, not as a table.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start again where --out exists.")]


@command(
    "proctor score rollouts.jsonl --reward math --out scored.jsonl",
    'proctor score rollouts.jsonl --reward "math + 0.1 * steps" --map answer=gold --report report.html',
)
def score(
    file: File,
    reward: RewardText,
    map_: Map = None,
    out: Out = None,
    report: ReportPath = None,
    split: Split = None,
    limit: Limit = None,
    batch_size: BatchSize = 1024,
    step: Step = 0,
    json: AsJson = False,
    overwrite: Overwrite = False,
    load: Load = None,
) -> None:
    """Score a file of rollouts: each row goes out with its reward, and with the verdict of every part.

    Columns are found by their usual names (response, gold ...) unless --map says otherwise. A row that cannot
    be scored goes to NAME.rejected.jsonl, with the reason, and the rest goes on.

    Exit codes: 0 done; 1 done, but rows were bad or could not be scored by a fault of ours; 2 could not run;
    130 interrupted (the same command goes on from there).
    """
    with usable():
        if out == "-" and json:
            raise InputError("--out - and --json both want standard output; choose one")
        if report is not None:
            _check_report(report, file, out)
        source = Source(file, split=split)
        expression = read_reward(reward, load)
        mapping = read_pairs(map_ or [], "--map")
        job = Job(source, expression, mapping=mapping, limit=limit, step=step)
        concerns = expression.check(job.names)
        _introduce(job, concerns)
        sink = _sink(job, out, overwrite, load or [])
        page = Report() if report is not None else None
        summary = _run(job, sink, page, batch_size)
        _conclude(job, sink, summary, as_json=json, data_on_stdout=out == "-")
        if page is not None and report is not None:
            warnings = [f"{concern.problem}. What to do: {concern.fix}" for concern in concerns]
            about = About(source.name, str(expression), expression.hash, warnings, __version__)
            with told(report):
                page.write(report, about, summary)
            console.note(f"written: {report}")
    raise typer.Exit(Exit.FAILURES if summary.failed else Exit.DONE)


def _check_report(path: Path, source: str, out: str | None) -> None:
    """It is written when all is scored; what can be wrong with its place is told before."""
    scored = Path(out) if out and out != "-" else None
    for taken in (Path(source), *((scored, *side_files(scored)) if scored and scored.name else ())):
        if is_same_file(path, taken):
            raise InputError(f"--report {path}: this is the input, or belongs to --out; name another file")
    if path.is_dir():
        raise InputError(
            f"--report {path}: this is a folder; name a file in it, such as {path / 'report.html'}"
        )
    if not path.absolute().parent.is_dir():
        raise InputError(f"--report {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise InputError(f"--report {path}: cannot be written: permission denied")


def _introduce(job: Job, concerns: Iterable[object]) -> None:
    guessed = " (found by name; --map changes it)" if job.columns.guessed else ""
    console.note(f"columns: {job.columns}{guessed}")
    for name in sorted(job.columns.unread):
        console.warning(
            f"--map {name}={job.columns.sources[name]}: neither one of {', '.join(job.columns.ours)} nor a column "
            "that the reward names"
        )
    for concern in concerns:
        console.warning(str(concern))


def _sink(job: Job, out: str | None, overwrite: bool, loaded: Sequence[Path]) -> ScoredFile | Unsaved:
    if out is None or out == "-":
        return unsaved(job.source, console.binary_stdout() if out == "-" else None)
    return job.open_file(Path(out), overwrite=overwrite, loaded=loaded)


def _run(job: Job, sink: ScoredFile | Unsaved, page: Report | None, batch_size: int) -> Summary:
    """Scores everything; Ctrl-C ends the command with what has been scored kept."""
    summary = Summary()
    try:
        with sink, console.scoring_progress() as progress:
            for batch in job.run(sink, batch_size=batch_size):
                _report_bad_rows(job, summary.rejected, batch)
                _collect(batch, summary, page)
                progress.show(summary, job.source.fraction, done_before=job.done_before)
    except KeyboardInterrupt:
        again = "; the same command goes on from here" if isinstance(sink, ScoredFile) else ""
        console.error(f"interrupted after {summary.rollouts + summary.rejected:,} rows{again}")
        raise typer.Exit(Exit.INTERRUPTED) from None
    return summary


def _collect(batch: Batch, summary: Summary, page: Report | None) -> None:
    summary.add(batch)
    if page is not None:
        page.add(batch)


def _report_bad_rows(job: Job, before: int, batch: Batch) -> None:
    bad = [item for item in batch if isinstance(item, BadRow)]
    for row in bad[: max(0, _BAD_ROWS_SHOWN - before)]:
        console.warning(f"{job.source.name}:{row.number}: {row.reason}")


def _conclude(
    job: Job,
    sink: ScoredFile | Unsaved,
    summary: Summary,
    *,
    as_json: bool,
    data_on_stdout: bool,
) -> None:
    if job.torn_groups:
        console.warning(
            f"{job.torn_groups:,} times a prompt came back after another one: this reward compares the"
            " rollouts of a prompt, which must be neighbours; sort the file by prompt"
        )
    for blame, reason in summary.reasons.items():
        console.warning(
            f"without a reward, blame {blame.value}: {summary.unscorable[blame]:,} rows; the first is "
            f"{job.source.name}:{reason}"
        )
    if summary.rejected:
        console.warning(f"{summary.rejected:,} bad rows are kept in {sink.rejected.path}")
    if as_json:
        about = {"file": job.source.name, "expression": str(job.reward), "hash": job.reward.hash}
        console.as_json({**about, "columns": dict(job.columns.sources), **summary.to_json()})
    else:
        console.summary_tables(summary, on_stderr=data_on_stdout)
    if isinstance(sink, ScoredFile):
        console.note(f"written: {sink.path}")
