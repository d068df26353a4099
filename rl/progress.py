"""Where a run stands, but for its tensors: what of a checkpoint is JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any

from proctor.rl.algorithms.kl import AdaptiveKL, FixedKL
from proctor.rl.guard import Guard
from proctor.rl.ledger import Ledger
from proctor.rl.prompts import Deck
from proctor.rl.settings import GuardSettings


@dataclass(slots=True)
class Progress:
    """All that a run must remember to go on with the same numbers, beside `state.py`."""

    deck: Deck
    kl: FixedKL | AdaptiveKL
    data: str  # fingerprint of the prompts
    limits: InitVar[GuardSettings]
    guard: Guard = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    step: int = 0  # updates done
    incidents: int = 0  # times the guard tripped
    rate_scale: float = 1.0  # of the learning rate, lowered by incidents

    def __post_init__(self, limits: GuardSettings) -> None:
        self.guard = Guard(limits)

    def to_json(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "step": self.step,
            "dealt": self.deck.dealt,
            "kl_coef": self.kl.coef,
            "ledger": self.ledger.to_json(),
            "incidents": self.incidents,
            "rate_scale": self.rate_scale,
            "guard": self.guard.to_json(),
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        self.step = data["step"]
        self.deck.dealt = data["dealt"]
        # A fixed coefficient is the config's, which may have been changed since; from 0 nothing can be steered.
        if isinstance(self.kl, AdaptiveKL) and data["kl_coef"]:
            self.kl.coef = data["kl_coef"]
        self.ledger = Ledger.from_json(data["ledger"])
        self.incidents = data["incidents"]
        self.rate_scale = data["rate_scale"]
        self.guard.restore(data["guard"])
