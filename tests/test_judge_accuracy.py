"""The code part's verdicts on programs whose right verdict is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from proctor.benchmarks.judge_accuracy import agrees, describe, judge_set, show
from proctor.benchmarks.judge_sets import SETS, Labelled, read_set
from proctor.verifiers.core import Status, Verdict
from proctor.verifiers.programs.part import Code
from tests.shared_data import FOLDER, needs_shared_data

SAMPLE = Path(__file__).parent / "data" / "judged"
NOT_IN_SAMPLE = "mbpp+"


@pytest.mark.parametrize("name", [name for name in SETS if name != NOT_IN_SAMPLE])
def test_every_verdict_of_the_sample_agrees(name: str) -> None:
    programs = read_set(SAMPLE, name)
    found = judge_set(programs, Code(extraction="raw"))
    assert programs
    assert [describe(*each) for each in found.wrong] == []


def test_verdicts_do_not_change_from_run_to_run() -> None:
    programs = [*read_set(SAMPLE, "verdicts"), *read_set(SAMPLE, "humaneval")]
    found = judge_set(programs, Code(extraction="raw"), repeat=5)
    assert (found.agreeing, found.flaky) == (len(programs), {})


@needs_shared_data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["humaneval", "mbpp", "verdicts"])
def test_every_verdict_of_the_whole_set_agrees(name: str) -> None:
    """HumanEval and MBPP: each canonical solution passes. Verdicts: each mutant gets its own."""
    found = judge_set(read_set(FOLDER, name), Code(extraction="raw", timeout=15.0))
    assert [describe(*each) for each in found.wrong] == []


def test_a_wrong_label_is_a_disagreement_with_its_evidence() -> None:
    right = read_set(SAMPLE, "humaneval")[0]
    wrong = dataclasses.replace(right, passes=False)
    found = judge_set([right, wrong], Code(extraction="raw"))
    assert [labelled for labelled, _ in found.wrong] == [wrong]
    assert "(fails): correct" in describe(*found.wrong[0])
    assert show({"humaneval": found}, "local", 1).row_count == 1


def test_a_failure_of_ours_agrees_with_no_label() -> None:
    rollout = read_set(SAMPLE, "humaneval")[0].rollout
    ours = Verdict(None, Status.UNAVAILABLE)
    assert not any(agrees(Labelled("x", rollout, passes), ours) for passes in (True, False))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"humaneval\.jsonl is missing; give the folder"):
        read_set(tmp_path, "humaneval")
