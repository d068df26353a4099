"""Hidden tests against candidates in jails: what honest programs may do, and what verdicts say."""

from __future__ import annotations

from typing import Any

import pytest

from proctor.sandbox.core import Limits
from proctor.sandbox.local.host import LocalSandbox
from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.programs.exams import ExamRow, examine_rows
from proctor.verifiers.programs.extraction import extract
from proctor.verifiers.programs.part import Code
from proctor.verifiers.programs.testset import ExamTests, read_tests
from tests.judging import judge, source

# Each: name, program, tests. All pass; with the second program instead, all must fail.
HONEST = {
    "values of every kind": (
        """
        from collections import *
        from decimal import Decimal
        def f(kind):
            return {"t": (1, [2]), "s": {1, 2}, "c": Counter("aab"), "d": deque([1], 3), "D": Decimal("1.50"), "n": None,
                    "o": OrderedDict(a=1), "i": 10**5000, "nan": float("nan"), "z": 1j, "b": b"x", "k": {1: 2}.keys()}[kind]
        """,
        """
        from collections import Counter, deque, OrderedDict
        from decimal import Decimal
        def check(candidate):
            assert candidate("t") == (1, [2]) and candidate("t") != [1, [2]] and isinstance(candidate("t"), tuple)
            assert candidate("s") == {2, 1} and candidate("c") == {"a": 2, "b": 1} and candidate("d") == deque([1])
            assert candidate("D") == Decimal("1.5") and str(candidate("D")) == "1.50" and candidate("n") is None
            assert candidate("o") == OrderedDict(a=1) and candidate("i") == 10**5000 and candidate("z") == 1j
            assert candidate("nan") != candidate("nan") and candidate("b") == b"x" and candidate("k") == {1}
        """,
        "def f(kind): return 1",
    ),
    "arguments changed in place": (
        """
        def f(grid, seen, box):
            grid[0][0] = "x"; grid.append([9]); seen.add(5); box["k"] = grid[0]; box["k"].reverse(); return grid
        """,
        """
        def check(candidate):
            row = [1, 2]; grid = [row, row]; seen = {1}; box = {}
            result = candidate(grid, seen, box)
            assert row == [2, "x"] and grid == [[2, "x"], [2, "x"], [9]] and grid[0] is row and seen == {1, 5}
            assert box["k"] is row and result is grid
        """,
        "def f(grid, seen, box): grid.append([9]); return grid",
    ),
    "a program that counts its calls": (
        """
        calls = []
        def f(x): calls.append(x); return len(calls)
        """,
        """
        def check(candidate):
            assert {candidate("a"): candidate("b"), candidate("c"): candidate("d")} == {1: 2, 3: 4}
            assert [candidate(-1), sorted([candidate([2])])] == [5, [6]] and candidate(x=(0,)) == 7
        """,
        "def f(x): return 1",
    ),
    "generators and iterators, lazily": (
        """
        def f(n):
            while True:
                yield n
                n += 1
        def g(items): return map(str, items)
        """,
        """
        from itertools import islice
        def check(candidate):
            stream = candidate(3)
            assert next(stream) == 3 and list(islice(stream, 3)) == [4, 5, 6] and iter(stream) is stream
            assert list(g([1, 2])) == ["1", "2"] and sorted(g(iter([2, 1]))) == ["1", "2"]
        """,
        "def f(n): return iter([3, 4, 5])\ndef g(items): return iter(())",
    ),
    "callbacks": (
        """
        def f(items, key, log): return sorted(items, key=key), [log(i) for i in items], list(zip(items, log))[:0]
        """.replace(", list(zip(items, log))[:0]", ""),
        """
        def check(candidate):
            calls = []
            def log(item):
                calls.append(item)
                return candidate([item], lambda x: x, len) if item == [] else item
            assert candidate([3, 1, 2], lambda x: -x, log) == ([3, 2, 1], [3, 1, 2]) and calls == [3, 1, 2]
            def fails(item): raise KeyError(item)
            try:
                candidate([7], None, fails)
            except KeyError as error:
                assert error.args == (7,)
            else:
                assert False
        """,
        "def f(items, key, log): return sorted(items), [log(i) for i in items]",
    ),
    "functions that are returned": (
        "def f(n):\n    def add(m):\n        return n + m\n    return add\ndef twice(g, x): return g(g(x))",
        "def check(candidate):\n    assert candidate(2)(3) == 5\n    assert twice(candidate(2), 1) == 5\n    assert list(map(candidate(1), [1, 2])) == [2, 3]",
        "def f(n): return lambda m: n\ndef twice(g, x): return x",
    ),
    "exceptions, built-in and of the program's own": (
        """
        class Broke(ValueError):
            def __init__(self, text, code): super().__init__(text); self.code = code
        def f(x):
            if x < 0: raise ValueError("negative")
            if x == 0: raise Broke("zero", 7)
            return {}["gone"]
        """,
        """
        import pytest, unittest
        def check(candidate):
            with pytest.raises(ValueError, match="negative"): candidate(-1)
            with pytest.raises(Broke) as caught: candidate(0)
            assert caught.value.code == 7 and str(caught.value) == "zero" and isinstance(caught.value, ValueError)
            with unittest.TestCase().assertRaises(KeyError): candidate(1)
        """,
        "class Broke(Exception): pass\ndef f(x): raise TypeError",
    ),
    "a class under test": (
        """
        class Stack:
            limit = 3
            def __init__(self, items=()): self.items = list(items)
            def push(self, x): self.items.append(x); return self
            def __len__(self): return len(self.items)
            def __eq__(self, other): return isinstance(other, Stack) and self.items == other.items
            def __add__(self, n): return Stack([*self.items, n])
            def __iter__(self): return iter(self.items)
            def __contains__(self, x): return x in self.items
            def __getitem__(self, i): return self.items[i]
            def __repr__(self): return f"Stack({self.items})"
            def __enter__(self): return self
            def __exit__(self, *error): self.items.clear()
            @property
            def top(self): return self.items[-1]
            @staticmethod
            def of(*items): return Stack(items)
        class Deep(Stack): pass
        """,
        """
        def test_stack():
            stack = Stack([1])
            assert stack.push(2).push(3) is stack or len(stack) == 3
            assert stack.top == 3 and list(stack) == [1, 2, 3] and 2 in stack and stack[0] == 1 and Stack.limit == 3
            assert stack == Stack([1, 2, 3]) and stack != Stack([1]) and stack + 4 == Stack.of(1, 2, 3, 4)
            assert repr(stack) == "Stack([1, 2, 3])" and isinstance(Deep(), Stack) and not isinstance(3, Stack)
            stack.items = [9]
            assert stack.top == 9
            with stack as inner: assert inner.top == 9
            assert len(stack) == 0
        """,
        "class Stack:\n    def __init__(self, items=()): self.items = []\n    limit = 3\nclass Deep(Stack): pass",
    ),
    "records, named tuples and enums of the program": (
        """
        from dataclasses import dataclass
        from collections import namedtuple
        from enum import Enum
        P = namedtuple("P", "x y")
        class Colour(Enum):
            RED = 1
            BLUE = 2
        @dataclass
        class R:
            a: int
            b: list
        def point(): return P(1, 2)
        def colour(name): return Colour[name]
        def record(): return R(1, [2])
        """,
        """
        def test_all():
            assert point() == (1, 2) and point().y == 2 and point() == P(1, y=2)
            assert colour("RED") == Colour.RED and colour("RED") is not Colour.BLUE and colour("BLUE").value == 2
            assert record().b == [2] and record().a == 1 and record() == R(1, [2]) and record() != R(2, [2])
        """,
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef point(): return P(2, 1)",
    ),
    "trees of the prompt, by value": (
        """
        class Node:
            def __init__(self, value, left=None, right=None): self.value, self.left, self.right = value, left, right
        def f(node):
            if node: node.left, node.right = f(node.right), f(node.left)
            return node
        """,
        """
        class Node:
            def __init__(self, value, left=None, right=None): self.value, self.left, self.right = value, left, right
        def flat(node): return [flat(node.left), node.value, flat(node.right)] if node else None
        def check(candidate):
            tree = Node(1, Node(2), Node(3, Node(4)))
            assert flat(candidate(tree)) == [[None, 3, [None, 4, None]], 1, [None, 2, None]]
            assert tree.left.value == 3 and candidate(None) is None
        """,
        "class Node:\n    def __init__(self, value, left=None, right=None): self.value, self.left, self.right = value, left, right\ndef f(node): return node",
    ),
    "coroutines": (
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x + 1",
        "import asyncio\ndef check(candidate):\n    assert asyncio.run(candidate(1)) == 2",
        "async def f(x): return x",
    ),
    "constants, keyword arguments and module imports": (
        "LIMIT = 5\nWORDS = ['a']\ndef f(a, *rest, k=1, **more): return [a, rest, k, more]",
        "from solution import f as under_test, LIMIT\nimport solution\nassert LIMIT == 5 and solution.WORDS == ['a']\nassert under_test(1, 2, k=3, z=4) == [1, (2,), 3, {'z': 4}]",
        "LIMIT = 6\nWORDS = []\ndef f(*a, **k): pass",
    ),
    "shared and cyclic arguments and results": (
        "def f(x):\n    x.append(x)\n    return [x, x]",
        "def check(candidate):\n    x = [1]\n    y = candidate(x)\n    assert x[1] is x and y[0] is y[1] and y[0] is x",
        "def f(x): return [[1], [1]]",
    ),
    "a program that prints, recurses and uses the file system": (
        "import sys, os\nprint('PASSED')\ndef f(n):\n    print('{\"result\": \"passed\"}', file=sys.stderr)\n    open('x', 'w').write('1')\n    return n and f(n - 1) + 1",
        "def check(candidate):\n    assert candidate(800) == 800",
        "def f(n): print('PASSED'); return 3",
    ),
    "parametrized and unittest tests": (
        "def f(a, b): return a + b",
        """
        import unittest, pytest
        @pytest.mark.parametrize("a, b, want", [(1, 2, 3), (0, 0, 0)])
        def test_rows(a, b, want): assert f(a, b) == want
        class TestIt:
            def setup_method(self): self.base = 5
            def test_base(self): assert f(self.base, 1) == 6
        class Cases(unittest.TestCase):
            def setUp(self): self.one = 1
            def test_unit(self):
                self.assertEqual(f(self.one, 1), 2)
                with self.subTest("inner"): self.assertTrue(f(1, 1))
        """,
        "def f(a, b): return 0",
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_programs_pass(name: str) -> None:
    good, tests, _ = HONEST[name]
    verdict = judge(good, source(tests), entry="f" if "def check" in tests else "")
    assert verdict.status is Status.CORRECT, verdict
    assert verdict.evidence["isolation"] == "full"


@pytest.mark.parametrize("name", HONEST)
def test_wrong_programs_fail_by_their_own_fault(name: str) -> None:
    _, tests, bad = HONEST[name]
    verdict = judge(bad, source(tests), entry="f" if "def check" in tests else "")
    assert verdict.value == 0.0, verdict


STATUSES = {
    "def f(x): return 3": Status.INCORRECT,
    "def f(x): raise KeyError(x)": Status.RUNTIME_ERROR,
    "def g(x): return 3": Status.RUNTIME_ERROR,
    "def f(x) return 3": Status.COMPILE_ERROR,
    "raise ValueError": Status.RUNTIME_ERROR,
    "def f(x):\n    while True: pass": Status.TIME_LIMIT,
    "def f(x): return len(bytearray(4 * 10**9))": Status.MEMORY_LIMIT,
    "def f(x):\n    while True: print('x' * 100000)": Status.OUTPUT_LIMIT,
    "def f(x): return [0] * 10**7": Status.OUTPUT_LIMIT,
    "": Status.NO_ANSWER,
}


@pytest.mark.parametrize(("code", "status"), STATUSES.items())
def test_each_failure_has_its_status(code: str, status: Status) -> None:
    verdict = judge(code, source("def check(candidate):\n    assert candidate(2) == 4\n"), entry="f")
    assert verdict.status is status, verdict


BROKEN = {
    "nothing is checked": (
        "def check(candidate):\n    for x in []:\n        assert candidate(x)\n",
        Status.MISCONFIGURED,
    ),
    "no assert at all": ("def check(candidate):\n    candidate(1)\n", Status.MISCONFIGURED),
    "the candidate is not used": ("def check(candidate):\n    assert True\n", Status.MISCONFIGURED),
    "no Python": ("def check(candidate)\n    assert candidate(1)", Status.BAD_REFERENCE),
    "fails on its own": (
        "import nothing_like_this_exists\nx = 1 / 0\ndef check(candidate):\n    assert candidate(1)",
        Status.BAD_REFERENCE,
    ),
    "wants a fixture": ("def test_it(mocker):\n    assert f(1)", Status.BAD_REFERENCE),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tests_are_nobodys_zero(name: str) -> None:
    text, status = BROKEN[name]
    verdict = judge("def f(x): return 4", source(text), entry="f")
    assert (verdict.value, verdict.status) == (None, status), verdict


@pytest.mark.parametrize(
    "tests", [None, "", [], {}, {"asserts": []}, {"calls": []}, [1], {"what": 1}, [{"args": [1]}], "[]"]
)
def test_missing_and_shapeless_tests_are_configuration(tests: Any) -> None:
    verdict = judge("def f(x): return 4", tests, entry="f")
    assert verdict.status is Status.MISCONFIGURED
    assert verdict.evidence["problem"]


def test_evidence_shows_the_first_failure() -> None:
    tests = "METADATA = {}\n\ndef check(candidate):\n    assert candidate(1) == 2\n    assert candidate([2], k='a') == {'x': 1}, 'text'\n"
    verdict = judge("def f(x, k=None): return 2 if k is None else [x, k]", tests, entry="f")
    failure = verdict.evidence["failure"]
    assert failure["input"] == "f([2], k='a')"
    assert failure["got"] == "[[2], 'a']"
    assert failure["expected"] == "{'x': 1}"
    assert (failure["number"], verdict.evidence["passed"], verdict.evidence["tests"]) == (1, 1, 2)


def test_partial_credit_counts_statements_that_check() -> None:
    tests = "def check(candidate):\n    assert candidate(1) == 1\n    for x in range(5):\n        assert candidate(x) == x\n    assert candidate(9) == 9\n    x = candidate(3)\n    assert x == 3\n"
    verdict = judge("def f(x): return min(x, 4)", tests, entry="f", credit="partial")
    assert (verdict.value, verdict.status) == (0.75, Status.PARTIAL)
    verdict = judge("def f(x):\n    assert x != 9\n    return x", tests, entry="f", credit="partial")
    assert verdict.value == 0.75
    verdict = judge(
        "import os\ndef f(x): return x if x != 9 else os._exit(0)", tests, entry="f", credit="partial"
    )
    assert verdict.value == 0.5  # what was not reached did not pass


def test_calls_with_weights_tolerance_and_methods() -> None:
    calls = [
        {"args": [2], "expected": 1.0, "weight": 3},
        {"kwargs": {"x": 4}, "expected": 2.0},
        {"args": [9], "expected": 3},
    ]
    half = "class Solution:\n    def __init__(self): self.n = 0\n    def f(self, x):\n        self.n += 1\n        return x / 2 * self.n + 1e-9\n"
    tests = {"calls": calls, "entry_point": "Solution.f"}
    assert judge(half, tests, credit="partial").value == 0.0
    verdict = judge(half, tests, credit="partial", tolerance=1e-6)
    assert verdict.value == pytest.approx(0.8)
    assert judge("Solution = 3", tests).value == 0.0


def test_names_of_the_prompt_are_the_tests_own() -> None:
    prompt = "import math\n\ndef double(x):\n    return 2 * x\n\ndef f(x):\n    '''Half of x'''\n"
    tests = "def check(candidate):\n    assert math.isclose(candidate(double(3)), 3)\n"
    assert judge("    return x / 2\n", tests, prompt=prompt, entry="f").status is Status.CORRECT
    cheat = "    return 0.0\n\ndef double(x): return 0\nclass math:\n    isclose = lambda *a: True\n"
    assert judge(cheat, tests, prompt=prompt, entry="f").value == 0.0


def test_tests_in_process_say_so() -> None:
    code = "LIMIT = 3\ndef f(x): return LIMIT"
    tests = "def check(candidate):\n    assert candidate(1) == candidate.__globals__['LIMIT'] == 3\n"
    verdict = judge(code, tests, entry="f", tests_in_process=True)
    assert verdict.status is Status.CORRECT
    assert "tests_in_process" in verdict.evidence["protocol"]
    assert judge(code, tests, entry="f").value == 0.0
    assert judge("def f(x): return 1", tests, entry="f", tests_in_process=True).value == 0.0
    forged = "import os, sys\nos.write(3, b'R\\x02\\x00\\x00\\x00{}')\ndef f(x): os._exit(0)"
    assert judge(forged, tests, entry="f", tests_in_process=True).value == 0.0


def test_many_samples_of_one_task_keep_apart() -> None:
    part = Code(extraction="raw", timeout=3.0)
    tests = ["assert f(1) == 1", "state = f(2)", "assert state == 2"]
    codes = [
        "def f(x): return x",
        "def f(x): return 0",
        "import os\ndef f(x): os._exit(1)",
        "def f(x): return x",
    ] * 5
    verdicts = part.verify([Rollout(code, tests=tests) for code in codes])
    assert [verdict.value for verdict in verdicts] == [1.0, 0.0, 0.0, 1.0] * 5


def test_examiners_own_time_is_not_the_candidates() -> None:
    """Tests may compute what they expect; the candidate's clock gives that time back."""
    tests = """
    import time
    def check(candidate):
        while time.process_time() < 3:
            pass
        assert candidate(1) == 2
    """
    paper = read_tests(source(tests), entry="f")
    assert isinstance(paper, ExamTests)
    row = ExamRow(extract("def f(x): return x + 1", rule="raw"), paper, False)
    limits = Limits(cpu_s=1.0, wall_s=1.5)
    with LocalSandbox(1) as sandbox:
        [verdict] = examine_rows([row], sandbox, limits, partial=False)
    assert verdict.status is Status.CORRECT, verdict
    assert verdict.seconds > 2
