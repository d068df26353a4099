"""Options of a part, as a call gives them: names and types checked, each mistake with its own message."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any, cast

from proctor.verifiers.expressions.literals import write_literal
from proctor.verifiers.part import Part
from proctor.verifiers.spelling import did_you_mean


def option_names(part: type[Part]) -> list[str]:
    """Options in order: that of the arguments without a name."""
    return [option.name for option in fields(cast(Any, part)) if option.init]


def unknown_shape(part: type[Part], name: str) -> str:
    """What to say of `name(...)` as the first argument of a part that has no such shape."""
    known = ", ".join(part.shapes) or "none"
    return f"{part.name} knows no '{name}(...)'{did_you_mean(name, part.shapes)}; known: {known}"


def missing_options(part: type[Part], given: Mapping[str, object]) -> list[str]:
    """Options that have no default and were not given."""
    return [
        option.name
        for option in fields(cast(Any, part))
        if option.init
        and option.default is MISSING
        and option.default_factory is MISSING
        and option.name not in given
    ]


def check_option(part: type[Part], name: str, value: object) -> Any:
    """The value as the option's annotation wants it (2 becomes 2.0 for a float, a list becomes a tuple).

    Raises ValueError where the part has no such option, or the value does not fit it.
    """
    known = option_names(part)
    if name not in known:
        listed = ", ".join(known) if known else "none"
        raise ValueError(
            f"{part.name} has no option '{name}'{did_you_mean(name, known)}; its options: {listed}"
        )
    hint = typing.get_type_hints(part)[name]
    try:
        return _fit(value, hint)
    except TypeError as error:
        wanted = _describe(hint)
        near = did_you_mean(value, _choices(hint)) if isinstance(value, str) else ""
        raise ValueError(
            f"option '{name}' of {part.name} must be {wanted}, got {write_literal(value)}{near}"
        ) from error


def check_given(part: Part) -> None:
    """Holds the options that a part was given in Python against their annotations; defaults are its author's.

    Raises ValueError: `Format("boxd")` would score another shape, and never say so.
    """
    for option in fields(cast(Any, part)):
        default = option.default_factory() if option.default_factory is not MISSING else option.default
        value = getattr(part, option.name)
        if option.init and (default is MISSING or value != default):
            check_option(type(part), option.name, value)


def takes_several(part: type[Part], name: str) -> bool:
    """Whether the option is a list or tuple, so that `xml("a", "b")` fills it with both."""
    return typing.get_origin(typing.get_type_hints(part)[name]) in (tuple, list, Sequence)


def _fit(value: Any, hint: Any) -> Any:
    """The value converted to what the annotation says. Raises TypeError where it does not fit."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _fit_any(value, args)
    if origin is typing.Literal:
        return _chosen(value, args)
    if origin in (tuple, list, Sequence):
        if not isinstance(value, (list, tuple)):
            raise TypeError
        if origin is tuple and args[-1] is not Ellipsis:
            if len(args) != len(value):
                raise TypeError
            return tuple(_fit(item, arg) for item, arg in zip(value, args, strict=True))
        items = [_fit(item, args[0]) for item in value]
        return items if origin is list else tuple(items)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return (
            value if isinstance(value, hint) else hint(_chosen(value, tuple(member.value for member in hint)))
        )
    return _fit_plain(value, origin or hint)


def _fit_plain(value: Any, hint: Any) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) and hint is not bool:  # True is an int to Python, and a mistake to people
        raise TypeError
    if not isinstance(value, hint):
        raise TypeError
    return value


def _fit_any(value: Any, hints: tuple[Any, ...]) -> Any:
    exact = [hint for hint in hints if isinstance(hint, type) and type(value) is hint]
    for hint in (*exact, *hints):
        try:
            return _fit(value, hint)
        except TypeError:
            continue
    raise TypeError


def _chosen(value: Any, choices: tuple[Any, ...]) -> Any:
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        raise TypeError
    return value


def _choices(hint: Any) -> list[str]:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [str(member.value) for member in hint]
    args = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return [choice for choice in args if isinstance(choice, str)]
    return [choice for inner in args for choice in _choices(inner)]


_WORDS: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    str: "text in quotes",
    bool: "True or False",
    type(None): "None",
    dict: "a dict",
    Mapping: "a dict",
}


def _describe(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_describe, args))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(write_literal, args))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(write_literal(member.value) for member in hint)
    if origin is tuple and args[-1] is not Ellipsis:
        return f"({', '.join(map(_describe, args))})"
    if origin in (tuple, list, Sequence):
        return f"a list, each {_describe(args[0])}"
    return _WORDS.get(origin or hint, getattr(hint, "__name__", str(hint)))
