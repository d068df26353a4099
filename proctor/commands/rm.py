"""`proctor rm`: a reward model from preference pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proctor import console
from proctor.app import Exit, command, config_and_words, needs_train, usable


@command(
    "proctor rm rm.toml",
    "proctor rm --run.model runs/sft/model --data.train '[\"pairs.jsonl\"]' --epochs 2",
    takes_keys=True,
)
def rm(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.toml", help="What to train, on what.")
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", help="List all keys of a config.")] = False,
) -> None:
    """Train a reward model on preference pairs: JSON lines with prompt, chosen, rejected, and margin if known.

    What it learned is a part of any reward: learned('runs/rm/model'). Every key of the config can also be
    given as --key value; --keys lists them. An interrupted run goes on by the same command. Under torchrun it
    trains on several processes.

    Exit codes: 0 done; 2 could not run; 130 interrupted.
    """
    with needs_train():
        from proctor.rl.reward_training import RMConfig, train_reward_model
        from proctor.sft.config import describe, load_config
        from proctor.sft.display import show_keys
    if keys:
        show_keys(describe(RMConfig))
        return
    config, words = config_and_words(context, config)

    with usable():
        trained = train_reward_model(load_config(RMConfig, config, words))
        if trained.is_interrupted:
            raise typer.Exit(Exit.INTERRUPTED)
        console.note(f"the reward model is {trained.path}; use it as learned({str(trained.path)!r})")
