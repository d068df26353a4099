"""The part `steps`: share of the arithmetic in a solution that holds."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds
from proctor.verifiers.registry import find
from proctor.verifiers.steps.part import Steps
from tests.shared_data import FOLDER, needs_shared_data

# Four of the model solutions that OpenAI published with GSM8K (openai/grade-school-math, MIT).
ROWS = {
    row["id"]: row
    for row in map(
        json.loads, (Path(__file__).parent / "data" / "gsm8k_working.jsonl").read_text("utf-8").splitlines()
    )
}


def judge(completion: str, **options: object) -> Verdict:
    (verdict,) = Steps(**options).verify([Rollout(completion)])  # type: ignore[arg-type]
    return verdict


def test_share_of_distinct_steps_that_hold() -> None:
    verdict = judge("2+2=4. Again 2 + 2 = 4, then 4*3=12, 12-5=6 and 6/2=3.")
    assert verdict.value == 3 / 4  # of 2+2, 4*3, 12-5 and 6/2; the repeated one counts once
    assert verdict.status is Status.PARTIAL
    assert verdict.evidence == {"steps": 4, "held": 3, "failed": ["12-5 = 6 (it is 7)"]}


def test_all_and_none() -> None:
    assert (judge("2+2=4").value, judge("2+2=4").status) == (1.0, Status.CORRECT)
    assert (judge("2+2=5").value, judge("2+2=5").status) == (0.0, Status.INCORRECT)


def test_without_a_step_the_value_is_as_chosen() -> None:
    assert (judge("It is 4.").value, judge("It is 4.").status) == (0.0, Status.NO_ANSWER)
    skipped = judge("The answer is 4.", empty=None)
    assert (skipped.value, skipped.status, skipped.blame) == (None, Status.SKIPPED, None)
    assert judge("", empty=0.5).value == 0.5


def test_thinking_may_be_left_out() -> None:
    text = "<think>2+2=5, no</think>2+2=4"
    assert (judge(text).value, judge(text, thinking=False).value) == (0.5, 1.0)


def test_thinking_that_the_prompt_opened_may_be_left_out() -> None:
    cut_off = Rollout("2 + 2 = 5, so", prompt="What is 2 + 2?<think>\n")
    assert Steps(thinking=False).verify([cut_off])[0].status is Status.NO_ANSWER


def test_an_empty_value_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1, got 2"):
        Steps(empty=2)


@pytest.mark.parametrize(
    ("row", "failed"),
    [
        # 138.92 rounds to the gold 139? No: the record says 138, reached by dropping 30 and 60 cents.
        ("7eaf278418be", ["126+6.3 = 132 (it is 132.3)", "132+6.6 = 138 (it is 138.6)"]),
        # The bill is 15.00 and not 14.99; the change of 5.01 became the right 5.
        ("4135e85b70b3", ["4.20+9.45+1.35 = 14.99 (it is 15)"]),
    ],
)
def test_catches_a_right_answer_from_wrong_working(row: str, failed: list[str]) -> None:
    verdict = judge(ROWS[row]["response"])
    assert ROWS[row]["is_correct"]
    assert (verdict.status, verdict.evidence["failed"]) == (Status.PARTIAL, failed)


@needs_shared_data
def test_on_all_published_solutions() -> None:
    lines = (FOLDER / "gsm8k_model_solutions.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    verdicts = Steps().verify([Rollout(row["response"]) for row in rows])
    by_answer = {
        right: [verdict for verdict, row in zip(verdicts, rows, strict=True) if row["is_correct"] is right]
        for right in (True, False)
    }
    imperfect = {right: sum(v.value != 1 for v in found) / len(found) for right, found in by_answer.items()}
    assert sum(int(verdict.evidence["steps"]) for verdict in verdicts) > 6300
    assert sum(verdict.status is Status.NO_ANSWER for verdict in verdicts) < 25
    # A wrong step is rare where the answer is right (5 of 750), and not where it is wrong (79 of 1,250).
    assert imperfect[True] < 0.02 < 0.05 < imperfect[False]


@given(st.text(max_size=200), st.sampled_from([None, 0.0, 1.0]))
def test_value_is_in_the_range_that_it_states(text: str, empty: float | None) -> None:
    part = Steps(empty=empty)
    (verdict,) = part.verify([Rollout(text + " 1+1=2 " * (len(text) % 2) + text)])
    assert part.bounds == Bounds(0.0, 1.0)
    assert verdict.status is not Status.GRADER_ERROR
    assert verdict.value is None or 0 <= verdict.value <= 1


def test_is_registered_prints_and_pickles() -> None:
    part = Steps(empty=None)
    assert find("steps") is Steps
    assert str(part) == "steps(empty=None)"
    assert pickle.loads(pickle.dumps(part)) == part
