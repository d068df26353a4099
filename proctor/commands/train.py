"""`proctor train`: GRPO, PPO and their relatives, on a verified reward."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proctor import console
from proctor.app import Exit, app, usable

_HELP = (
    "Train a policy by reinforcement learning: sample, score, update.\n\n"
    "Every key of the config can also be given as --key value; --keys lists them. An interrupted run goes on "
    "from its newest checkpoint when the same command is given again."
)
_EXAMPLES = (
    "Examples:\n\n[bold]proctor train grpo.toml --dry-run[/bold]\n\n"
    "[bold]proctor train grpo.toml --algorithm.name dapo --run.steps 200[/bold]"
)


@app.command(
    "train",
    help=_HELP,
    epilog=_EXAMPLES,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def train(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.toml", help="What to train, on what, how.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan with a memory estimate and do one step.")
    ] = False,
    keys: Annotated[bool, typer.Option("--keys", help="List all keys of a config.")] = False,
) -> None:
    """The command; see _HELP."""
    try:
        from proctor.rl import command
        from proctor.rl.train import GuardStopError
    except ModuleNotFoundError as error:
        console.error(f"{error.name} is not installed; training needs: pip install 'proctor[train]'")
        raise typer.Exit(Exit.UNUSABLE) from error
    if keys:
        command.show_keys()
        return
    words = list(context.args)
    if config is not None and str(config).startswith("--"):  # an option taken for the file
        words, config = [str(config), *words], None
    with usable():
        try:
            (command.dry_run if dry_run else command.start)(config, words)
        except GuardStopError as error:
            console.error(str(error))
            raise typer.Exit(Exit.FAILURES) from error
        except KeyboardInterrupt as interrupt:
            console.error("interrupted; the same command goes on from the newest checkpoint")
            raise typer.Exit(Exit.INTERRUPTED) from interrupt
