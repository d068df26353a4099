"""The reward parts by name. A decorator fills the table; an unknown name answers with the nearest."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TypeVar

from proctor.verifiers.core import COLUMNS
from proctor.verifiers.nodes import FUNCTIONS
from proctor.verifiers.part import Part
from proctor.verifiers.spelling import did_you_mean

PartType = TypeVar("PartType", bound=type[Part])

# Where the parts that ship are defined; a new one is one file, one test file and one line here.
_MODULES = (
    "proctor.verifiers.answers",
    "proctor.verifiers.programs.part",
    "proctor.verifiers.size",
    "proctor.verifiers.form",
    "proctor.verifiers.answer_shown",
    "proctor.verifiers.length",
    "proctor.verifiers.wording",
    "proctor.verifiers.language",
    "proctor.verifiers.steps.part",
    "proctor.rl.learned",  # of a layer above, and so known by name alone; it loads torch when it is used
)
_PARTS: dict[str, type[Part]] = {}
_loaded = False


def register(part: PartType) -> PartType:
    """Class decorator: makes a part known under its `name`.

    Raises ValueError where the name is taken or is no identifier, TypeError where the class is no frozen
    dataclass. The same definition may come twice (a notebook cell, a reloaded module): the newer stands.
    """
    parameters = part.__dict__.get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        raise TypeError(f"{part.__qualname__}: write @dataclass(frozen=True) under @register")
    if not part.name.isidentifier() or part.name in FUNCTIONS or part.name in COLUMNS:
        raise ValueError(f"a reward part cannot be called '{part.name}'")
    # Those that ship come first: else a user's own `math` would be taken, and no expression could be read after it.
    is_ours = part.__module__.startswith("proctor.")
    known = (_PARTS if is_ours else parts()).get(part.name)
    if known is not None and (known.__module__, known.__qualname__) != (part.__module__, part.__qualname__):
        raise ValueError(f"reward part '{part.name}' is already defined by {known.__module__}")
    _PARTS[part.name] = part
    return part


def find(name: str) -> type[Part]:
    """The part of that name. Raises KeyError with the nearest known name."""
    known = parts()
    if name in known:
        return known[name]
    raise KeyError(unknown_part(name))


def unknown_part(name: str, others: Iterable[str] = ()) -> str:
    """What to say where no part has that name. others: what else it may have been meant to be."""
    near = did_you_mean(name, [*parts(), *others])
    return f"unknown part '{name}'{near}; 'proctor rewards' lists all parts"


def parts() -> dict[str, type[Part]]:
    """All known parts by name."""
    global _loaded
    if not _loaded:
        for module in _MODULES:
            import_module(module)
        _loaded = True
    return dict(_PARTS)
