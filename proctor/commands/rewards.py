"""`proctor rewards`: the parts that expressions are made of."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any

import typer

from proctor import console
from proctor.app import command, usable
from proctor.commands.reading import Load
from proctor.verifiers import registry
from proctor.verifiers.files.loading import load_parts
from proctor.verifiers.files.sources import InputError
from proctor.verifiers.part import Part


@command("proctor rewards", "proctor rewards math")
def rewards(
    name: Annotated[str | None, typer.Argument(help="One part, for its whole documentation.")] = None,
    load: Load = None,
) -> None:
    """List the reward parts with their ranges, or explain one of them."""
    with usable():
        load_parts(load or [])
    if name is None:
        console.part_list(
            (known, bounds_text(part), _first_line(part)) for known, part in sorted(registry.parts().items())
        )
        return
    with usable():
        try:
            part = registry.find(name)
        except KeyError as error:
            raise InputError(error.args[0]) from error
    console.part_page(name, bounds_text(part), inspect.getdoc(part) or "", [_option(f) for f in fields(part)])  # type: ignore[arg-type]


def bounds_text(part: type[Part]) -> str:
    """The range of a part with its defaults; that of one with an option that must be given depends on it."""
    try:
        bounds = part().bounds
    except TypeError:
        return "by option"
    return console.span(bounds)


def _first_line(part: type[Part]) -> str:
    return (inspect.getdoc(part) or "").split("\n", 1)[0]


def _option(option: Field[Any]) -> tuple[str, str, str]:
    default = option.default
    if option.default_factory is not MISSING:
        default = option.default_factory()
    kind = option.type if isinstance(option.type, str) else inspect.formatannotation(option.type)
    return option.name, kind, "must be given" if default is MISSING else repr(default)
