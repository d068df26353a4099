"""What `proctor train` does, without the command line: the keys, a dry run, or the training."""

from __future__ import annotations

from pathlib import Path

from proctor.rl import display
from proctor.rl.evaluate import Evaluation
from proctor.rl.memory import estimate
from proctor.rl.settings import RLConfig
from proctor.rl.setup import Run, set_up
from proctor.rl.train import Clock, collect, learn, train
from proctor.sft import display as sft_display
from proctor.sft.config import describe, load_config


def show_keys() -> None:
    """All keys of a config with defaults and meaning."""
    sft_display.show_keys(describe(RLConfig))


def dry_run(config_path: Path | None, overrides: list[str]) -> None:
    """Loads everything, prints the plan with an estimate of memory, and does one real step. Saves nothing."""
    run = set_up(load_config(RLConfig, config_path, overrides))
    _report_input(run)
    display.show_plan(_plan(run))
    run.progress.step = 1
    clock = Clock()
    run.engine.sync(run.policy.model)
    experiences = collect(run, clock)
    stats = learn(run, experiences, clock)
    parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in clock.seconds.items())
    trained = sum(step.num_tokens for step in stats)
    display.note(
        f"one step: {len(experiences)} rollouts, {trained} tokens trained in {len(stats)} updates; {parts}"
    )
    for experience in experiences[: run.config.run.show]:
        display.note(f"  {experience.text!r}: {experience.score}")


def start(config_path: Path | None, overrides: list[str]) -> Evaluation | None:
    """Trains to the end; the last evaluation. Raises InputError for what cannot be used."""
    run = set_up(load_config(RLConfig, config_path, overrides))
    if run.workers.rank != 0:  # one process talks
        return train(run)[1]
    _report_input(run)
    with display.watching(run.config.run.steps, completions=run.config.run.show) as watch:
        before, after = train(run, watch=watch)
    display.show_evaluations(before, after)
    display.note(f"ledger: {run.progress.ledger}")
    display.note(f"the trained model is {run.config.run.output / 'model'}")
    return after


def _report_input(run: Run) -> None:
    display.note(f"{len(run.problems)} prompts to train on, {len(run.evaluation)} to evaluate on")
    for skipped in run.skipped[:5]:
        display.note(f"left out: {skipped}")
    if len(run.skipped) > 5:
        display.note(f"left out: {len(run.skipped) - 5} more rows")
    for concern in run.collector.reward.check():
        display.note(f"warning: {concern}")


def _plan(run: Run) -> dict[str, str]:
    config, algorithm = run.config, run.learner.algorithm
    rollouts = config.rollouts
    return {
        "model": config.model.path,
        "reward": str(run.collector.reward),
        "algorithm": f"{config.algorithm.name}: advantage {algorithm.advantage}, loss {algorithm.loss}, "
        f"divisor {algorithm.aggregation}, KL {algorithm.kl_coef} in the {algorithm.kl_placement}",
        "step": f"{rollouts.prompts} prompts x {rollouts.samples} samples, at most "
        f"{rollouts.max_new_tokens} tokens, engine {rollouts.engine}",
        "updates": f"{config.update.minibatches * config.update.epochs} per step, "
        + ("on-policy" if run.learner.is_on_policy else "off-policy after the first"),
        "steps": f"{config.run.steps}, a checkpoint every {config.run.save_every}",
        **estimate(run),
    }
