"""The SFT warm start, top to bottom: processes, data, proof, model, loop, saved model."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from proctor.sft import attention, dataset, display, evaluate, learner, loop, losses, metrics, saving, step
from proctor.sft.chat import Conversation
from proctor.sft.config import ConfigError
from proctor.sft.course import Course
from proctor.sft.demonstrations import load
from proctor.sft.settings import SFTConfig


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    folder: Path  # the final model; the newest checkpoint where the run was interrupted
    progress: loop.Progress
    data: dataset.Data


def train(
    config: SFTConfig,
    *,
    model: PreTrainedModel | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    conversations: Iterable[Conversation] | None = None,
) -> Result:
    """Runs the warm start that the config describes.

    model, tokenizer and conversations stand in for what the config would load. Raises MaskError before
    anything is trained where the proof fails; ConfigError or DataError for what cannot be used.
    """
    transformers_logging.disable_progress_bar()
    torch.manual_seed(config.run.seed)
    workers = learner.make_workers(config.parallel, config.model.precision, clip=config.optimizer.clip)
    data, tokenizer = load(config, model=model, tokenizer=tokenizer, conversations=conversations)
    if workers.rank == 0:
        display.show_data(data)
    data.require_proof()
    _check_shares(data, config.batch.batch_size, workers.num_processes)
    learning = learner.make_learner(config.model, config.optimizer, workers, tokenizer, model)
    if config.batch.packing and not workers.in_pieces:  # what is in pieces cannot be tried out alone
        attention.attend_in_blocks(learning.policy.base)
    loss = losses.find_loss(config.loss.kind)
    cutting = step.Cutting(config.batch.token_budget, config.batch.packing, tokenizer.pad_token_id)
    course = Course(
        data.examples,
        config.run,
        config.optimizer,
        batch_size=config.batch.batch_size,
        num_processes=workers.num_processes,
    )
    evaluator = evaluate.make_evaluator(config.evaluation, data.held_back, cutting, learning)
    stages = loop.Stages(
        step=lambda number: step.train_step(
            workers, course.batch(number), loss, cutting, rate=course.learning_rate(number)
        ),
        evaluate=lambda: evaluator.evaluate(learning),
        total=workers.total,
    )
    saver = saving.Saver(config.run, learning.policy, workers, learning.tokenizer, data=data.fingerprint)
    torch.manual_seed(config.run.seed + workers.rank)
    start = saver.resume()
    rhythm = loop.Rhythm(
        evaluate_every=config.evaluation.every, save_every=config.run.save_every, show=config.evaluation.show
    )
    with metrics.open_log(config.run, start) if learning.is_main else nullcontext() as log:
        progress = loop.run(stages, course, saver, log, rhythm, start=start)
    return Result(_finish(config, learning, progress), progress, data)


def _check_shares(data: dataset.Data, batch_size: int, num_processes: int) -> None:
    """Every process must have a row of each step and evaluation; the last evaluation may be hours away."""
    counts = {"rows to train on": len(data.training), "held-back rows": len(data.held_back) or num_processes}
    for what, count in {**counts, "rows a step (batch.batch_size)": batch_size}.items():
        if count < num_processes:
            raise ConfigError(f"{count} {what} cannot be shared out to {num_processes} processes; take fewer")


def _finish(config: SFTConfig, learning: learner.Learner, progress: loop.Progress) -> Path:
    run = config.run
    if progress.is_interrupted and progress.checkpoint:
        return progress.checkpoint
    folder = run.output / "model"
    saving.write_result(folder, learning.policy, learning.workers, learning.tokenizer)
    if run.merge and config.model.lora and learning.is_main:
        saving.write_merged(run.output / "merged", learning)
    if learning.is_main:
        display.note(f"{progress.step} steps; the model is in {folder}")
    return folder
