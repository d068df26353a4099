"""The loop of a training run: step, log, evaluate, save; Ctrl-C ends it after the step, with a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proctor.sft import display
from proctor.sft.course import Course
from proctor.sft.evaluate import Evaluation
from proctor.sft.interruption import interruptible
from proctor.sft.metrics import MetricsLog
from proctor.sft.saving import Saver
from proctor.sft.step import StepResult

Numbers = Mapping[str, float | int | str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What the loop calls, each on every process."""

    step: Callable[[int], StepResult]  # the optimisation step of that number, from 0
    evaluate: Callable[[], Evaluation | None]
    total: Callable[[Sequence[float]], list[float]]  # each value summed over the processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """When the loop does what; 0: only at the end."""

    evaluate_every: int = 0
    save_every: int = 0
    show: int = 3  # generations to print


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    step: int = 0  # steps done
    loss: float | None = None  # of the last step taken here; None: there was none to take
    evaluation: Numbers = field(default_factory=dict)  # the latest
    is_interrupted: bool = False
    checkpoint: Path | None = None  # the latest written


def run(
    stages: Stages, course: Course[Any], saver: Saver, log: MetricsLog | None, rhythm: Rhythm, *, start: int
) -> Progress:
    """Trains from step `start` to the end of the course, or to an interruption. log: on one process only.

    Raises ConfigError at a step whose loss is no finite number: no checkpoint has it.
    """
    done = Progress(start)
    if start and log:
        display.note(f"going on after step {start}")
    with interruptible() as wish, display.progress(course.num_steps, start, visible=log is not None) as show:
        while done.step < course.num_steps:
            began = time.perf_counter()
            result = stages.step(done.step)
            result.require_finite(done.step + 1, rate=course.learning_rate(done.step))
            numbers = _numbers(result, course, done.step, time.perf_counter() - began)
            done.step, done.loss = done.step + 1, result.loss
            if log:
                log.write(done.step, numbers)
            show(done.step, numbers)
            is_last = done.step == course.num_steps
            measured: Numbers = {}  # of these very weights
            if is_last or _is_due(rhythm.evaluate_every, done.step):
                measured = done.evaluation = evaluate(stages, log, step=done.step, show=rhythm.show)
            done.is_interrupted = stages.total([wish.is_wanted])[0] > 0 and not is_last
            if is_last or done.is_interrupted or _is_due(rhythm.save_every, done.step):
                metric = measured.get("loss")
                done.checkpoint = saver.save(done.step, metric=None if metric is None else float(metric))
            if done.is_interrupted:
                break
    if done.is_interrupted and log:
        display.note(
            f"interrupted after step {done.step}; to go on, run the same command (not with run.resume = false)"
        )
    return done


def evaluate(stages: Stages, log: MetricsLog | None, *, step: int, show: int = 0) -> Numbers:
    """The numbers of an evaluation after `step` steps, logged and shown; empty where there is nothing to measure."""
    evaluation = stages.evaluate()
    if evaluation is None:
        return {}
    if log:
        log.write(step, evaluation.numbers, kind="evaluation")
        display.show_evaluation(step, evaluation, show)
    return evaluation.numbers


def _is_due(every: int, step: int) -> bool:
    return bool(every) and step % every == 0


def _numbers(result: StepResult, course: Course[Any], step: int, seconds: float) -> dict[str, float]:
    return {
        "loss": result.loss,
        "learning_rate": course.learning_rate(step),
        "grad_norm": result.grad_norm,
        "epoch": round(course.epoch_at(step + 1), 4),
        "tokens": result.num_tokens,
        "trained_tokens": result.num_trained,
        "padding_share": round(result.padding_share, 4),
        "tokens_per_second": result.num_tokens / seconds,
        "seconds": seconds,
    }
