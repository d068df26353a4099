"""`proctor rm`: a reward model from preference pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proctor import console
from proctor.app import command, config_and_words, needs_train, usable


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
    given as --key value; --keys lists them.

    Exit codes: 0 done; 2 could not run.
    """
    with needs_train():
        from proctor.rl.preferences import RMConfig, train_reward_model
        from proctor.sft.config import describe, load_config
        from proctor.sft.display import show_keys
    if keys:
        show_keys(describe(RMConfig))
        return
    config, words = config_and_words(context, config)

    def watch(step: int, steps: int, loss: float) -> None:
        if step in (1, steps) or step % max(1, steps // 10) == 0:
            console.note(f"step {step}/{steps}: loss {loss:.4f}")

    with usable():
        trained = train_reward_model(load_config(RMConfig, config, words), watch=watch)
        for each in trained.skipped[:5]:
            console.note(f"left out: {each}")
        for when, found in (("before", trained.before), ("after", trained.after)):
            if found is not None:
                console.line(
                    f"accuracy {when} {found.value:.1%} ({found.num_pairs} pairs held back), "
                    f"mean lead {found.mean_lead:.3f}, mean score {found.mean_score:.3f}"
                )
        console.note(f"the reward model is {trained.path}; use it as learned({str(trained.path)!r})")
