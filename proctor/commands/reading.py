"""What several commands read from their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from proctor.settings import read_toml
from proctor.verifiers.expression import Expression, reward
from proctor.verifiers.files.loading import load_parts
from proctor.verifiers.files.sources import InputError

Load = Annotated[
    list[Path] | None,
    typer.Option(
        "--load", metavar="FILE.py", help="Python file that defines reward parts of yours. Repeatable."
    ),
]


def read_reward(text: str, load: Sequence[Path] | None) -> Expression:
    """The expression of `--reward`: its source, or a `.toml` file; `--load` says where parts of it stand.

    In the file `reward` is the source, or a table of weights by part.

    Raises ExpressionError with a caret under the mistake; InputError, naming the file, for a file.
    """
    load_parts(load or [])
    if not text.endswith(".toml"):
        return reward(text)
    path = Path(text)
    content = read_toml(path)
    if not isinstance(content.get("reward"), str | dict):
        found = ", ".join(f"{key} = {value!r}" for key, value in content.items()) or "nothing"
        raise InputError(f'{path}: needs reward = "..." or a [reward] table of weights; found {found}')
    try:
        return reward(content["reward"])
    except (ValueError, TypeError) as error:  # the latter for a weight that is no number
        raise InputError(f"{path}: {error}") from error


def read_pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """`a=b` options as a mapping. Raises InputError."""
    pairs = {}
    for text in given:
        ours, sign, theirs = text.partition("=")
        if not (ours and sign and theirs):
            raise InputError(f"{option} {text}: expected {option} OURS=THEIRS, as in {option} answer=gold")
        pairs[ours.strip()] = theirs.strip()
    return pairs
