"""`proctor sft`: the warm start, its data check and its quality report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proctor import console
from proctor.app import Exit, app, usable

_HELP = (
    "Train on demonstrations: the policy that RL starts from.\n\n"
    "Every key of the config can also be given as --key value; --keys lists them. The mask is proved before "
    "anything is trained. Under torchrun it trains on several processes."
)
_EXAMPLES = (
    "Examples:\n\n[bold]proctor sft warm.toml --check-data[/bold]\n\n"
    "[bold]proctor sft warm.toml --learning-rate 1e-5 --zero 2[/bold]"
)


@app.command(
    "sft",
    help=_HELP,
    epilog=_EXAMPLES,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
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
    """The command; see _HELP."""
    try:
        from proctor.sft import command
    except ModuleNotFoundError as error:
        console.error(f"{error.name} is not installed; training needs: pip install 'proctor[train]'")
        raise typer.Exit(Exit.UNUSABLE) from error
    if keys:
        command.show_keys()
        return
    # A first word that is an option was taken for the file where no file was given.
    words = list(context.args)
    if config is not None and str(config).startswith("--"):
        words, config = [str(config), *words], None
    with usable():
        if quality is not None:
            command.report_quality(config, words, quality)
        elif check_data:
            raise typer.Exit(Exit.DONE if command.check_data(config, words) else Exit.FAILURES)
        elif not command.run(config, words):
            raise typer.Exit(Exit.INTERRUPTED)
