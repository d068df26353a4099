"""`proctor report`: one offline page on a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proctor import console
from proctor.app import command, needs_train, usable


@command("proctor report runs/rl", "proctor report runs/rl --out report.html")
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder, its run.output.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page; default: report.html in the run's folder.")
    ] = None,
) -> None:
    """Make one HTML file of a training run: curves, evaluations, incidents, rollouts through training.

    The file needs no network and runs nothing but its own script. A run that is still going can be reported
    on at any time.

    Exit codes: 0 done; 2 there is no run.
    """
    with needs_train():
        from proctor.rl.report import write_report
    with usable():
        path = out or run / "report.html"
        write_report(run, path)
        console.note(f"written: {path}")
