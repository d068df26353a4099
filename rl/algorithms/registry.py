"""The two tables that algorithms are made from: advantages and policy losses. A decorator fills each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor

from proctor.verifiers.spelling import did_you_mean

Function = TypeVar("Function", bound=Callable[..., Tensor])
Clips = Callable[..., tuple[Tensor, Tensor]]

ADVANTAGES: dict[str, Callable[..., Tensor]] = {}
LOSSES: dict[str, Callable[..., Tensor]] = {}

# Advantages that compare within a group: without variation in it there is nothing to learn. The others
# compare across prompts, where a group of equal rewards still says something.
WITHIN_GROUPS: set[str] = set()
# Advantages of the reward's parts, each on its own; the others see totals.
BY_PART: set[str] = set()
# Losses of which a token's value depends on the other tokens of its row; the others can be taken in chunks.
BY_SEQUENCE: set[str] = set()
# What the losses that have a clip say of it.
_CLIPS: dict[str, Clips] = {}


def advantage(
    name: str, *, within_groups: bool = False, by_part: bool = False
) -> Callable[[Function], Function]:
    """Makes `f(rewards (B,), groups (B,), *, lengths (B,), **options) -> (B,)` known under a name.

    `within_groups`: a group of equal rewards teaches nothing. `by_part`: `rewards` are (B, K) instead, a column
    for each part of the reward that the option `weights` names, and `weights_K` (K,) are theirs.
    """
    if within_groups:
        WITHIN_GROUPS.add(name)
    if by_part:
        BY_PART.add(name)
    return _entering(ADVANTAGES, name)


def policy_loss(
    name: str, *, by_sequence: bool = False, clips: Clips | None = None
) -> Callable[[Function], Function]:
    """Makes `f(logp, old_logp, advantages, mask, **options) -> token losses` (B, T) known under a name.

    `by_sequence`: a token's loss depends on other tokens of its row, as with a ratio per sequence; the loss
    is then never cut into chunks. `clips`, called as the loss is, with all its options: which tokens it clips,
    from below and from above, two bool tensors that broadcast to (B, T); it is what the run reports.
    """
    if by_sequence:
        BY_SEQUENCE.add(name)
    if clips is not None:
        _CLIPS[name] = clips
    return _entering(LOSSES, name)


def find(table: Mapping[str, Callable[..., Tensor]], name: str) -> Callable[..., Tensor]:
    """The function of that name. Raises KeyError with the known names and the nearest."""
    if name in table:
        return table[name]
    raise KeyError(f"unknown '{name}'{did_you_mean(name, table)}; known: {', '.join(sorted(table))}")


def options_of(function: Callable[..., Tensor]) -> dict[str, Any]:
    """The keywords that a function takes, with their defaults; `inspect.Parameter.empty` where there is none."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


def clipped(
    loss: str, logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, **options: Any
) -> tuple[Tensor, Tensor] | None:
    """Sampled tokens that a loss clips, from below and from above, bool (B, T); None where it has no clip."""
    if loss not in _CLIPS:
        return None
    given = {**options_of(find(LOSSES, loss)), **options}
    low, high = _CLIPS[loss](logp.detach(), old_logp, advantages, mask, **given)
    return low & mask.bool(), high & mask.bool()


def _entering(table: dict[str, Callable[..., Tensor]], name: str) -> Callable[[Function], Function]:
    def enter(function: Function) -> Function:
        if name in table and table[name].__qualname__ != function.__qualname__:
            raise ValueError(f"'{name}' is already defined by {table[name].__module__}")
        table[name] = function
        return function

    return enter
