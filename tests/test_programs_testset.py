"""The shapes that tests come in, each judged for a right and a wrong program."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proctor.sandbox.core import Execution, Limits, Outcome, Program
from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.programs.extraction import extract
from proctor.verifiers.programs.part import Code
from proctor.verifiers.programs.sandboxes import SandboxKey, sandbox_for
from proctor.verifiers.programs.stdio import StdioRow, StdioRules, run_rows
from proctor.verifiers.programs.testset import ExamTests, StdioTests, TestShapeError, read_tests
from tests.judging import judge

RIGHT, WRONG = "def f(a, b=1):\n    return a + b\n", "def f(a, b=1):\n    return a * b\n"
STDIO_RIGHT, STDIO_WRONG = "print(sum(map(int, input().split())))", "print(3)"

FUNCTIONS: dict[str, Any] = {
    "check": "def check(candidate):\n    assert candidate(2, 3) == 5\n",
    "check that calls itself": "def check(g):\n    assert g(2, 3) == 5\n\ncheck(f)\n",
    "script": "x = f(2, 3)\nassert x == 5\n",
    "pytest": "def test_f():\n    assert f(2, 3) == 5\n",
    "asserts": ["assert f(2) == 3", "assert f(2, 3) == 5"],
    "asserts on candidate": {"asserts": ["assert candidate(2, 3) == 5"], "entry_point": "f"},
    "a row of MBPP": {
        "test_list": ["assert f(N, 3) == 5"],
        "test_setup_code": "N = 2",
        "test_imports": ["import math"],
    },
    "source in a mapping": {"source": "assert f(2, 3) == 5"},
    "test in a mapping": {
        "test": "def check(candidate):\n    assert candidate(2, 3) == 5",
        "entry_point": "f",
    },
    "calls": [{"args": [2, 3], "expected": 5}, {"args": [2], "kwargs": {"b": 3}, "expected": 5}],
    "calls with a name": {"calls": [{"args": [2, 3], "expected": 5}], "entry_point": "f"},
    "inputs with a reference": {"inputs": [[2, 3], [4]], "reference": RIGHT, "entry_point": "f"},
    "APPS, by name": {"fn_name": "f", "inputs": [[2, 3], [4, 4]], "outputs": [[5], 8]},
    "LiveCodeBench, functional": [{"input": "2\n3", "output": "5", "testtype": "functional"}],
    "JSON text": json.dumps([{"args": [2, 3], "expected": 5}]),
}
STDIO: dict[str, Any] = {
    "pairs": [["1 2\n", "3\n"], ("2 2\n", "4")],
    "mappings": [{"input": "1 2\n", "output": "3\n"}, {"input": "2 2\n", "output": "4\n"}],
    "LiveCodeBench, stdin": [{"input": "2 2", "output": "4", "testtype": "stdin"}],
    "APPS": {"inputs": ["1 2\n", "2 2\n"], "outputs": ["3\n", "4\n"]},
    "APPS with lines": {"inputs": [["2 2"]], "outputs": [["4"]]},
    "CodeContests": {"input": ["2 2\n"], "output": ["4\n"]},
    "nested": {"tests": [{"input": "2 2\n", "output": "4\n"}]},
    "JSON text": json.dumps({"inputs": ["2 2\n"], "outputs": ["4\n"]}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_shapes_that_call_functions(name: str) -> None:
    part = Code(extraction="raw", timeout=3.0)
    fields = {"entry_point": "f"}
    right, wrong = part.verify(
        [Rollout(code, tests=FUNCTIONS[name], fields=fields) for code in (RIGHT, WRONG)]
    )
    assert (right.value, wrong.value) == (1.0, 0.0), (right, wrong)


@pytest.mark.parametrize("name", STDIO)
def test_shapes_of_standard_input(name: str) -> None:
    part = Code(extraction="raw", timeout=3.0)
    right, wrong = part.verify([Rollout(code, tests=STDIO[name]) for code in (STDIO_RIGHT, STDIO_WRONG)])
    assert (right.value, wrong.value) == (1.0, 0.0), (right, wrong)


def test_weights_and_partial_credit_on_standard_input() -> None:
    tests = [
        {"input": "1 2", "output": "3", "weight": 3},
        {"input": "2 2", "output": "4"},
        {"input": "3 3", "output": "6"},
    ]
    verdict = Code(extraction="raw", credit="partial").verify([Rollout(STDIO_WRONG, tests=tests)])[0]
    assert (verdict.value, verdict.status) == (0.6, Status.PARTIAL)
    assert (verdict.evidence["failed_with"], verdict.evidence["passed"]) == ("incorrect", 1)
    failure = verdict.evidence["failure"]
    assert (failure["number"], failure["input"], failure["got"], failure["expected"]) == (
        1,
        "2 2",
        "3\n",
        "4",
    )


def test_a_right_answer_may_be_longer_than_the_limit_of_output() -> None:
    tests = [{"input": "", "output": "é" * 1_500_000}]
    right, flood = Code(extraction="raw").verify(
        [Rollout(code, tests=tests) for code in ("print('é' * 1_500_000)", "while True: print('é' * 1000)")]
    )
    assert (right.value, right.status) == (1.0, Status.CORRECT)
    assert (flood.value, flood.status) == (0.0, Status.OUTPUT_LIMIT)


CHECKERS = {
    "function": "def check(input, output, expected):\n    a, b = map(int, output.split())\n    return a + b == int(input)\n",
    "script": (
        "import sys\ntexts = [open(name).read() for name in sys.argv[1:]]\n"
        "sys.exit(0 if sum(map(int, texts[1].split())) == int(texts[0]) else 1)\n"
    ),
}


@pytest.mark.parametrize("name", CHECKERS)
def test_a_checker_of_the_tasks_own_decides(name: str) -> None:
    tests = {
        "tests": [{"input": "7\n", "output": "any"}, {"input": "9\n", "output": "any"}],
        "checker": CHECKERS[name],
    }
    part = Code(extraction="raw", timeout=3.0)
    programs = ["n = int(input())\nprint(1, n - 1)", "print(3, 4)"]
    right, wrong = part.verify([Rollout(code, tests=tests) for code in programs])
    assert (right.value, wrong.value) == (1.0, 0.0), (right, wrong)


def test_a_checker_says_no_by_a_message_too() -> None:
    tests = {"tests": [{"input": "", "output": ""}], "checker": "import sys\nsys.exit('wrong answer')"}
    verdict = Code(extraction="raw").verify([Rollout("print(1)", tests=tests)])[0]
    assert (verdict.value, verdict.status) == (0.0, Status.INCORRECT)


def test_a_checker_that_prints_its_no_is_not_taken_for_a_yes() -> None:
    tests = {
        "tests": [{"input": "", "output": "7"}],
        "checker": "import sys\nprint(int('7' in open(sys.argv[2]).read()))",
    }
    wrong, right = Code(extraction="raw").verify([Rollout(f"print({n})", tests=tests) for n in (1, 7)])
    assert (wrong.value, wrong.status, right.value) == (None, Status.GRADER_ERROR, 1.0)
    assert "the checker printed 0 and yet said yes" in wrong.evidence["problem"]


class LostAfter:
    """A sandbox that is lost after so many programs."""

    def __init__(self, runs: int) -> None:
        self.sandbox, self.left = sandbox_for(SandboxKey("local", "full")), runs

    def run(self, program: Program) -> Execution:
        self.left -= 1
        return self.sandbox.run(program) if self.left >= 0 else Execution(outcome=Outcome.INTERNAL_ERROR)


def test_a_checker_that_could_not_be_tried_has_not_said_no() -> None:
    tests = read_tests({"tests": [{"input": "7\n", "output": "1 6"}], "checker": CHECKERS["function"]})
    assert isinstance(tests, StdioTests)
    row = StdioRow(extract("print('one six')"), tests)
    rules = StdioRules("python", "local", Limits(), "token", 0.0, False, 5)
    lost, whole = (run_rows([row], LostAfter(runs), rules)[0] for runs in (2, 3))  # type: ignore[arg-type]
    assert (lost.value, lost.status) == (None, Status.UNAVAILABLE)
    assert (whole.value, whole.status) == (0.0, Status.INCORRECT)


@pytest.mark.parametrize(
    "checker", ["def check(input, output, expected):\n    return 1 / 0\n", "import sys\nsys.exit(7)", "x ="]
)
def test_a_checker_that_fails_is_no_zero(checker: str) -> None:
    tests = {"tests": [{"input": "7\n", "output": "any"}], "checker": checker}
    verdict = Code(extraction="raw").verify([Rollout("print(1)", tests=tests)])[0]
    assert (verdict.value, verdict.status) == (None, Status.GRADER_ERROR)
    assert "the checker failed" in verdict.evidence["problem"]


def test_a_checker_that_fails_on_this_output_alone_has_said_no() -> None:
    tests = {"tests": [{"input": "7\n", "output": "1 6"}], "checker": CHECKERS["function"]}
    verdict = Code(extraction="raw").verify([Rollout("print('one six')", tests=tests)])[0]
    assert (verdict.value, verdict.status) == (0.0, Status.INCORRECT)
    assert "could not read the output" in str(verdict.evidence)


@pytest.mark.parametrize("checker", [*CHECKERS.values(), "import sys\nsys.exit(2)"])
def test_an_output_that_no_checker_can_read_is_wrong_though_no_right_one_is_known(checker: str) -> None:
    tests = {"tests": [{"input": "7\n", "output": ""}], "checker": checker}
    verdict = Code(extraction="raw").verify([Rollout("print('one six')", tests=tests)])[0]
    assert (verdict.value, verdict.status) == (0.0, Status.INCORRECT), verdict


@pytest.mark.parametrize("checker", ["x =", "import no_such_module", "def check(i, o, e): return wrong_name"])
def test_a_checker_that_no_output_can_break_is_broken_itself(checker: str) -> None:
    tests = {"tests": [{"input": "7\n", "output": ""}], "checker": checker}
    verdict = Code(extraction="raw").verify([Rollout("print(1)", tests=tests)])[0]
    assert (verdict.value, verdict.status) == (None, Status.GRADER_ERROR)


def test_reading_alone() -> None:
    stdio = read_tests(STDIO["mappings"])
    assert isinstance(stdio, StdioTests)
    assert (stdio.cases[0].input, stdio.weights) == ("1 2\n", (1.0, 1.0))
    calls = read_tests(FUNCTIONS["calls"], entry="f")
    assert isinstance(calls, ExamTests)
    assert (calls.entry, calls.weights) == ("f", (1.0, 1.0))
    for tests, message in (
        ([{"args": [1], "expected": 1}], "needs the name of what to call"),
        ({"inputs": ["a"], "outputs": ["b", "c"]}, "1 inputs and 2 outputs"),
        ({"inputs": ["a"], "outputs": 5}, "a list of tests was expected"),
        ({"input": ["\ud800"], "output": ["1"]}, "half a surrogate pair"),
        ([{"expected": 1}, 5], "every call needs"),
        ({"test_list": ["assert f()"], "test_imports": 5}, "cannot be read"),
        ([{"input": True, "output": 2}], "must be text"),
        ({"calls": [{"args": [1]}], "entry_point": "f"}, "needs 'expected'"),
        ([{"input": "", "output": "", "weight": -1}], "a weight must be"),
        ([{"input": "", "output": "", "weight": 10**400}], "a weight must be a number from 0 to 1e"),
        ([{"input": "a" * (33 << 20), "output": ""}], "an input of 34,603,008 characters"),
        (" null\n", "the row has no tests"),
        ({"calls": [{"args": {"a": 1}, "expected": 1}], "fn_name": "f"}, "must be a list, got {'a': 1}"),
        ({"calls": [{"args": "ab", "expected": 1}], "fn_name": "f"}, "must be a list, got 'ab'"),
        ({"calls": [{"kwargs": [1], "expected": 1}], "fn_name": "f"}, "'kwargs' of a call must be an object"),
        ({"inputs": ["ab"], "outputs": [1], "fn_name": "f"}, "must be JSON, got 'ab'"),
        ({"inputs": [5], "outputs": [1], "fn_name": "f"}, "must be a list, got 5"),
        ({"assert_case": ["assert f()"], "outputs": ["1"]}, "both 'assert_case' and 'outputs'"),
        ([{"input": 1, "output": 2, "fn_name": name} for name in "fg"], "call several functions: f, g"),
        ({"asserts": [1]}, "text only"),
        ({"asserts": "assert 1"}, "a list of tests was expected"),
    ):
        with pytest.raises(TestShapeError, match=message):
            read_tests(tests)
    nested = "[" * 100_000
    assert isinstance(read_tests(nested), ExamTests)  # a text that is no JSON is source


def test_several_rows_of_every_kind_in_one_batch() -> None:
    part = Code(extraction="raw", timeout=3.0)
    rows = [
        Rollout(RIGHT, tests=FUNCTIONS["asserts"]),
        Rollout(STDIO_RIGHT, tests=STDIO["pairs"]),
        Rollout(RIGHT, tests=None),
        Rollout(WRONG, tests=FUNCTIONS["pytest"]),
        Rollout("", tests=FUNCTIONS["asserts"]),
    ]
    assert [verdict.value for verdict in part.verify(rows)] == [1.0, 1.0, None, 0.0, 0.0]


def test_inputs_that_came_through_json_take_the_types_of_the_examples() -> None:
    reference = (
        "def f(pair, z, kinds=()):\n    assert isinstance(pair, tuple)\n    return pair + (z.imag, kinds)\n"
    )
    tests = {
        "inputs": [[[1, [2]], "1j"], [[], "(-0-2j)"], [[1], "2j", [1, 1]]],
        "reference": reference,
        "entry_point": "f",
        "examples": "assert f((1, 2), 3j) == 5\nassert f((1,), 1j, {1}) == g(h)\nassert f(x) == 1",
    }
    lists = "def f(pair, z, kinds=()):\n    return list(pair) + [z.imag, kinds]\n"
    right, wrong = Code(extraction="raw").verify([Rollout(code, tests=tests) for code in (reference, lists)])
    assert (right.value, wrong.value) == (1.0, 0.0), (right, wrong)


def test_of_an_object_without_a_plain_form_the_reference_tells_the_truth_only() -> None:
    reference = "import re\ndef f(text):\n    return re.match('a', text)\n"
    tests = {"inputs": [["abc"], ["b"]], "reference": reference, "entry_point": "f"}
    codes = [reference, "def f(text): return text[0] == 'a'", "def f(text): return True"]
    assert [
        verdict.value for verdict in Code(extraction="raw").verify([Rollout(c, tests=tests) for c in codes])
    ] == [1, 1, 0]


def test_floats_of_a_reference_are_compared_within_a_millionth() -> None:
    tests = {
        "inputs": [[3.0]],
        "reference": "def f(x): return x / 3 + 1e-9",
        "entry_point": "f",
        "tolerance": 0,
    }
    near, far = Code(extraction="raw").verify(
        [Rollout(f"def f(x): return {y}", tests=tests) for y in (1.0, 1.001)]
    )
    assert (near.value, far.value) == (1.0, 0.0)


def test_expected_answers_beyond_a_message_are_the_references_fault() -> None:
    tests = {
        "inputs": [[10], [3 * 10**6]],
        "reference": "def f(n): return list(range(n))",
        "entry_point": "f",
    }
    verdict = judge("def f(n): return [1]", tests)
    assert (verdict.value, verdict.status) == (None, Status.BAD_REFERENCE)
    assert "too large to send" in verdict.evidence["problem"]
