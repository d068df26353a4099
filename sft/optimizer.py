"""AdamW's parameter groups and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from proctor.sft.settings import OptimizerSettings


def make_optimizer(module: nn.Module, settings: OptimizerSettings) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; matrices decay, biases, norms and other vectors do not."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("no parameter of the model requires a gradient")
    # ZeRO-3 empties a parameter on the processes that do not hold it; `ds_shape` keeps what it was.
    dimensions = [len(getattr(parameter, "ds_shape", parameter.shape)) for parameter in trained]
    groups = [
        {
            "params": [p for p, size in zip(trained, dimensions, strict=True) if size >= 2],
            "weight_decay": settings.weight_decay,
        },
        {
            "params": [p for p, size in zip(trained, dimensions, strict=True) if size < 2],
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        fused=all(parameter.is_floating_point() for parameter in trained),  # one kernel; a third of the time
    )


def learning_rate(step: int, num_steps: int, settings: OptimizerSettings) -> float:
    """The rate of step 0 <= step < num_steps: a linear rise, then half a cosine down to the least.

    lr = peak * (step + 1) / warmup while step < warmup, then
    least + (peak - least) * (1 + cos(pi * (step - warmup) / (num_steps - warmup))) / 2.
    """
    warmup = settings.warmup_steps
    if warmup is None:
        warmup = math.ceil(settings.warmup_share * num_steps)
    peak = settings.learning_rate
    if step < warmup:
        return peak * (step + 1) / warmup
    least = peak * settings.min_learning_rate_share
    progress = (step - warmup) / max(1, num_steps - warmup)
    return least + (peak - least) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


@contextmanager
def own_settings(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Inside, a saved state may be loaded; rate, betas, epsilon and decay stay those that this run was given.

    torch puts back what the writing run had: a config that was changed before resuming would have no effect.
    """
    given = [
        {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
    ]
    yield
    for group, settings in zip(optimizer.param_groups, given, strict=True):
        group.update(settings)
