"""The verl adapter, called as verl's managers call: always the same keys, never None, never an exception."""

import json
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.verifiers import registry
from proctor.verifiers.adapters import verl as adapter
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.custom import part
from proctor.verifiers.expression import ExpressionError


@part(bounds=(0, 1), exam=True, columns=("answer",))
def verl_right(rollout: Rollout) -> Verdict:
    """Whether the answer stands in the completion."""
    if rollout.completion == "crash":
        raise RuntimeError("no such thing")
    right = str(rollout.answer) in rollout.completion
    return Verdict(float(right), Status.CORRECT if right else Status.INCORRECT)


@part(bounds=(0, 1))
def verl_short(rollout: Rollout) -> float:
    return float(len(rollout.completion) < 10)


@part(bounds=(0, 1), exam=True)
def verl_never(rollout: Rollout) -> None:
    """An exam without an opinion."""


@part(bounds=(0, 1), per="group")
def verl_rank(rollouts: list[Rollout]) -> list[float]:
    return [1 / len(rollouts)] * len(rollouts)


EXPRESSION = "0.5 * verl_short + verl_right"
KEYS = {
    "score", "acc", "scorable", "blame", "reason",
    "verl_short", "verl_right", "scorable/verl_short", "scorable/verl_right",
}  # fmt: skip


def batch(function: Any, solutions: list[str], truths: list[Any], extras: list[Any] | None = None) -> Any:
    """As verl's batch manager calls."""
    return function(
        data_sources=np.array(["openai/gsm8k"] * len(solutions), dtype=object),
        solution_strs=solutions,
        ground_truths=truths,
        extra_infos=np.array(extras if extras is not None else [{}] * len(solutions), dtype=object),
    )


def test_one_rollout() -> None:
    function = adapter.reward_function(EXPRESSION)
    result = function(data_source="openai/gsm8k", solution_str="it is 42, of course", ground_truth="42")

    assert set(result) == KEYS
    assert (result["score"], result["acc"], result["scorable"], result["blame"]) == (1.0, 1.0, 1.0, "")
    assert (result["verl_short"], result["verl_right"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("expression", "task", "solution", "accuracy"),
    [
        ('verl_never if task == "code" else verl_right', "m", "42", 1.0),  # not that of the exam not run
        ('verl_never if task == "code" else verl_right', "m", "41", 0.0),
        ('verl_never if task == "code" else verl_right', "code", "42", -1.0),
        ("verl_short and verl_right", "m", "42 " + "x" * 10, 0.0),  # the gate was failed
        ("verl_short and verl_right", "m", "42", 1.0),
        ("verl_short", "m", "42", 1.0),
        ("0.25", "m", "42", 0.25),
    ],
)
def test_accuracy_is_of_the_exam_that_was_run(
    expression: str, task: str, solution: str, accuracy: float
) -> None:
    function = adapter.reward_function(expression, unscorable=-1.0)
    assert function(task, solution, "42", {})["acc"] == accuracy


def test_positions_as_a_process_pool_calls() -> None:
    function = pickle.loads(pickle.dumps(partial(adapter.reward_function(EXPRESSION))))
    assert function("openai/gsm8k", "42", "42", None)["score"] == 1.5


def test_crash_of_a_part_is_marked_and_keeps_the_keys() -> None:
    result = adapter.reward_function(EXPRESSION)(solution_str="crash", ground_truth="42")

    assert set(result) == KEYS
    assert (result["score"], result["acc"], result["scorable"], result["blame"]) == (0.0, 0.0, 0.0, "grader")
    assert (result["verl_short"], result["scorable/verl_short"]) == (1.0, 1.0)
    assert "RuntimeError: no such thing" in str(result["reason"])


def test_number_for_what_cannot_be_scored_is_yours() -> None:
    result = adapter.reward_function("verl_right", unscorable=-1.0)(solution_str="crash", ground_truth="42")
    assert (result["score"], result["scorable"]) == (-1.0, 0.0)


def test_batch_keeps_order_and_keys() -> None:
    results = batch(adapter.reward_function(EXPRESSION), ["42", "crash", "7"], ["42", "42", None])

    assert [set(result) for result in results] == [KEYS] * 3
    assert [result["score"] for result in results] == [1.5, 0.0, 0.0]
    assert [result["blame"] for result in results] == ["", "grader", "configuration"]
    # What verl does with them: one array for each key of the first.
    arrays = {key: np.array([result[key] for result in results]) for key in results[0]}
    assert all(array.dtype.kind in "fU" for array in arrays.values())


def test_numbers_of_numpy_are_answers() -> None:
    results = batch(adapter.reward_function("verl_right"), ["42", "0.5"], [np.int64(42), np.float64(0.5)])
    assert [result["score"] for result in results] == [1.0, 1.0]


def test_answer_of_extra_info_serves_where_there_is_no_ground_truth() -> None:
    result = adapter.reward_function("verl_right")(solution_str="42", extra_info={"answer": "42"})
    assert result["score"] == 1.0


def test_tests_come_from_ground_truth_or_extra_info() -> None:
    function = adapter.reward_function("verl_tests")
    tests = {"inputs": ["1"], "outputs": ["2"]}
    assert function(solution_str="x", ground_truth=tests)["score"] == 2.0
    assert function(solution_str="x", ground_truth="1", extra_info={"tests": tests})["score"] == 2.0


def test_arrays_of_numpy_inside_of_tests_are_lists() -> None:
    """pandas reads the lists of a Parquet file as arrays, wherever they stand."""
    tests = {"inputs": np.array(["1", "2"], dtype=object), "outputs": [np.array(["2", "3"], dtype=object)]}
    for call in ({"ground_truth": tests}, {"extra_info": {"tests": tests}}):
        result = adapter.reward_function("verl_plain_tests")(solution_str="x", **call)
        assert (result["score"], result["reason"]) == (1.0, "")


def test_a_batch_may_come_without_a_column() -> None:
    results = adapter.reward_function("verl_right")(
        solution_strs=["42"], ground_truths=["42"], data_sources=None, extra_infos=None
    )
    assert [result["score"] for result in results] == [1.0]


@part(columns=("tests",))
def verl_plain_tests(rollout: Rollout) -> float:
    return float(rollout.tests == {"inputs": ["1", "2"], "outputs": [["2", "3"]]})


@part(columns=("tests",))
def verl_tests(rollout: Rollout) -> float:
    return float(len(rollout.tests))


def test_tasks_may_be_mixed() -> None:
    function = adapter.reward_function('verl_tests if task == "code" else verl_right')
    tests = {"inputs": ["1"], "outputs": ["2"]}
    results = function(
        data_sources=["code", "maths"],
        solution_strs=["x", "42"],
        ground_truths=[tests, "42"],
        extra_infos=[{}, {}],
    )
    assert [result["score"] for result in results] == [2.0, 1.0]
    assert [result["scorable/verl_right"] for result in results] == [0.0, 1.0]


def test_task_is_the_data_source() -> None:
    function = adapter.reward_function('1 if task == "openai/gsm8k" else 0')
    assert function("openai/gsm8k", "x", "y")["score"] == 1.0
    assert function("else", "x", "y")["score"] == 0.0


def test_groups_are_known_by_index_in_a_batch() -> None:
    extras = [{"index": 0, "split": "train"}] * 3 + [{"index": 1, "split": "train"}]
    results = batch(adapter.reward_function("verl_rank"), ["x"] * 4, ["1"] * 4, extras)
    assert [result["score"] for result in results] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0])


def test_groups_that_cannot_be_known_are_not_scored() -> None:
    function = adapter.reward_function("verl_rank")
    single = function(solution_str="x", ground_truth="1", extra_info={"index": 0})
    nameless = batch(function, ["x", "y"], ["1", "1"])

    for result in [single, *nameless]:
        assert (result["scorable"], result["blame"]) == (0.0, "configuration")
    assert "batch reward manager" in str(single["reason"])


def test_compute_score_takes_its_reward_from_the_configuration() -> None:
    function = partial(adapter.compute_score, reward=EXPRESSION)
    assert function(data_source="d", solution_str="42", ground_truth="42", extra_info={})["score"] == 1.5
    assert [result["score"] for result in batch(function, ["42", "7"], ["42", "42"])] == [1.5, 0.5]


def test_expression_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ExpressionError):
        adapter.reward_function("verl_rihgt")
    result = adapter.compute_score("d", "42", "42", reward="verl_rihgt")
    assert (result["scorable"], result["blame"]) == (0.0, "configuration")  # type: ignore[call-overload, index]
    assert "did you mean 'verl_right'" in caplog.text


plain = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())
)


@given(source=plain, solution=plain, truth=plain, extra=plain | st.dictionaries(st.text(max_size=8), plain))
@settings(deadline=None)
def test_whatever_comes_the_keys_are_the_same(source: Any, solution: Any, truth: Any, extra: Any) -> None:
    function = adapter.reward_function(EXPRESSION)
    results = [function(source, solution, truth, extra), *batch(function, [solution], [truth], [extra])]
    for result in results:
        assert set(result) == KEYS
        assert all(isinstance(value, float | str) for value in result.values())
        assert math.isfinite(float(result["score"]))
        json.dumps(result)


def test_lists_of_different_lengths_cost_the_batch_and_not_the_run() -> None:
    results = adapter.reward_function("verl_right")(solution_strs=["a", "b"], ground_truths=["a"])
    assert [result["blame"] for result in results] == ["grader", "grader"]
    assert "ValueError" in results[0]["reason"]


def test_many_threads_get_the_same() -> None:
    function = adapter.reward_function(EXPRESSION)
    with ThreadPoolExecutor(16) as pool:
        scores = list(pool.map(lambda n: function("d", str(n % 3), "1")["score"], range(300)))
    assert scores == [1.5 if n % 3 == 1 else 0.5 for n in range(300)]


@pytest.mark.parametrize("name", ["score", "acc", "scorable", "blame", "reason"])
def test_part_that_is_called_as_a_key_of_verls_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PARTS", registry.parts())

    def one(rollout: Rollout) -> float:
        return 1.0

    one.__name__ = name
    part(one)
    with pytest.raises(ValueError, match=f"'{name}' is a key of its own; give the part another name"):
        adapter.reward_function(f"0.1 * {name}")
    result = adapter.compute_score(solution_str="x", reward=f"0.1 * {name}")
    assert (result["score"], result["scorable"], result["blame"]) == (0.0, 0.0, "configuration")
