"""Plain data as source text, and back: text, numbers, True, False, None; lists, tuples and dicts of them."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any


class NotLiteralError(ValueError):
    """What stands where plain data was wanted; `tree` is the place."""

    def __init__(self, problem: str, tree: ast.AST) -> None:
        super().__init__(problem, tree)
        self.problem, self.tree = problem, tree

    def __str__(self) -> str:
        return self.problem


def write_literal(value: object) -> str:
    """Source of plain data, in one spelling: 1 for 1 and 1.0, double quotes, ("a",) for a tuple of one.

    Raises TypeError for what has no literal.
    """
    if isinstance(value, Enum):
        return write_literal(value.value)
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, (bool, int)):
        return repr(value)
    if isinstance(value, float) and not math.isnan(value):
        return _number(value)
    if isinstance(value, list):
        return f"[{', '.join(map(write_literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(write_literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Mapping):
        pairs = (f"{write_literal(key)}: {write_literal(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    raise TypeError(f"{value!r} cannot be written in a reward expression")


def read_literal(tree: ast.expr) -> Any:
    """The data that a piece of Python's syntax tree says. Raises NotLiteralError."""
    match tree:
        case ast.Constant(value) if value is None or isinstance(value, (bool, int, float, str)):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)) if not isinstance(value, bool):
            return -value
        case ast.List(items):
            return [read_literal(item) for item in items]
        case ast.Tuple(items):
            return tuple(read_literal(item) for item in items)
        case ast.Dict(keys, values):
            pairs = zip(keys, values, strict=True)
            return {_read_key(key, tree): read_literal(value) for key, value in pairs}
        case ast.Name(name):
            raise NotLiteralError(f'text needs quotes: "{name}"', tree)
    raise NotLiteralError(
        "plain data is wanted here: text, a number, True, False, None, a list or a dict", tree
    )


def _read_key(key: ast.expr | None, tree: ast.AST) -> str:
    value = read_literal(key) if key else None
    if not isinstance(value, str):
        raise NotLiteralError("the keys of a dict are text in quotes", key or tree)
    return value


def _number(value: float) -> str:
    if math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    # Above 1e16 the digits of an int would claim more than a float holds.
    return repr(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)


def _quoted(text: str) -> str:
    # repr escapes what does not print, lone surrogates included; only its choice of quotes is not wanted.
    shown = repr(text)
    if shown[0] == '"':
        return shown
    return '"' + shown[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
