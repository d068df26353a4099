"""`proctor train`: GRPO, PPO and their relatives, on a verified reward."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proctor import console
from proctor.app import Exit, command, config_and_words, needs_train, usable


@command(
    "proctor train grpo.toml --dry-run",
    "proctor train grpo.toml --algorithm.name dapo --run.steps 200",
    takes_keys=True,
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
    """Train a policy by reinforcement learning: sample, score, update.

    Every key of the config can also be given as --key value; --keys lists them. An interrupted run goes on
    from its newest checkpoint when the same command is given again.

    Exit codes: 0 done; 1 a guard stopped the run; 2 could not run; 130 interrupted.
    """
    with needs_train():
        from proctor.rl import command as training
        from proctor.rl.train import GuardStopError
    if keys:
        training.show_keys()
        return
    config, words = config_and_words(context, config)
    with usable():
        try:
            (training.dry_run if dry_run else training.start)(config, words)
        except GuardStopError as error:
            console.error(str(error))
            raise typer.Exit(Exit.FAILURES) from error
        except KeyboardInterrupt as interrupt:
            console.error("interrupted; to go on, run the same command (not with run.resume = false)")
            raise typer.Exit(Exit.INTERRUPTED) from interrupt
