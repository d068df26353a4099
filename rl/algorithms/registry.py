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


# Losses of which a token's value depends on the other tokens of its row; the others can be taken in chunks.
BY_SEQUENCE: set[str] = set()


def policy_loss(name: str, *, by_sequence: bool = False) -> Callable[[Function], Function]:
    """Makes `f(logp, old_logp, advantages, mask, **options) -> token losses` (B, T) known under a name.

    `by_sequence`: a token's loss depends on other tokens of its row, as with a ratio per sequence; the loss
    is then never cut into chunks.
    """
    if by_sequence:
        BY_SEQUENCE.add(name)
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
