"""Rows of all shapes become conversations; errors name file, row and field."""

import json
import math

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from proctor.sft.chat import DataError, conversation_of, read_conversations
from proctor.verifiers.files.sources import InputError

PAIR = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]

SHAPES = {
    "messages": {"messages": PAIR},
    "conversations": {"conversations": PAIR},
    "sharegpt": {"conversations": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]},
    "prompt messages": {"prompt": PAIR[:1], "completion": PAIR[1:]},
    "prompt messages, completion text": {"prompt": PAIR[:1], "completion": "4"},
    "alpaca": {"instruction": "2+2?", "input": "", "output": "4"},
}


@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_shape_gives_the_same_conversation(shape):
    assert conversation_of(SHAPES[shape], "x").messages == PAIR


def test_a_plain_pair_stays_text():
    conversation = conversation_of({"prompt": "2+2=", "completion": "4", "answer": "4"}, "x")
    assert (conversation.prompt, conversation.completion, conversation.answers) == ("2+2=", "4", ["4"])
    assert conversation.row["answer"] == "4"


def test_alpaca_input_follows_the_instruction():
    row = {"instruction": "Add.", "input": "2 2", "output": "4", "system": "Be brief."}
    messages = conversation_of(row, "x").messages
    assert [message["content"] for message in messages] == ["Be brief.", "Add.\n\n2 2", "4"]


def test_content_in_parts_is_joined():
    turns = [PAIR[0], {"role": "assistant", "content": [{"type": "text", "text": "4"}, {"type": "image"}]}]
    assert conversation_of({"messages": turns}, "x").answers == ["4"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "hello"}, r"columns 'text'; expected 'messages'"),
        ({"messages": "hello"}, r"'messages' is a str, expected a list"),
        ({"messages": []}, r"'messages' is an empty list, expected a list of messages"),
        ({"messages": PAIR, "tools": "[{"}, "'tools' is not valid JSON"),
        ({"prompt": 3, "completion": "4"}, "'prompt' is a int and 'completion' a str; both must be text"),
        ({"prompt": PAIR[:1], "completion": 4}, "'prompt' is a list and 'completion' a int; both must be"),
        ({"instruction": 5, "output": "4"}, r"'instruction' and 'input' must be text, got \[5\]"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, r"'messages'\[0\] has role 'wizard'"),
        ({"messages": [PAIR[0], {"role": "assistant"}]}, r"'messages'\[1\] has no 'content'"),
        ({"messages": [PAIR[0], {"role": "assistant", "content": ""}]}, r"\[1\] 'content' is empty"),
        ({"messages": [PAIR[0], {"role": "assistant", "content": 4}]}, r"\[1\] 'content' is a int"),
        (
            {"messages": [PAIR[0], {**PAIR[1], "weight": "0"}]},
            r"\[1\] 'weight' is '0', expected a number, 0 or more",
        ),
        ({"messages": [PAIR[0], {**PAIR[1], "weight": -1}]}, r"\[1\] 'weight' is -1, expected a number"),
        (
            {"messages": [PAIR[0], {**PAIR[1], "weight": math.nan}]},
            r"\[1\] 'weight' is nan, expected a number",
        ),
        ({"messages": PAIR[:1]}, "no assistant turn"),
        ({"prompt": "2+2", "completion": ""}, "'completion' is empty"),
        ({"prompt": "2+2", "completion": PAIR[1:]}, "both must be text, or both lists of messages"),
    ],
)
def test_errors_name_row_and_field(row, message):
    with pytest.raises(DataError, match=f"^data.jsonl, row 3: .*{message}|^data.jsonl, row 3: {message}"):
        conversation_of(row, "data.jsonl, row 3")


def test_files_of_all_kinds_give_the_same_rows(tmp_path):
    rows = [SHAPES["messages"]] * 3
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    (tmp_path / "b.json").write_text(json.dumps(rows))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "c.parquet")
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "d"))
    for name in ("a.jsonl", "b.json", "c.parquet", "d"):
        conversations = list(read_conversations([tmp_path / name]))
        assert [conversation.messages for conversation in conversations] == [PAIR] * 3
        assert conversations[2].source == f"{tmp_path / name}, row 3"


def test_a_broken_line_is_named_after_the_good_ones_were_given(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(SHAPES["messages"]) + "\n{broken\n")
    stream = read_conversations([path])
    next(stream)
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: broken JSON"):
        next(stream)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "a.jsonl: empty, there is no row in it"),
        ("a.jsonl", b'{"prompt": "\xff"}', "a.jsonl, line 1: not UTF-8"),
        ("a.json", b"[1, 2]", "a.json, line 1: a row must be an object, this is a number"),
        ("a.json", b'[{"prompt": ', "a.json: not JSON"),
        ("a.parquet", b"x", "a.parquet: not readable as Parquet"),
        ("a.txt", b"x", "a.txt: unknown kind of file"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch, name, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"^{message}"):
        list(read_conversations([name]))


def test_a_missing_file_says_what_is_read():
    with pytest.raises(DataError, match=r"nowhere\.jsonl: no such file; \.jsonl, \.json, \.csv"):
        list(read_conversations(["nowhere.jsonl"]))
