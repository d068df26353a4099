"""The comparison with TRL: other work is an error, and a ratio says who is better."""

import pytest

from proctor.benchmarks.compare_sft import check_same_work, times_better

TRL = {"targets": 46719, "first_loss": 4.15, "last_loss": 0.87}


def test_the_same_work_passes():
    check_same_work("ours", {"targets": 46719, "first_loss": 4.14, "last_loss": 0.85}, TRL)
    check_same_work("fused", {"gradient_gap": 3e-7}, {"gradient_gap": 2e-6})
    check_same_work("trl", {"gradient_gap": 2e-6}, {"gradient_gap": 2e-6})  # not ours to mend


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        ({**TRL, "targets": 46700}, "ours: 46700 targets, not 46719"),
        ({**TRL, "first_loss": 4.3}, "first_loss 4.3000 is not within 2% of 4.1500"),
        ({**TRL, "last_loss": 0.7}, "last_loss 0.7000 is not within 5% of 0.8700"),
        ({"gradient_gap": 2e-6}, "gradients are off by 2.0e-06"),
    ],
)
def test_other_work_is_an_error(measured, message):
    with pytest.raises(RuntimeError, match=message):
        check_same_work("ours", measured, TRL)


def test_a_ratio_is_the_median_of_the_rounds_own():
    """A busy third round, in which both take double, changes nothing: 3/1, 4/2 and 8/4."""
    theirs = [{"cpu_s": 3.0, "tokens_per_cpu_s": 10.0}, {"cpu_s": 4.0, "tokens_per_cpu_s": 10.0}]
    ours = [{"cpu_s": 1.0, "tokens_per_cpu_s": 30.0}, {"cpu_s": 2.0, "tokens_per_cpu_s": 20.0}]
    theirs, ours = (
        [*theirs, {"cpu_s": 8.0, "tokens_per_cpu_s": 5.0}],
        [*ours, {"cpu_s": 4.0, "tokens_per_cpu_s": 10.0}],
    )
    assert times_better(theirs, ours, "cpu_s") == 2
    assert times_better(theirs, ours, "tokens_per_cpu_s") == 2
