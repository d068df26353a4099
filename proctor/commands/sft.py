"""`proctor sft`: the warm start, its data check and its quality report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proctor.app import Exit, command, config_and_words, needs_train, usable


@command(
    "proctor sft warm.toml --check-data",
    "proctor sft warm.toml --learning-rate 1e-5 --zero 2",
    takes_keys=True,
)
def sft(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.toml", help="What to train, on what.")
    ] = None,
    check_data: Annotated[bool, typer.Option("--check-data", help="Only prove the mask.")] = False,
    quality: Annotated[
        Path | None, typer.Option("--quality", help="Only judge the data; write this HTML page.")
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", help="List all keys of a config.")] = False,
) -> None:
    """Train on demonstrations: the policy that RL starts from.

    Every key of the config can also be given as --key value; --keys lists them. The mask is proved before
    anything is trained. Under torchrun it trains on several processes.

    Exit codes: 0 done; 1 the mask is not proved; 2 could not run; 130 interrupted.
    """
    with needs_train():
        from proctor.sft import command as warm_up
    if keys:
        warm_up.show_keys()
        return
    config, words = config_and_words(context, config)
    with usable():
        if quality is not None:
            warm_up.report_quality(config, words, quality)
        elif check_data:
            raise typer.Exit(Exit.DONE if warm_up.check_data(config, words) else Exit.FAILURES)
        elif not warm_up.run(config, words):
            raise typer.Exit(Exit.INTERRUPTED)
