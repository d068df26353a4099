"""Rows in the shapes of public data sets, with their own columns: right programs are paid, wrong ones are not."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import proctor
from proctor.sandbox.languages import MissingToolError, tools_of
from proctor.verifiers.core import Rollout
from proctor.verifiers.files.rows import find_columns
from proctor.verifiers.programs.part import Code
from proctor.verifiers.programs.written import parse

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "data_set_rows.jsonl").read_text("utf-8").splitlines()
]


def has_tools(expression: str) -> bool:
    try:
        for name in ("cpp", "java", "javascript", "bash"):
            if f'language="{name}"' in expression:
                tools_of(name)
    except MissingToolError:
        return False
    return True


@pytest.mark.parametrize("case", ROWS, ids=lambda case: f"{case['set']} {case['what']}".strip())
def test_rows_of_data_sets(case: dict[str, Any]) -> None:
    expression = case.get("reward", "code")
    if not has_tools(expression):
        pytest.skip("the language is not installed on this machine")
    reward = proctor.reward(expression)
    given = [{**case["row"], "completion": text} for text in case["right"] + case["wrong"]]
    columns = find_columns(given, needed=reward.columns, given=case.get("mapping"))
    scores = reward.score([columns.rollout(row) for row in given])
    if "says" in case:
        for score in scores:
            told = str([verdict.evidence for verdict in score.verdicts.values()])
            assert score.total is None
            assert case["says"] in told
        return
    wanted = [1.0] * len(case["right"]) + [0.0] * len(case["wrong"])
    assert [score.total for score in scores] == wanted, list(map(str, scores))


def test_columns_that_are_arrays() -> None:
    part = Code(tests="official_tests", timeout=3.0)
    arrays = (
        np.array([{"input": "1 2\n", "output": "3\n"}], dtype=object),
        {"input": np.array(["1 2\n"], dtype=object), "output": np.array(["3\n"], dtype=object)},
    )
    for tests in arrays:
        rows = [Rollout(text, fields={"official_tests": tests}) for text in (ADDS, "```\nprint(1)\n```")]
        assert [verdict.value for verdict in part.verify(rows)] == [1.0, 0.0]


ADDS = "```\nprint(sum(map(int, input().split())))\n```"


def packed(value: object) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


@pytest.mark.parametrize("text", ['[{"input": "1", "output": "é"}]', '["' + "x" * 100_000 + '"]'])
def test_packed_tests_are_read(text: str) -> None:
    assert parse(packed(text)) == json.loads(text)
    for protocol in range(2, 6):
        data = base64.b64encode(zlib.compress(pickle.dumps(text, protocol))).decode()
        assert parse(data) == json.loads(text)


class Harm:
    """A pickle that would call something as it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("/tmp/harm-of-a-pickle"),)


@pytest.mark.parametrize("value", [Harm(), len, ["[1]"], ("[1]", "[2]"), 5, b"[1]"], ids=type)
def test_nothing_but_a_text_is_read_from_a_pickle(value: object) -> None:
    text = packed(value)
    assert parse(text) == text
    assert not Path("/tmp/harm-of-a-pickle").exists()


def test_texts_that_are_not_packed() -> None:
    for text in ("eJ", "eJ =", "eJxLyy/PLwIADLsC", "assert f(1) == 2", "[1, 2", "{not json}"):
        assert parse(text) == text
    assert parse("{'input': ['1'], 'output': None}") == {"input": ["1"], "output": None}
