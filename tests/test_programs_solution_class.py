"""Programs in LeetCode's form: a method of `class Solution` that tests name alone, or by an instance."""

import pytest

from proctor.verifiers.core import Status
from proctor.verifiers.programs.extraction import extract
from tests.judging import judge

TWICE = "class Solution:\n    def twice(self, xs: List[int]) -> int:\n        return 2 * sum(xs)\n"
BARE = {"inputs": [[[1, 2]], [[5]]], "outputs": [6, 10], "fn_name": "twice"}


def test_a_bare_name_is_also_found_in_leetcodes_class() -> None:
    """As the judges of APPS, TACO and LiveCodeBench do; and with the imports that those give."""
    assert judge(TWICE, BARE).value == 1.0
    assert extract(f"```python\n{TWICE}```\n```python\nprint(1)\n```", entry="twice").code == TWICE
    assert judge(TWICE.replace("2 *", "3 *"), BARE).status is Status.INCORRECT
    assert judge(TWICE + "\ndef twice(xs):\n    return 0\n", BARE).value == 0.0  # the bare name comes first
    assert judge(TWICE.replace("Solution", "Other").replace(": List[int]", ""), BARE).value == 0.0
    assert judge(TWICE, BARE, tests_in_process=True).value == 1.0


def test_asserts_find_a_bare_name_as_python_does() -> None:
    assert judge("from typing import List\n" + TWICE, ["assert twice([1, 2]) == 6"]).value == 0.0


@pytest.mark.parametrize("entry", ["Solution().twice", "Solution.twice"])
def test_a_method_may_be_named_by_an_instance(entry: str) -> None:
    calls = {"calls": [{"args": [[1, 2]], "expected": 6}], "entry_point": entry}
    assert judge(TWICE, calls).value == 1.0
    check = "def check(candidate):\n    assert candidate([1, 2]) == 6\n"
    assert judge(TWICE, check, entry=entry).value == 1.0
    assert judge(TWICE.replace("2 *", "3 *"), check, entry=entry).value == 0.0


def test_a_body_may_continue_leetcodes_stub() -> None:
    stub = "class Solution:\n    def twice(self, xs: List[int]) -> int:\n"
    assert judge("        return 2 * sum(xs)\n", BARE, prompt=stub).value == 1.0


def test_a_method_may_answer_where_the_prompt_has_a_function() -> None:
    stub = "def twice(xs):\n"
    assert judge(TWICE, BARE, prompt=stub).value == 1.0
    assert judge(TWICE.replace("2 *", "3 *"), BARE, prompt=stub).value == 0.0


def test_a_function_may_answer_where_the_prompt_has_a_method() -> None:
    stub = "class Solution:\n    def twice(self, xs: List[int]) -> int:\n        pass\n"
    assert judge("def twice(xs: List[int]) -> int:\n    return 2 * sum(xs)\n", BARE, prompt=stub).value == 1.0
    assert judge("def twice(xs: List[int]) -> int:\n    return sum(xs)\n", BARE, prompt=stub).value == 0.0
