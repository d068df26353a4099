"""The benchmark of the objects and the plan runs, and its parts are fair: they judge."""

from __future__ import annotations

import pytest

from proctor.benchmarks.score_overhead import EXPRESSIONS, main
from proctor.verifiers.core import Rollout
from proctor.verifiers.expression import reward


def test_prints_a_row_for_each_expression(capsys: pytest.CaptureFixture[str]) -> None:
    main(rollouts=100, rounds=1)
    shown = capsys.readouterr().out
    assert shown.count("%") == len(EXPRESSIONS)
    assert "100 rollouts" in shown


def test_the_expressions_score() -> None:
    batch = [Rollout("a", task="x", num_tokens=4000), Rollout("b", task="y", num_tokens=1)]
    scores = {name: reward(node).score(batch) for name, node in EXPRESSIONS.items()}
    totals = {name: [score.total for score in made] for name, made in scores.items()}
    assert totals["weighted sum"] == totals["the same, with evidence"] == [1.0, 0.1]
    assert totals["route and clip"] == [1.0, 1.0]
    assert totals["seed reward"] == pytest.approx([0.8, 0.2])  # 2,000 tokens too many cost 0.2
