"""What Python says of a class (`__bases__`, its signature ...), which of a program's class is asked for there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proctor.sandbox.exam.bounds import MAX_NAMES


def own_names(kind: type) -> Mapping[str, Any]:
    """What a stand-in has itself; `vars` would ask the program."""
    found: Mapping[str, Any] = type.__dict__["__dict__"].__get__(kind)
    return found


def fact(name: str) -> Any:
    """An attribute of the stand-ins of classes. What these derive from here is no class of a program."""
    real = type.__dict__.get(name)

    def get(cls: Any) -> Any:
        if "_proctor_class" in own_names(cls):
            return cls._proctor_examinee.ask("get", cls, name)
        return real.__get__(cls) if real is not None else ()

    return property(get)


def fields_of(name: str, told: object) -> Mapping[str, Any]:
    """The fields of a dataclass, as the standard library keeps them. Raises TypeError for what are none."""
    if type(told) is not list or len(told) > MAX_NAMES:
        raise TypeError(f"class '{name}' of the candidate has too many fields")
    found: Mapping[str, Any] = vars(dataclasses.make_dataclass("Fields", told))["__dataclass_fields__"]
    return found


def signature(ask: Callable[[], Any]) -> Any:
    """The parameters of a method or a class. Raises AttributeError where the program has told of none."""
    import inspect  # heavy, and rarely needed

    try:
        parts, _, _, returned = ask()
        return inspect.Signature(
            [_parameter(*part) for part in parts[:MAX_NAMES]], **_word("return_", returned)
        )
    except (TypeError, ValueError, LookupError) as error:
        raise AttributeError("__signature__") from error


def _parameter(name: str, kind: int, default: Sequence[Any], annotation: Sequence[Any], *rest: object) -> Any:
    import inspect

    how = {"default": default[0]} if default else {}
    return inspect.Parameter(name, inspect._ParameterKind(kind), **how, **_word("", annotation))


def _word(which: str, given: Sequence[Any]) -> dict[str, Any]:
    return {f"{which}annotation": given[0]} if given else {}
