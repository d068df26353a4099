"""The reward parts by name. A decorator fills the table; an unknown name answers with the nearest."""

from __future__ import annotations

import difflib
from typing import TypeVar

from proctor.verifiers.part import Part

PartType = TypeVar("PartType", bound=type[Part])

_PARTS: dict[str, type[Part]] = {}


def register(part: PartType) -> PartType:
    """Class decorator: makes a part known under its `name`. Raises ValueError where the name is taken."""
    known = _PARTS.setdefault(part.name, part)
    if known is not part and known.__qualname__ != part.__qualname__:
        raise ValueError(f"reward part '{part.name}' is already defined by {known.__module__}")
    return part


def find(name: str) -> type[Part]:
    """The part of that name. Raises KeyError with the nearest known name."""
    if name in _PARTS:
        return _PARTS[name]
    near = difflib.get_close_matches(name, _PARTS, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    raise KeyError(f"unknown part '{name}'{hint}; 'proctor rewards' lists all parts.")


def parts() -> dict[str, type[Part]]:
    """All known parts by name."""
    return dict(_PARTS)
