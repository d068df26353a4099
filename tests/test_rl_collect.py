"""The thread that scores: whole, in order, and nobody waits for a reward that hangs."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from proctor.rl.collect import _Scoring
from proctor.rl.train import GuardStopError, train
from proctor.verifiers.core import Rollout, Score
from proctor.verifiers.custom import part
from tests.rl_toy import make_run


class Lengths:
    """Pays the number of characters, once it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def score(self, rollouts: Sequence[Rollout], **_: Any) -> list[Score]:
        self.go.wait(60)
        return [Score(float(len(rollout.completion)), {}) for rollout in rollouts]


def group(*texts: str) -> list[Rollout]:
    return [Rollout(text) for text in texts]


def test_every_group_has_its_scores() -> None:
    reward = Lengths()
    with _Scoring(reward, 0) as scoring:
        scoring.add(1, group("a", "bb"))
        reward.go.set()
        scoring.add(0, group("", "ccc"))
        found = scoring.results()
    assert {place: [score.total for score in scores] for place, scores in found.items()} == {
        1: [1.0, 2.0],
        0: [0.0, 3.0],
    }
    with _Scoring(reward, 0) as scoring:
        assert scoring.results() == {}


def test_an_interruption_does_not_wait_for_a_reward_that_hangs() -> None:
    reward, start = Lengths(), time.monotonic()
    with _Scoring(reward, 0) as scoring:
        scoring.add(0, group("a"))  # and left without the results, as an exception leaves it
    assert time.monotonic() - start < 30
    assert scoring._thread.daemon  # or the interpreter would wait for it at its end
    reward.go.set()
    scoring._thread.join()


@part
def no_opinion(rollout: Rollout) -> None:
    """A grader that is out of order."""


def test_a_run_without_verdicts_stops(tmp_path: Path) -> None:
    run = make_run(tmp_path, "--expression", "no_opinion", "--guard.window", 2, "--run.steps", 9)
    with pytest.raises(
        GuardStopError, match="stopped at step 2: no rollout of the last 2 steps has a verdict"
    ):
        train(run)
