"""Training a reward model from preference pairs: read, train, and measure on pairs held back."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from pydantic import Field
from torch import nn
from transformers.utils import logging as transformers_logging

from proctor.rl.algorithms.losses import preference_loss
from proctor.rl.prompts import Skipped
from proctor.rl.reward_model import RewardModel
from proctor.sft.config import ConfigError, Section, make_output
from proctor.sft.optimizer import learning_rate, make_optimizer, set_learning_rate
from proctor.sft.settings import OptimizerSettings
from proctor.verifiers.files.rows import Columns, RowError, text_of
from proctor.verifiers.files.sources import BadRow, InputError, Row, Source

_PROMPT = Columns({"completion": "completion", "prompt": "prompt"})


class PreferenceSettings(Section):
    """[data] and what is done with it."""

    train: tuple[str, ...] = Field(
        (), description="Files of pairs: prompt (text or messages), chosen, rejected, and margin if known."
    )
    held_back: float = Field(0.1, ge=0, lt=1, description="Share of the pairs that accuracy is measured on.")
    max_tokens: int = Field(2048, ge=2, description="Longest sequence; longer completions are cut.")


class TrainingSettings(Section):
    """[run]"""

    model: str = Field("", description="Model that it starts from, usually the SFT model; required.")
    output: Path = Field(Path("runs/rm"), description="Folder of the reward model and its metrics.")
    epochs: int = Field(1, ge=1, description="Passes over the pairs.")
    batch_size: int = Field(32, ge=1, description="Pairs of an optimiser step.")
    micro_batch: int = Field(8, ge=1, description="Pairs of one forward.")
    centre: float = Field(0.01, ge=0, description="Weight of (chosen + rejected)^2, which centres scores.")
    seed: int = Field(0, description="Seed of the split, the order and the head.")


class RMConfig(Section):
    """Every key of `proctor rm CONFIG.toml`."""

    data: PreferenceSettings = Field(default_factory=PreferenceSettings)
    run: TrainingSettings = Field(default_factory=TrainingSettings)
    optimizer: OptimizerSettings = Field(default_factory=OptimizerSettings)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to a prompt as tokens, the better one first."""

    chosen: tuple[int, ...]
    rejected: tuple[int, ...]
    margin: float = 0.0  # how much better, in score


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of held-back pairs in which the chosen answer has the higher score; a tie is half."""

    value: float
    num_pairs: int
    mean_lead: float  # of the chosen over the rejected, in score
    mean_score: float  # near 0 where centring works

    def to_json(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Trained:
    """What training came to."""

    path: Path
    before: Accuracy | None
    after: Accuracy | None
    skipped: list[Skipped]


def train_reward_model(
    config: RMConfig, *, watch: Callable[[int, int, float], None] = lambda step, steps, loss: None
) -> Trained:
    """Trains and saves; `watch` is told step, steps and loss. Raises ConfigError, InputError."""
    for name, value in (("run.model", config.run.model), ("data.train", config.data.train)):
        if not value:
            raise ConfigError(f"'{name}' is required and has no value; set it or pass --{name}")
    transformers_logging.disable_progress_bar()
    torch.manual_seed(config.run.seed)
    model = RewardModel.load(config.run.model, key="run.model", max_tokens=config.data.max_tokens)
    pairs, skipped = read_pairs(config.data.train, model)
    random.Random(config.run.seed).shuffle(pairs)
    cut = round(config.data.held_back * len(pairs))
    held_back, training = pairs[:cut], pairs[cut:]
    if not training:
        raise ConfigError(
            f"data.held_back = {config.data.held_back:g} leaves none of {len(pairs)} pairs to train on; lower it"
        )
    make_output(config.run.output)
    before = accuracy(model, held_back)
    losses = _fit(config, model, training, watch)
    after = accuracy(model, held_back)
    path = config.run.output / "model"
    model.save(path)
    metrics = {
        "losses": losses,
        "before": before and before.to_json(),
        "after": after and after.to_json(),
        "pairs": len(training),
    }
    (config.run.output / "metrics.json").write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    return Trained(path, before, after, skipped)


def read_pairs(paths: Sequence[str], model: RewardModel) -> tuple[list[Pair], list[Skipped]]:
    """All pairs in order, and the rows that could not be used. Raises InputError where none could."""
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    for path, row in ((name, row) for name in paths for row in Source(name)):
        try:
            pairs.append(_pair(row, model))
        except RowError as error:
            skipped.append(Skipped(path, row.number, str(error)))
    if not pairs:
        raise InputError(f"no usable pair in {', '.join(paths)}: {skipped[0] if skipped else 'no rows'}")
    return pairs, skipped


def _pair(given: Row | BadRow, model: RewardModel) -> Pair:
    if isinstance(given, BadRow):
        raise RowError(given.reason)
    row = given.data
    missing = [name for name in ("prompt", "chosen", "rejected") if not row.get(name)]
    if missing:
        raise RowError(f"no {' and no '.join(missing)}; a pair has prompt, chosen and rejected")
    prompt = _PROMPT.rollout({"completion": "", **row}).prompt
    chosen, rejected = (model.token_ids(prompt, _text(row[name])) for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise RowError("chosen and rejected are the same")
    return Pair(chosen, rejected, _margin(row.get("margin")))


def _margin(given: Any) -> float:
    """A number, or text that is one; 0 where there is none."""
    try:
        margin = float(0.0 if given is None else given)
    except (TypeError, ValueError) as error:
        raise RowError(f"margin is no number: {given!r}") from error
    if not math.isfinite(margin):
        raise RowError(f"margin is no finite number: {given!r}")
    return margin


def _text(answer: Any) -> str:
    """An answer as text, or as messages, of which the last is the answer."""
    try:
        text = text_of(answer[-1] if isinstance(answer, list) and answer else answer)
    except TypeError as error:
        raise RowError("chosen and rejected are text, or messages that end with the answer") from error
    if not text:
        raise RowError("chosen and rejected must not be empty")
    return text


def accuracy(model: RewardModel, pairs: Sequence[Pair]) -> Accuracy | None:
    """Over pairs that were not trained on; None without any."""
    if not pairs:
        return None
    scores = model.scores([*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs)])
    leads = [high - low for high, low in zip(scores[: len(pairs)], scores[len(pairs) :], strict=True)]
    right = fmean(1.0 if lead > 0 else 0.5 if lead == 0 else 0.0 for lead in leads)
    return Accuracy(right, len(pairs), fmean(leads), fmean(scores))


def _fit(
    config: RMConfig,
    model: RewardModel,
    pairs: Sequence[Pair],
    watch: Callable[[int, int, float], None],
) -> list[float]:
    """Trains in place; the loss of every step."""
    settings, order = config.run, random.Random(config.run.seed)
    optimizer = make_optimizer(model, config.optimizer)
    size = settings.batch_size
    num_steps = settings.epochs * -(-len(pairs) // size)
    losses: list[float] = []
    for _ in range(settings.epochs):
        shuffled = order.sample(list(pairs), len(pairs))
        for start in range(0, len(shuffled), size):
            set_learning_rate(optimizer, learning_rate(len(losses), num_steps, config.optimizer))
            losses.append(_accumulate(model, shuffled[start : start + size], settings))
            if not math.isfinite(losses[-1]):
                raise ConfigError(
                    f"the loss of step {len(losses)} is {losses[-1]}: optimizer.learning_rate = "
                    f"{config.optimizer.learning_rate:g} is too high for this model; nothing is saved"
                )
            nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip or float("inf"))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            watch(len(losses), num_steps, losses[-1])
    return losses


def _accumulate(model: RewardModel, batch: Sequence[Pair], settings: TrainingSettings) -> float:
    """Backward over a step's pairs in parts that add up; the loss."""
    total = 0.0
    for start in range(0, len(batch), settings.micro_batch):
        part = batch[start : start + settings.micro_batch]
        scores = model([*(pair.chosen for pair in part), *(pair.rejected for pair in part)])
        chosen, rejected = scores.split(len(part))
        margin = torch.tensor([pair.margin for pair in part], device=scores.device)
        loss = preference_loss(chosen, rejected, margin=margin, centre_coef=settings.centre)
        loss = loss * len(part) / len(batch)
        loss.backward()
        total += float(loss.detach())
    return total
