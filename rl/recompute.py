"""Gradient checkpointing in a policy that is otherwise in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer


@contextmanager
def recomputing(module: nn.Module) -> Iterator[None]:
    """Inside, the layers that were told to checkpoint do so; dropout stays off everywhere.

    transformers checkpoints only a layer that is in training, and RL trains in evaluation mode: with dropout
    the update's log-probs would not be the sampler's. So the layers alone, and none of their parts, are told
    that they train; a layer's own dropout (OPT has one) is off for good.
    """
    layers = [
        layer
        for layer in module.modules()
        if isinstance(layer, GradientCheckpointingLayer) and layer.gradient_checkpointing
    ]
    for layer in layers:
        layer.training = True
        rates = [
            name for name, value in vars(layer).items() if "dropout" in name and isinstance(value, float)
        ]
        for name in rates:
            setattr(layer, name, 0.0)
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False
