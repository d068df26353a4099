"""The two tables that algorithms are made from: advantages and policy losses. A decorator fills each."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Tensor])

ADVANTAGES: dict[str, Callable[..., Tensor]] = {}
LOSSES: dict[str, Callable[..., Tensor]] = {}


def advantage(name: str) -> Callable[[Function], Function]:
    """Makes `f(rewards (B,), groups (B,), *, lengths (B,), **options) -> (B,)` known under a name."""
    return _entering(ADVANTAGES, name)


def policy_loss(name: str) -> Callable[[Function], Function]:
    """Makes `f(logp, old_logp, advantages, mask, **options) -> token losses` (B, T) known under a name."""
    return _entering(LOSSES, name)


def find(table: dict[str, Callable[..., Tensor]], name: str) -> Callable[..., Tensor]:
    """The function of that name. Raises KeyError with the known names and the nearest."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    raise KeyError(f"unknown '{name}'{hint}; known: {', '.join(sorted(table))}")


def _entering(table: dict[str, Callable[..., Tensor]], name: str) -> Callable[[Function], Function]:
    def enter(function: Function) -> Function:
        if name in table and table[name].__qualname__ != function.__qualname__:
            raise ValueError(f"'{name}' is already defined by {table[name].__module__}")
        table[name] = function
        return function

    return enter
