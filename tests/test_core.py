"""Rollout, Verdict and Score: closed vocabulary, JSON without loss, and what a person sees."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.core import COLUMNS, Blame, Rollout, Score, Status, Verdict
from tests.expressions import CALM

# What JSON holds; lone surrogates included, since models emit them.
TEXTS = st.text(st.characters(exclude_categories=())) | st.just("\ud800")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
DATA = st.recursive(LEAVES, lambda under: st.lists(under) | st.dictionaries(TEXTS, under), max_leaves=8)
FIELDS = st.dictionaries(TEXTS, DATA, max_size=4)
SECONDS = st.floats(min_value=0, max_value=1e6)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
WITH_VALUE = [status for status in Status if status.has_value]
WITHOUT_VALUE = [status for status in Status if not status.has_value]
VERDICTS = st.builds(Verdict, FINITE, st.sampled_from(WITH_VALUE), FIELDS, SECONDS) | st.builds(
    Verdict, st.none(), st.sampled_from(WITHOUT_VALUE), FIELDS, SECONDS
)
MESSAGES = st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": TEXTS}), max_size=2)
ROLLOUTS = st.builds(
    Rollout,
    TEXTS,
    prompt=TEXTS | MESSAGES,
    answer=st.none() | TEXTS,
    tests=DATA,
    task=st.none() | TEXTS,
    group=st.none() | TEXTS | st.integers(),
    num_tokens=st.none() | st.integers(0),
    truncated=st.none() | st.booleans(),
    fields=FIELDS,
)


@pytest.mark.parametrize("completion", [None, 4, b"4", [{"role": "assistant", "content": "4"}]])
def test_a_completion_that_is_no_text_is_told_where_it_is_made(completion: Any) -> None:
    with pytest.raises(TypeError, match="a rollout's completion must be text, got "):
        Rollout(completion)


@CALM
@given(ROLLOUTS)
def test_rollouts_go_through_json(rollout: Rollout) -> None:
    assert Rollout.from_json(json.loads(json.dumps(rollout.to_json()))) == rollout
    assert pickle.loads(pickle.dumps(rollout)) == rollout


@CALM
@given(VERDICTS)
def test_verdicts_go_through_json(verdict: Verdict) -> None:
    again = Verdict.from_json(json.loads(json.dumps(verdict.to_json())))
    assert again == verdict
    assert again.blame is verdict.blame
    assert pickle.loads(pickle.dumps(verdict)) == verdict


@CALM
@given(st.none() | FINITE, st.dictionaries(TEXTS, VERDICTS, max_size=3), st.text())
def test_scores_go_through_json(total: float | None, verdicts: dict[str, Verdict], reward: str) -> None:
    score = Score(total, verdicts, reward)
    assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score


def test_numbers_that_json_does_not_know_survive_python_s_json() -> None:
    verdict = Verdict(0.5, Status.MEASURED, {"ratio": [math.nan, math.inf]})
    again = Verdict.from_json(json.loads(json.dumps(verdict.to_json())))
    ratio = again.evidence["ratio"]
    assert math.isnan(ratio[0])
    assert ratio[1] == math.inf


def test_the_vocabulary_is_closed_and_settles_blame() -> None:
    table = {status.value: (status.blame and status.blame.value, status.has_value) for status in Status}
    assert table == {
        "correct": (None, True),
        "incorrect": ("candidate", True),
        "partial": ("candidate", True),
        "measured": (None, True),
        "no_answer": ("candidate", True),
        "presentation_error": ("candidate", True),
        "time_limit": ("candidate", True),
        "memory_limit": ("candidate", True),
        "output_limit": ("candidate", True),
        "runtime_error": ("candidate", True),
        "compile_error": ("candidate", True),
        "security_violation": ("candidate", True),
        "skipped": (None, False),
        "abstained": (None, False),
        "bad_reference": ("reference", False),
        "grader_error": ("grader", False),
        "unavailable": ("infrastructure", False),
        "misconfigured": ("configuration", False),
    }
    with pytest.raises(ValueError, match="'fine' is not a valid Status"):
        Status("fine")


@pytest.mark.parametrize("status", list(Status))
def test_only_the_candidate_is_ever_paid_zero_for_a_fault(status: Status) -> None:
    assert status.has_value == (status.blame in (None, Blame.CANDIDATE)) or status in (
        Status.SKIPPED,
        Status.ABSTAINED,
    )
    assert pickle.loads(pickle.dumps(status)) is status


@pytest.mark.parametrize("status", WITHOUT_VALUE)
def test_a_failure_of_ours_cannot_carry_a_zero(status: Status) -> None:
    with pytest.raises(ValueError, match=f"status '{status.value}' must have value None, got 0.0"):
        Verdict(0.0, status)


@pytest.mark.parametrize("status", WITH_VALUE)
def test_a_finding_cannot_be_without_a_value(status: Status) -> None:
    with pytest.raises(ValueError, match=f"status '{status.value}' must carry a value, got None"):
        Verdict(None, status)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_is_a_number(value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        Verdict(value, Status.MEASURED)


@pytest.mark.parametrize("value", [1, True, 1.0])
def test_a_value_is_always_a_float(value: Any) -> None:
    assert type(Verdict(value, Status.CORRECT).value) is float


def test_numpy_numbers_become_floats() -> None:
    numpy = pytest.importorskip("numpy")
    assert json.dumps(Verdict(numpy.float32(0.5), Status.MEASURED).to_json()["value"]) == "0.5"


def test_a_score_shows_at_a_glance_why() -> None:
    verdicts = {
        "math": Verdict(0.0, Status.INCORRECT, {"extracted": "41", "expected": "42"}, 0.001),
        'format("boxed")': Verdict(1.0, Status.MEASURED),
        "code": Verdict(None, Status.UNAVAILABLE, {"worker": "x" * 100}),
        "steps": Verdict(None, Status.SKIPPED),
    }
    assert str(Score(-0.0, verdicts)) == (
        "reward 0\n"
        "  math: 0 (incorrect, blame candidate): extracted 41; expected 42\n"
        '  format("boxed"): 1 (measured)\n'
        f"  code: none (unavailable, blame infrastructure): worker {'x' * 59}…\n"
        "  steps: none (skipped)"
    )
    assert str(Score(None, {})) == "no reward"


def test_evidence_over_several_lines_stays_on_its_own() -> None:
    assert str(Verdict(0.0, Status.RUNTIME_ERROR, {"stderr": "a\nb"})) == (
        "0 (runtime_error, blame candidate): stderr a\\nb"
    )


def test_columns_are_looked_up_by_name() -> None:
    rollout = Rollout("text", answer="4", fields={"level": 3, "answer": "no"})
    assert [rollout.get(column) for column in ("answer", "level", "task", "other")] == ["4", 3, None, None]
    assert set(COLUMNS) | {"fields"} == set(Rollout.__slots__)


def test_equal_prompts_are_one_group_unless_told() -> None:
    chat = [{"role": "user", "content": "2+2"}]
    assert Rollout("a", prompt=chat).group_key == Rollout("b", prompt=[dict(chat[0])]).group_key
    assert Rollout("a", prompt="p").group_key == Rollout("b", prompt="p").group_key
    assert Rollout("a", prompt="p", group=1).group_key != Rollout("b", prompt="p", group=2).group_key
    # An id that happens to be another rollout's prompt is another group.
    assert Rollout("a", prompt="x", group="p").group_key != Rollout("b", prompt="p").group_key
