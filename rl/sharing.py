"""What several processes share of a step: each does its part, and all get the whole, in one order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import nn

Value = TypeVar("Value")


def share(count: int, rank: int, num_processes: int) -> range:
    """Which of `count` things in a row a process does; the shares differ by one at most."""
    return range(rank * count // num_processes, (rank + 1) * count // num_processes)


def gather(value: Value, num_processes: int) -> list[Value]:
    """Every process' value, by rank. Collective; values are pickled, between processes of one run."""
    if num_processes == 1:
        return [value]
    found: list[Value | None] = [None] * num_processes
    torch.distributed.all_gather_object(found, value)
    return found  # type: ignore[return-value]


def sum_gradients(parameters: Iterable[nn.Parameter], num_processes: int) -> None:
    """Adds up the gradients of all processes, in place. Collective; a missing one counts as zero."""
    if num_processes == 1:
        return
    for parameter in parameters:
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            torch.distributed.all_reduce(parameter.grad)
