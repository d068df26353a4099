"""Columns are found, mapped and converted; what is wrong with one is said by name."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.verifiers.core import Rollout
from proctor.verifiers.files.rows import RowError, find_columns, text_of
from proctor.verifiers.files.sources import InputError

GSM8K = {"id": "1", "question": "2 + 2?", "response": "A: 4", "gold": "4", "model": "6b"}


def test_usual_names_are_found() -> None:
    columns = find_columns([GSM8K], needed=["answer"])
    rollout = columns.rollout(GSM8K)

    assert (rollout.completion, rollout.prompt, rollout.answer) == ("A: 4", "2 + 2?", "4")
    assert columns.guessed == {"response", "question", "gold"}
    assert str(columns).startswith("completion = response, answer = gold")


def test_every_column_can_be_asked_for() -> None:
    rollout = find_columns([GSM8K]).rollout(GSM8K)
    assert rollout.get("model") == "6b"
    assert rollout.get("completion") == "A: 4"


def test_own_name_wins_over_usual_names() -> None:
    row = {"completion": "mine", "response": "other", "answer": "a", "gold": "b"}
    rollout = find_columns([row], needed=["answer"]).rollout(row)
    assert (rollout.completion, rollout.answer) == ("mine", "a")


def test_given_names_win_over_everything() -> None:
    row = {"completion": "x", "answer": "a", "gold": "b", "lang": "de"}
    columns = find_columns([row], given={"answer": "gold", "language": "lang"})
    assert columns.rollout(row).answer == "b"
    assert columns.rollout(row).get("language") == "de"


def test_reference_is_not_guessed_where_nothing_needs_it() -> None:
    row = {"response": "x", "solution": "long text", "data_source": "openai/gsm8k"}
    rollout = find_columns([row]).rollout(row)
    assert rollout.answer is None
    assert rollout.task is None


def test_path_reaches_into_objects() -> None:
    row = {"output": "x", "reward_model": {"ground_truth": ["7"]}}
    columns = find_columns([row], given={"answer": "reward_model.ground_truth.0"})
    assert columns.rollout(row).answer == "7"


def test_unknown_column_names_what_exists_and_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        find_columns([GSM8K], given={"answer": "golld"})
    assert str(caught.value) == (
        "no column 'golld' to take the answer from (did you mean 'gold'?);"
        " the columns are id, question, response, gold, model"
    )


def test_needed_column_that_cannot_be_found_says_what_to_do() -> None:
    with pytest.raises(
        InputError, match=r"no column for the answer.* say which it is with --map answer=COLUMN"
    ):
        find_columns([{"response": "x"}], needed=["answer"])


def test_column_of_later_rows_alone_is_found_there() -> None:
    columns = find_columns([GSM8K], needed=["answer", "tests"], always=["answer"])
    assert columns.rollout(GSM8K).tests is None
    assert columns.rollout({**GSM8K, "tests": ["assert f(1) == 1"]}).tests == ["assert f(1) == 1"]
    assert "tests" not in str(columns)


def test_column_serves_one_field() -> None:
    with pytest.raises(InputError, match="no column for the completion"):
        find_columns([{"text": "x"}], given={"prompt": "text"})


def test_missing_field_of_one_row_is_that_rows_error() -> None:
    columns = find_columns([GSM8K], needed=["answer"])
    with pytest.raises(RowError, match=r"field 'gold' is missing; the row has response"):
        columns.rollout({"response": "x"})


@pytest.mark.parametrize("value", [None, 5, [], ["a", "b"], True])
def test_completion_of_another_type_is_an_error(value: object) -> None:
    columns = find_columns([{"response": "x"}])
    with pytest.raises(RowError, match=r"field 'response' cannot be the completion: expected text"):
        columns.rollout({"response": value})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42, "42"),
        (2.5, "2.5"),
        (True, "true"),
        ("x", "x"),
        (None, None),
        (np.int64(42), "42"),
        (np.float32(0.1), "0.1"),
        (Decimal("1E+2"), "100"),
        (Decimal("0.50"), "0.50"),
    ],
)
def test_answers_may_be_numbers(value: object, text: str | None) -> None:
    columns = find_columns([GSM8K], needed=["answer"])
    assert columns.rollout({**GSM8K, "gold": value}).answer == text


def test_answer_as_a_list_is_an_error() -> None:
    columns = find_columns([GSM8K], needed=["answer"])
    with pytest.raises(RowError, match=r"expected text or a number, found list \['4'\]"):
        columns.rollout({**GSM8K, "gold": ["4"]})


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (7, 7),
        ("7", 7),
        (7.0, 7),
        (np.int32(7), 7),
        (None, None),
        ("", None),
        ("7.0", 7),
        ("7.5", RowError),
        ("seven", RowError),
        (-1, RowError),
    ],
)
def test_token_counts_are_whole_numbers(value: object, count: object) -> None:
    columns = find_columns([{"response": "x", "completion_tokens": 1}])
    row = {"response": "x", "completion_tokens": value}
    if count is RowError:
        with pytest.raises(RowError, match="num_tokens"):
            columns.rollout(row)
    else:
        assert columns.rollout(row).num_tokens == count


@pytest.mark.parametrize(
    ("reason", "truncated"), [("length", True), ("stop", False), (None, None), (True, True), ("false", False)]
)
def test_finish_reason_tells_truncation(reason: object, truncated: bool | None) -> None:
    columns = find_columns([{"response": "x", "finish_reason": "stop"}])
    assert columns.rollout({"response": "x", "finish_reason": reason}).truncated is truncated


def test_nan_is_a_missing_value_as_tables_write_it() -> None:
    row = {"response": "x", **dict.fromkeys(("answer", "task", "group", "num_tokens", "truncated"), math.nan)}
    assert find_columns([row]).rollout(row) == Rollout("x", fields=row)


def test_an_empty_cell_is_no_group() -> None:
    row = {"response": "x", "group": ""}
    assert find_columns([row]).rollout(row).group is None


def test_chat_completions_become_the_assistants_text() -> None:
    messages = [
        {"role": "assistant", "content": "one"},
        {"role": "tool", "content": "result"},
        {"role": "assistant", "content": [{"type": "text", "text": "two"}]},
    ]
    assert text_of(messages) == "one\ntwo"
    assert text_of({"role": "assistant", "content": None}) == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from([*sorted(GSM8K), "group", "num_tokens", "truncated"]), json_values))
def test_any_row_gives_a_rollout_or_a_row_error(row: dict[str, object]) -> None:
    columns = find_columns([{**GSM8K, "group": 1, "num_tokens": 2, "truncated": False}], needed=["answer"])
    try:
        rollout = columns.rollout(row)
    except RowError:
        return
    assert isinstance(rollout.completion, str)
    assert rollout.fields == row
