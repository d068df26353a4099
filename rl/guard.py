"""Watches a run for the ways in which RL goes wrong without an error, and says so in time to go back.

It sees numbers, not causes: a reward that is gamed from the first step, or a slow drift inside the bounds, it
does not notice.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import fmean, pstdev
from typing import Any

from proctor.rl.settings import GuardSettings


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the guard looks at, one step's means; NaN where a thing was not measured."""

    loss: float
    grad_norm: float
    reward: float
    correct: float  # share of rollouts that an exam found right
    kl: float  # to the reference, nats per token
    entropy: float  # nats
    gap: float  # between sampler and trainer, mean absolute, nats
    sampled_logp: float  # mean log-prob of the sampled tokens; NaN weights show here even if nothing trains


@dataclass(slots=True)
class Guard:
    """Keeps the last steps' vitals. `alarm` is asked after each step, and `forget` after a rollback."""

    settings: GuardSettings
    history: deque[Vitals] = field(default_factory=deque)
    best: float = -math.inf  # mean reward of a whole window since the start or the last rollback

    def alarm(self, vitals: Vitals) -> str | None:
        """What is wrong, in a sentence; None where nothing is."""
        self.history.append(vitals)
        while len(self.history) > 2 * self.settings.window:
            self.history.popleft()
        return self._broken(vitals) or self._out_of_bounds(vitals) or self._trend()

    def blindness(self) -> str | None:
        """Why to stop where the last window has no verdict at all. Nothing was trained: there is nothing to undo."""
        window = self.settings.window
        steps = list(self.history)[-window:]
        if len(steps) < window or _known(steps, "reward"):
            return None
        return f"no rollout of the last {window} steps has a verdict; completions.jsonl says why"

    def forget(self) -> None:
        self.history.clear()
        self.best = -math.inf

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint: a run that is resumed every few hours shall not forget how good it was."""
        return {"history": [asdict(vitals) for vitals in self.history], "best": self.best}

    def restore(self, data: Mapping[str, Any]) -> None:
        self.history = deque(Vitals(**vitals) for vitals in data["history"])
        self.best = data["best"]

    def _broken(self, vitals: Vitals) -> str | None:
        for name in ("loss", "grad_norm", "sampled_logp"):
            if not math.isfinite(getattr(vitals, name)):
                return f"{name} is {getattr(vitals, name)}"
        return None

    def _out_of_bounds(self, vitals: Vitals) -> str | None:
        limits = self.settings
        if vitals.kl > limits.max_kl:
            return f"KL to the reference is {vitals.kl:.3g} nats per token, above max_kl={limits.max_kl:g}"
        if vitals.gap > limits.max_gap:
            return f"sampler and trainer differ by {vitals.gap:.3g} nats, above max_gap={limits.max_gap:g}"
        if limits.min_entropy and vitals.entropy < limits.min_entropy:
            return f"entropy is {vitals.entropy:.3g} nats, below min_entropy={limits.min_entropy:g}"
        if limits.max_entropy and vitals.entropy > limits.max_entropy:
            return f"entropy is {vitals.entropy:.3g} nats, above max_entropy={limits.max_entropy:g}"
        return None

    def _trend(self) -> str | None:
        """Whole windows only; nothing is said before the last and the one before it are full."""
        window = self.settings.window
        steps = list(self.history)
        before, now = steps[:-window], steps[-window:]
        if len(now) == window:
            alarm = self._collapse(_known(now, "reward"))
            if alarm is not None:
                return alarm
        return self._hacking(before, now) if len(before) == window else None

    def _collapse(self, rewards: list[float]) -> str | None:
        """Compares the window's mean with the best that any had, whatever the rewards' sign.

        About zero a share of the best is nothing: the fall must also be more than one step differs from another.
        """
        if not rewards:
            return None
        mean, best = fmean(rewards), self.best
        self.best = max(best, mean)
        fall = best - mean
        if not math.isfinite(best) or fall <= max(self.settings.collapse * abs(best), pstdev(rewards)):
            return None
        return (
            f"the mean reward fell from {best:.3g} at its best to {mean:.3g} in the last {len(rewards)} steps"
        )

    def _hacking(self, before: list[Vitals], now: list[Vitals]) -> str | None:
        """Compares the last window with the one before."""
        reward_before, reward_now = (_mean(part, "reward") for part in (before, now))
        correct_before, correct_now = (_mean(part, "correct") for part in (before, now))
        fell = correct_before - correct_now > self.settings.hacking * correct_before
        if not (self.settings.hacking and reward_now > reward_before and fell):
            return None
        return (
            f"the reward rose from {reward_before:.3g} to {reward_now:.3g} while the correct share fell "
            f"from {correct_before:.3g} to {correct_now:.3g}: the reward is being gamed"
        )


def _mean(steps: list[Vitals], name: str) -> float:
    values = _known(steps, name)
    return fmean(values) if values else float("nan")


def _known(steps: list[Vitals], name: str) -> list[float]:
    return [value for vitals in steps if not math.isnan(value := getattr(vitals, name))]
