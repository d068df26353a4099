"""A config that was changed before resuming has its effect: nothing of it is quietly the earlier run's."""

from pathlib import Path
from typing import Any

import pytest

from proctor.rl.record import read_lines
from proctor.rl.setup import Run
from proctor.rl.train import train
from tests.rl_toy import make_run


def resumed(folder: Path, before: tuple[Any, ...], after: tuple[Any, ...]) -> Run:
    """A run of two steps that was changed after the first."""
    train(make_run(folder, *before, "--run.steps", 1))
    run = make_run(folder, *after, "--run.steps", 2)
    train(run)
    return run


@pytest.mark.parametrize(("before", "after"), [(0.04, 0.5), (0.04, 0), (0, 0.04)])
def test_a_changed_kl_coefficient_counts(tmp_path: Path, before: float, after: float) -> None:
    resumed(tmp_path, ("--kl_coef", before), ("--kl_coef", after))
    found = [line["kl_coef"] for line in read_lines(tmp_path / "run" / "metrics.jsonl")]
    assert found == [before, after]


def test_a_coefficient_that_was_steered_goes_on_from_where_it_was(tmp_path: Path) -> None:
    words = ("--kl_target", 1e-9, "--kl_coef", 0.04)
    train(make_run(tmp_path, *words, "--run.steps", 2))
    steered = make_run(tmp_path, *words, "--run.steps", 2)
    train(steered)
    assert steered.progress.kl.coef > 0.04


def test_changed_settings_of_the_optimiser_count(tmp_path: Path) -> None:
    run = resumed(tmp_path, (), ("--weight_decay", 0.3, "--beta2", 0.9))
    (matrices, vectors) = run.workers.optimizer.param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.3, 0.0)
    assert matrices["betas"][1] == 0.9
    state = run.workers.optimizer.state[matrices["params"][0]]
    assert state["step"] == 2  # what it remembers is the earlier run's


def test_a_changed_rate_of_the_critic_counts(tmp_path: Path) -> None:
    ppo = ("--algorithm.name", "ppo")
    run = resumed(tmp_path, ppo, (*ppo, "--critic.learning_rate", 0.5))
    assert run.learner.critic is not None
    assert run.learner.critic.state()["optimizer"]["param_groups"][0]["lr"] == 0.5
