"""What `compare_graders` makes of verdicts: shares by hand, and every second that a worker takes."""

import pytest

from proctor.benchmarks.compare_graders import (
    Graded,
    Rates,
    disagreements,
    rates_by_category,
    seconds_in_workers,
)
from proctor.benchmarks.labelled_answers import Labelled, Source
from proctor.verifiers.answers import Math
from proctor.verifiers.core import Rollout


def row(number: int, category: str, expected: bool, policy: str = "") -> Labelled:
    return Labelled(str(number), "1", "1", expected, category, policy)


ROWS = [
    row(0, "integer", True),
    row(1, "integer", True),
    row(2, "integer", True, policy="units"),
    row(3, "integer", False),
    row(4, "interval", False),
    row(5, "interval", False, policy="units"),
]
# Missed: row 1. Wrongly equal: row 5.
GRADED = Graded([True, False, True, False, False, True], [0.0] * 6, ["why"] * 6)


def test_rates_by_hand() -> None:
    found = rates_by_category(ROWS, {"ours": GRADED})
    assert list(found) == ["integer", "interval", "policy: units", "all"]
    assert found["integer"]["ours"] == Rates(4, 3 / 4, 0.0, 1 / 3)  # one of three right ones is missed
    assert found["interval"]["ours"] == Rates(2, 1 / 2, 1 / 2, 0.0)  # none is right
    assert found["policy: units"]["ours"] == Rates(2, 1 / 2, 1.0, 0.0)
    assert found["all"]["ours"] == Rates(6, pytest.approx(4 / 6), pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_disagreements_are_the_rows_whose_verdict_is_not_the_label() -> None:
    found = disagreements(ROWS, GRADED, Source.PAIRS)
    assert [(each.id, each.label) for each in found] == [("1", True), ("5", False)]


@pytest.mark.parametrize("timeout_s", [10.0, 0.001])  # settled, or ended at its limit
def test_every_use_of_a_worker_counts(timeout_s: float) -> None:
    """The first answer needs no worker."""
    pairs = [("2", "2"), (r"\tan^2 y + 1", r"\sec^2 y")]
    rollouts = [Rollout(f"\\boxed{{{answer}}}", answer=gold) for gold, answer in pairs]
    with seconds_in_workers() as seconds:
        verdicts = Math(timeout_s=timeout_s).verify(rollouts)
    assert len(seconds) == 1
    assert 0 < seconds[0] <= verdicts[1].seconds
