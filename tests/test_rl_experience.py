"""Settling gives each rollout one advantage and one fate."""

import pytest

from proctor.rl.algorithms.presets import preset
from proctor.rl.experience import Experience, settle
from proctor.rl.ledger import Fate
from proctor.rl.rollouts.core import Completion
from proctor.verifiers.core import Score, Status, Verdict


def make(total: float | None, *, group: int = 0, **parts: float) -> Experience:
    verdicts = {name: Verdict(value, Status.MEASURED) for name, value in parts.items()}
    return Experience(Completion((1,), (2,), (0.0,), False), "x", group, Score(total, verdicts))


def test_parts_are_normalised_each_on_its_own() -> None:
    # right is 1 where short is 0 and the reverse, so totals are equal: only by parts is there something to learn.
    experiences = [make(1.0, right=1.0, short=0.0), make(1.0, right=0.0, short=1.0)]
    by_total = settle(experiences, preset("grpo"))
    assert [each.fate for each in by_total] == [Fate.ZERO_VARIANCE] * 2
    by_part = settle(
        experiences, preset("grpo", advantage="gdpo", advantage_options={"weights": {"right": 2, "short": 1}})
    )
    # 2 * 0.707 - 0.707 and its negative, whitened: +-0.707.
    assert [each.fate for each in by_part] == [Fate.TRAINED] * 2
    assert [each.advantage for each in by_part] == pytest.approx([0.5**0.5, -(0.5**0.5)], abs=1e-3)


def test_a_part_without_a_value_is_left_out_and_a_rollout_without_a_total_is_unscorable() -> None:
    algorithm = preset("grpo", advantage="gdpo", advantage_options={"weights": {"right": 1, "short": 1}})
    rows = [make(1.0, right=1.0), make(0.0, right=0.0, short=1.0), make(None, right=1.0, short=0.0)]
    found = settle(rows, algorithm)
    assert [each.fate for each in found] == [Fate.TRAINED, Fate.TRAINED, Fate.UNSCORABLE]
    assert found[0].advantage > 0 > found[1].advantage
    assert found[2].advantage == 0.0


def test_a_group_of_equal_rewards_is_trained_on_where_prompts_are_compared() -> None:
    rows = [make(1.0), make(1.0), make(0.0, group=1), make(0.0, group=1)]
    assert {each.fate for each in settle(rows, preset("grpo"))} == {Fate.ZERO_VARIANCE}
    assert {each.fate for each in settle(rows, preset("reinforce_pp"))} == {Fate.TRAINED}
    assert {each.fate for each in settle(rows, preset("grpo", advantage="batch_baseline"))} == {Fate.TRAINED}


def test_a_kl_penalty_is_not_worth_a_step() -> None:
    found = settle([make(1.0), make(1.0)], preset("rloo"), penalties=[0.1, 0.2])
    assert [each.fate for each in found] == [Fate.ZERO_VARIANCE] * 2
