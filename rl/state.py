"""The tensors that a run must remember to go on with the same numbers, in a checkpoint's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from proctor.sft.checkpoint import random_states, restore_random_states
from proctor.sft.model import Policy
from proctor.sft.parallel import Workers
from proctor.sft.saving import fitting, read_weights, write_model


def write_state(folder: Path, policy: Policy, workers: Workers, tokenizer: Any, critic: Any = None) -> None:
    """Model (or adapter), tokenizer, optimiser, critic and random states into a checkpoint folder."""
    write_model(folder / "model", policy, workers, tokenizer)
    if critic is not None and workers.rank == 0:
        torch.save(critic.state(), folder / "critic.pt")
    workers.save(folder)
    torch.save(random_states(), folder / f"random-{workers.rank}.pt")


def read_state(folder: Path, policy: Policy, workers: Workers, critic: Any = None) -> None:
    """What `write_state` wrote, into a policy of the same shape. Raises ConfigError for another."""
    with fitting(folder):
        read_weights(folder, policy, workers)
        if critic is not None:
            critic.load(torch.load(folder / "critic.pt", map_location="cpu", weights_only=True))
        states = torch.load(folder / f"random-{workers.rank}.pt", weights_only=False)  # our own file
        restore_random_states(states)
