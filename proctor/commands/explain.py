"""`proctor explain`: the plan, ranges and warnings of an expression, before anything is scored."""

from __future__ import annotations

from typing import Annotated

import typer

from proctor import console
from proctor.app import command, usable
from proctor.commands.reading import read_reward


@command('proctor explain "0.9 * math + 0.1 * steps"', "proctor explain \"format('boxed') and math\"")
def explain(
    expression: Annotated[str, typer.Argument(help="A reward expression, or a TOML file with one.")],
) -> None:
    """Print what an expression runs, in which order, the range of every part and the total, and warnings."""
    with usable():
        console.line(read_reward(expression).explain())
