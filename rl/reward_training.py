"""Training a reward model from preference pairs: processes, pairs, model, loop, saved model."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from proctor.rl.algorithms.losses import preference_loss
from proctor.rl.preferences import Pair, fingerprint, read_pairs
from proctor.rl.prompts import Skipped
from proctor.rl.recompute import recomputing
from proctor.rl.reward_model import RewardModel
from proctor.sft import loop, metrics
from proctor.sft.config import ConfigError, Section, make_output
from proctor.sft.course import Course
from proctor.sft.display import note
from proctor.sft.evaluate import Evaluation
from proctor.sft.optimizer import make_optimizer, set_learning_rate
from proctor.sft.parallel import Plain
from proctor.sft.saving import Saver, write_result
from proctor.sft.settings import OptimizerSettings, Precision, RunSettings
from proctor.sft.step import StepResult

_SHOWN = 5  # of the rows left out


class PreferenceSettings(Section):
    """[data] and what is done with it."""

    train: tuple[str, ...] = Field(
        (), description="Files of pairs: prompt (text or messages), chosen, rejected, and margin if known."
    )
    held_back: float = Field(0.1, ge=0, lt=1, description="Share of the pairs that accuracy is measured on.")
    max_tokens: int = Field(2048, ge=2, description="Longest sequence; longer completions are cut.")


class TrainingSettings(RunSettings):
    """[run] of a reward model."""

    model: str = Field("", description="Model that it starts from, usually the SFT model; required.")
    output: Path = Field(Path("runs/rm"), description="Folder of checkpoints, metrics and the reward model.")
    batch_size: int = Field(32, ge=1, description="Pairs of an optimiser step.")
    micro_batch: int = Field(8, ge=1, description="Pairs of one forward.")
    centre: float = Field(0.01, ge=0, description="Weight of (chosen + rejected)^2, which centres scores.")
    evaluate_every: int = Field(0, ge=0, description="Steps between evaluations; 0: only at the end.")
    precision: Precision = Field(
        "auto", description="Arithmetic: auto is bfloat16 where the accelerator has it, else float32."
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute layers again in the backward pass: less memory, a third more time."
    )


class RMConfig(Section):
    """Every key of `proctor rm CONFIG.toml`."""

    data: PreferenceSettings = Field(default_factory=PreferenceSettings)
    run: TrainingSettings = Field(default_factory=TrainingSettings)
    optimizer: OptimizerSettings = Field(default_factory=OptimizerSettings)


@dataclass(frozen=True, slots=True)
class Trained:
    """What training came to."""

    path: Path  # the reward model; the newest checkpoint where the run was interrupted
    before: loop.Numbers  # of held-back pairs; empty where none were held back, or the run was resumed
    after: loop.Numbers  # the same once more; empty where the run was interrupted
    skipped: list[Skipped]
    is_interrupted: bool = False


def train_reward_model(config: RMConfig) -> Trained:
    """Trains and saves, or goes on where an interrupted run stopped. Under torchrun on several processes.

    Raises ConfigError, InputError for what cannot be used.
    """
    for name, value in (("run.model", config.run.model), ("data.train", config.data.train)):
        if not value:
            raise ConfigError(f"'{name}' is required and has no value; set it or pass --{name}")
    transformers_logging.disable_progress_bar()
    torch.manual_seed(config.run.seed)
    workers = Plain(precision=config.run.precision, clip=config.optimizer.clip)
    model = RewardModel.load(
        config.run.model, key="run.model", max_tokens=config.data.max_tokens, device=workers.device
    )
    if config.run.gradient_checkpointing:
        model.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    pairs, skipped = read_pairs(config.data.train, model)
    if skipped and workers.rank == 0:
        _show(skipped)
    held_back, training = _split(pairs, config)
    make_output(config.run.output)
    workers.prepare(model, make_optimizer(model, config.optimizer))
    course = Course(
        training,
        config.run,
        config.optimizer,
        batch_size=config.run.batch_size,
        num_processes=workers.num_processes,
    )
    stages = loop.Stages(
        step=lambda number: _step(
            workers, model, course.batch(number), config.run, rate=course.learning_rate(number)
        ),
        evaluate=lambda: _evaluate(workers, model, held_back, config.run),
        total=workers.total,
    )
    saver = Saver(config.run, model, workers, model.tokenizer, data=fingerprint(training))
    start = saver.resume()
    rhythm = loop.Rhythm(evaluate_every=config.run.evaluate_every, save_every=config.run.save_every)
    with metrics.open_log(config.run, start) if workers.rank == 0 else nullcontext() as log:
        before = {} if start else loop.evaluate(stages, log, step=0)
        progress = loop.run(stages, course, saver, log, rhythm, start=start)
    if progress.is_interrupted and progress.checkpoint:
        return Trained(progress.checkpoint, before, {}, skipped, is_interrupted=True)
    path = config.run.output / "model"
    write_result(path, model, workers, model.tokenizer)
    return Trained(path, before, progress.evaluation, skipped)


def _show(skipped: Sequence[Skipped]) -> None:
    note(f"{len(skipped)} rows are left out:")
    for each in skipped[:_SHOWN]:
        note(f"  {each}")


def _split(pairs: Sequence[Pair], config: RMConfig) -> tuple[list[Pair], list[Pair]]:
    """Pairs held back, and pairs to train on: a draw that the seed decides."""
    drawn = random.Random(config.run.seed).sample(pairs, len(pairs))
    cut = round(config.data.held_back * len(drawn))
    if cut == len(drawn):
        raise ConfigError(
            f"data.held_back = {config.data.held_back:g} leaves none of {len(drawn)} pairs to train on; lower it"
        )
    return drawn[:cut], drawn[cut:]


def _step(
    workers: Plain, model: RewardModel, batch: Sequence[Pair], run: TrainingSettings, *, rate: float
) -> StepResult:
    """One update by a global batch, the same list on every process."""
    set_learning_rate(workers.optimizer, rate)
    parts = list(_parts(batch[workers.rank :: workers.num_processes], run.micro_batch))
    loss, tokens, positions = 0.0, 0, 0
    with recomputing(model):
        for place, part in enumerate(parts):
            value = _loss(workers.module, part, run) * len(part) / len(batch)
            workers.accumulate(value, is_last=place == len(parts) - 1)
            lengths = [len(row) for pair in part for row in (pair.chosen, pair.rejected)]
            loss, tokens = loss + float(value.detach()), tokens + sum(lengths)
            positions += len(lengths) * max(lengths)
    grad_norm = workers.step()
    loss, *counts = workers.total([loss, tokens, positions])
    return StepResult(loss, grad_norm, int(counts[0]), 2 * len(batch), int(counts[1]))


def _loss(module: nn.Module, pairs: Sequence[Pair], run: TrainingSettings) -> Tensor:
    scores = module([*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs)])
    chosen, rejected = scores.split(len(pairs))
    margin = torch.tensor([pair.margin for pair in pairs], device=scores.device)
    return preference_loss(chosen, rejected, margin=margin, centre_coef=run.centre)


@torch.no_grad()
def _evaluate(
    workers: Plain, model: RewardModel, pairs: Sequence[Pair], run: TrainingSettings
) -> Evaluation | None:
    """Over pairs that were not trained on; None without any.

    accuracy: share in which the chosen answer has the higher score; a tie is half. mean_lead: of the chosen
    over the rejected. mean_score: near 0 where centring works.
    """
    if not pairs:
        return None
    sums = torch.zeros(4, dtype=torch.float64)
    for part in _parts(pairs[workers.rank :: workers.num_processes], run.micro_batch):
        scores = model([*(pair.chosen for pair in part), *(pair.rejected for pair in part)]).double().cpu()
        lead = scores[: len(part)] - scores[len(part) :]
        margin = torch.tensor([pair.margin for pair in part], dtype=torch.float64)
        right = (lead > 0).double() + 0.5 * (lead == 0).double()
        loss = preference_loss(*scores.split(len(part)), margin=margin, centre_coef=run.centre) * len(part)
        sums += torch.stack([right.sum(), loss, lead.sum(), scores.sum() / 2])
    names = ("accuracy", "loss", "mean_lead", "mean_score")
    totals = workers.total(sums.tolist())
    means = {name: total / len(pairs) for name, total in zip(names, totals, strict=True)}
    return Evaluation({**means, "pairs": len(pairs)})


def _parts(pairs: Sequence[Pair], size: int) -> Iterator[Sequence[Pair]]:
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size]
