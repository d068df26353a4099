"""All that a run must remember to go on with the same numbers, in one checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from proctor.rl.algorithms.kl import AdaptiveKL, FixedKL
from proctor.rl.ledger import Ledger
from proctor.rl.prompts import Deck
from proctor.sft.checkpoint import random_states, restore_random_states
from proctor.sft.model import Policy
from proctor.sft.parallel import Workers
from proctor.sft.saving import fitting, read_weights, write_model


@dataclass(slots=True)
class Progress:
    """Where a run stands: small, plain, in the checkpoint's JSON."""

    deck: Deck
    kl: FixedKL | AdaptiveKL
    data: str  # fingerprint of the prompts
    ledger: Ledger = field(default_factory=Ledger)
    step: int = 0  # updates done
    incidents: int = 0  # times the guard tripped
    rate_scale: float = 1.0  # of the learning rate, lowered by incidents

    def to_json(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "step": self.step,
            "dealt": self.deck.dealt,
            "kl_coef": self.kl.coef,
            "ledger": self.ledger.to_json(),
            "incidents": self.incidents,
            "rate_scale": self.rate_scale,
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        self.step = data["step"]
        self.deck.dealt = data["dealt"]
        self.kl.coef = data["kl_coef"]
        self.ledger = Ledger.from_json(data["ledger"])
        self.incidents = data["incidents"]
        self.rate_scale = data["rate_scale"]


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
