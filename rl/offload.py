"""Keeping in the CPU's memory what the accelerator does not need at the moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def lent(
    module: nn.Module | None,
    optimizer: torch.optim.Optimizer | None,
    *,
    to: torch.device,
    offload: bool,
) -> Iterator[None]:
    """With `offload`, brings module and optimiser state to the device and takes them back to the CPU at the end.

    Without it, and on a machine that has only a CPU, nothing moves.
    """
    if not offload or to.type == "cpu":
        yield
        return
    _move(module, optimizer, to)
    try:
        yield
    finally:
        _move(module, optimizer, torch.device("cpu"))
        if to.type == "cuda":
            torch.cuda.empty_cache()  # or the sampler in this process could not have what was freed


def _move(module: nn.Module | None, optimizer: torch.optim.Optimizer | None, device: torch.device) -> None:
    if module is not None:
        module.to(device)
    if optimizer is not None:
        move_states(optimizer, device)


def move_states(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Moves what the optimiser remembers of each parameter; parameters and gradients stay where they are.

    The step counter of an optimiser that is not fused stays on the CPU, where torch wants it.
    """
    for group in optimizer.param_groups:
        for state in (optimizer.state.get(parameter, {}) for parameter in group["params"]):
            moved = {name: value for name, value in state.items() if name != "step" or group.get("fused")}
            state.update(
                {name: value.to(device) for name, value in moved.items() if isinstance(value, Tensor)}
            )
