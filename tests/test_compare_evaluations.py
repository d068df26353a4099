"""The comparison of evaluation commands: each judges the file that it is given, and its results are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proctor.benchmarks.compare_evaluations import EVALUATORS, OURS, Runs, lay_out, show
from proctor.benchmarks.judge_sets import Inputs
from proctor.verifiers.files.sources import read_rows

SAMPLE = Path(__file__).parent / "data" / "judged"
# evalplus wants all tasks of its data set.
HERE = (OURS, "evaluate_functional_correctness")


@pytest.mark.parametrize("name", HERE)
def test_a_command_passes_what_is_right_and_nothing_else(name: str, tmp_path: Path) -> None:
    evaluator = next(each for each in EVALUATORS if each.name == name)
    if reason := evaluator.missing():
        pytest.skip(reason)
    count = lay_out(tmp_path, Inputs(SAMPLE), 2)
    samples = [row.data for row in read_rows(tmp_path / "samples.jsonl")]
    assert len({sample["completion"] for sample in samples}) == count == len(samples)
    samples[1]["completion"] = "    return None\n"
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples))
    timed = evaluator.run(tmp_path, 1)
    assert timed.passed == count - 1
    assert timed.wall_s > 0


def test_the_table_shows_ours_as_a_multiple_of_each() -> None:
    found = {(OURS, 1): Runs([20.0], 100), ("other", 1): Runs([70.0, 80.0, 90.0], 99)}
    table = show(found, 100)
    assert list(table.columns[5].cells) == ["x1.00", "x4.00"]
    assert list(table.columns[4].cells) == ["5", "1"]
