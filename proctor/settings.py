"""A settings file for the command line: every option of every command is a key of it.

    [score]
    reward = "math + 0.1 * steps"
    out = "scored.jsonl"
    map = { answer = "gold" }

`proctor --config proctor.toml score rollouts.jsonl`; what the command line says wins over the file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from proctor.verifiers.files.sources import InputError
from proctor.verifiers.spelling import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """The file's content. Raises InputError, naming the file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error


def defaults_from(path: Path, context: typer.Context) -> dict[str, dict[str, Any]]:
    """The file's tables as defaults of the commands. Raises InputError for a key that is no option."""
    commands: dict[str, Any] = getattr(context.command, "commands", {})
    defaults = {}
    for name, table in read_toml(path).items():
        if name not in commands or not isinstance(table, dict):
            raise InputError(
                f"{path}: no command '{name}'{did_you_mean(name, commands)}; a table has a command's name"
            )
        options = {
            option.removeprefix("--"): param.name for param in commands[name].params for option in param.opts
        }
        for key in table:
            if key not in options:
                raise InputError(
                    f"{path}: 'proctor {name}' has no option '{key}'{did_you_mean(key, options)}"
                )
        defaults[name] = {options[key]: _as_given(value) for key, value in table.items()}
    return defaults


def _as_given(value: Any) -> Any:
    """A table as the repeated `a=b` that an option takes."""
    return [f"{ours}={theirs}" for ours, theirs in value.items()] if isinstance(value, dict) else value
