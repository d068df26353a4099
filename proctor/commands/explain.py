"""`proctor explain`: the plan, ranges and warnings of an expression, before anything is scored."""

from __future__ import annotations

from typing import Annotated

import typer

from proctor import console
from proctor.app import command, usable
from proctor.commands.reading import Load, read_reward


@command('proctor explain "0.9 * math + 0.1 * steps"', "proctor explain \"format('boxed') and math\"")
def explain(
    expression: Annotated[str, typer.Argument(help="A reward expression, or a TOML file with one.")],
    load: Load = None,
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Print what an expression runs, in which order, the range of every part and the total, and warnings."""
    with usable():
        reward = read_reward(expression, load)
    if json:
        console.as_json(reward.explain())
    else:
        console.plan(reward)
