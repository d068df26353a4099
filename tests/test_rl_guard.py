"""The guard tells a collapse and a gamed reward from noise, whatever the rewards' sign."""

import json
from collections.abc import Sequence

import pytest

from proctor.rl.guard import Guard, Vitals
from proctor.rl.settings import GuardSettings

NAN = float("nan")


def alarms(rewards: Sequence[float], correct: Sequence[float] | None = None) -> dict[int, str]:
    """What a guard with a window of 4 says, by step."""
    guard = Guard(GuardSettings(window=4))
    found = {}
    for step, reward in enumerate(rewards):
        right = NAN if correct is None else correct[step]
        alarm = guard.alarm(Vitals(0.1, 1.0, reward, right, NAN, 1.0, 0.0, -1.0))
        if alarm is not None:
            found[step] = alarm
    return found


@pytest.mark.parametrize(
    ("best", "fallen"),
    [(0.8, 0.3), (-0.4, -0.7), (0.2, -0.2), (-1.0, -1.6)],  # each falls by more than half of the best
)
def test_a_collapse_is_one_below_zero_too(best: float, fallen: float) -> None:
    found = alarms([best] * 8 + [fallen] * 4)
    assert found
    assert min(found) >= 8
    assert f"fell from {best:.3g} at its best" in found[11]


def test_a_slow_fall_is_measured_from_the_best_and_not_from_the_window_before() -> None:
    # 3% a step: a window is never more than 12% below the one before it.
    assert alarms([0.97**step for step in range(40)])
    assert not alarms([0.97**step for step in range(16)])


@pytest.mark.parametrize("reward", [0.5, -0.5])
def test_a_small_fall_and_a_rise_are_none(reward: float) -> None:
    assert not alarms([reward] * 8 + [reward - 0.2] * 8)
    assert not alarms([reward] * 8 + [reward + 1.0] * 8)


def test_a_whole_window_without_a_verdict_is_told_and_no_cause_to_go_back() -> None:
    guard, said = Guard(GuardSettings(window=4)), []
    for reward in (0.5, NAN, NAN, NAN, 0.5, NAN, NAN, NAN, NAN):
        assert guard.alarm(Vitals(0.1, 1.0, reward, NAN, NAN, 1.0, 0.0, -1.0)) is None
        said.append(guard.blindness())
    assert said[:-1] == [None] * 8
    assert str(said[-1]).startswith("no rollout of the last 4 steps has a verdict")


def test_noise_about_zero_is_no_collapse() -> None:
    # The best window has a mean of 0.05 and later ones of -0.05: all of the best is lost, and it is nothing.
    assert not alarms([0.3, -0.2, 0.3, -0.2] * 2 + [-0.3, 0.2, -0.3, 0.2] * 3)


def test_a_resumed_run_remembers_the_best() -> None:
    rewards = [0.97**step for step in range(40)]
    whole, told = alarms(rewards), {}
    kept = Guard(GuardSettings(window=4)).to_json()
    for step, reward in enumerate(rewards):  # every step in a process of its own
        guard = Guard(GuardSettings(window=4))
        guard.restore(json.loads(json.dumps(kept)))
        alarm = guard.alarm(Vitals(0.1, 1.0, reward, NAN, NAN, 1.0, 0.0, -1.0))
        kept = guard.to_json()
        if alarm is not None:
            told[step] = alarm
    assert told == whole != {}


def test_a_rollback_forgets_the_best() -> None:
    guard = Guard(GuardSettings(window=1))
    steps = [Vitals(0.1, 1.0, reward, NAN, NAN, 1.0, 0.0, -1.0) for reward in (1.0, 0.1, 0.1)]
    assert guard.alarm(steps[0]) is None
    assert guard.alarm(steps[1]) is not None
    guard.forget()
    assert guard.alarm(steps[2]) is None


def test_a_reward_that_rises_while_fewer_are_right_is_gamed() -> None:
    found = alarms([0.5] * 4 + [0.6] * 4, correct=[0.5] * 4 + [0.3] * 4)
    assert "the reward is being gamed" in found[7]
    assert not alarms([0.5] * 4 + [0.6] * 4, correct=[0.5] * 8)


def test_steps_without_a_reward_say_nothing() -> None:
    assert not alarms([0.5] * 4 + [NAN] * 8)
