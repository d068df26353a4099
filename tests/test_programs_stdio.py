"""Rows of many tests on standard input: how long one may take, and what its evidence says."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.programs.part import Code

LATE = "n = int(input())\nwhile n % 3 == 0: pass\nprint(n)"
TESTS = [{"input": f"{n}\n", "output": f"{n}\n"} for n in range(1, 13)]


def test_a_row_runs_out_of_time_a_few_times_and_not_in_every_test() -> None:
    part = Code(extraction="raw", timeout=0.2, credit="partial", max_timeouts=2)
    [verdict] = part.verify([Rollout(LATE, tests=TESTS)])
    assert (verdict.status, verdict.evidence["failed_with"]) == (Status.PARTIAL, Status.TIME_LIMIT.value)
    # 3 and 6 ran out of time: 1, 2, 4 and 5 of twelve passed
    assert verdict.value == pytest.approx(4 / 12)
    assert verdict.evidence["not_run"] == 6


def test_other_failures_do_not_count_against_time() -> None:
    part = Code(extraction="raw", timeout=2.0, credit="partial", max_timeouts=1)
    [verdict] = part.verify([Rollout("n = int(input())\nprint(n if n % 3 else 0)", tests=TESTS)])
    assert verdict.value == pytest.approx(8 / 12)
    assert "not_run" not in verdict.evidence


@pytest.mark.parametrize(
    "code",
    [
        "with open('/dev/stdin') as file:\n    print(sum(map(int, file.read().split())))",
        "first = input()\nprint(sum(map(int, open('/dev/stdin').read().split())))",
        # C's stack is used where a cache stands between the calls
        "import functools, sys\nsys.setrecursionlimit(10**6)\n"
        "@functools.cache\ndef f(n): return n and 1 + f(n - 1)\n"
        "print(sum(map(int, input().split())) + f(100_000) - 100_000)",
    ],
    ids=["standard input by name", "by name, once more", "deep recursion"],
)
def test_unusual_programs_that_are_right(code: str) -> None:
    verdict = Code(extraction="raw").verify([Rollout(code, tests=[{"input": "1 2\n", "output": "3\n"}])])[0]
    assert verdict.status is Status.CORRECT, verdict


def test_a_row_may_run_out_of_time_at_least_once() -> None:
    with pytest.raises(ValueError, match="'max_timeouts' must be 1 or more, got 0"):
        Code(max_timeouts=0)
