"""Suites of pytest's and unittest's kind: every test of a file is run, or nobody is blamed."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from proctor.verifiers.core import Status
from tests.judging import judge, source

RIGHT = "def f(x):\n    if x < 0: raise ValueError('neg')\n    return x * 2"
WRONG = "def f(x):\n    if x < 0: raise ValueError('neg')\n    return x + 1"  # right for 1
ABOUT_ONE = "\ndef test_one(): assert f(1) == 2\n"
WORDS_OF_ITS_OWN = (
    "class raises:\n    def __init__(self, *a, **k): pass\n    def __enter__(self): return self\n"
    "    def __exit__(self, *a): return True\n"
    "approx = fail = mark = lambda *a, **k: True\ndef f(x): return 2\n"
)


@pytest.mark.parametrize(
    "tests",
    [
        "from pytest import raises\ndef test_error():\n    with raises(ValueError): f(-1)",
        "import pytest\ndef test_error():\n    with pytest.raises(ValueError): f(-1)",
        "import pytest as pt\ndef test_error():\n    with pt.raises(ValueError): f(-1)",
    ],
)
def test_words_of_pytest_are_not_asked_of_the_program(tests: str) -> None:
    assert judge(RIGHT, source(tests + ABOUT_ONE)).status is Status.CORRECT
    assert judge(WORDS_OF_ITS_OWN, source(ABOUT_ONE + tests)).value == 0.0


# Each is passed by RIGHT, and failed by WRONG in the very test that used not to be run.
SUITES = {
    "classes in classes": """
        class TestOuter:
            n = 0
            def setup_class(self): self.n = 3
            class TestInner:
                def setup_method(self): self.n = 3
                def test_it(self): assert f(self.n) == 6
            class TestCase:
                pass
        """,
    "a case of unittest in a class": """
        import unittest
        class TestOuter:
            class Inner(unittest.TestCase):
                def test_it(self): self.assertEqual(f(3), 6)
        """,
    "inherited methods, classes that only serve as a base": """
        from abc import ABC, abstractmethod
        class Base:
            def test_it(self): assert f(self.n) == 2 * self.n
        class TestThree(Base): n = 3
        class TestAbstract(ABC):
            @abstractmethod
            def n(self): ...
            def test_it(self): assert f(self.n()) == 2 * self.n()
        class TestFour(TestAbstract):
            def n(self): return 4
        class TestNone:
            __test__ = False
            def test_it(self): assert f(self.n) == 2 * self.n
        """,
    "class methods and static methods": """
        class TestIt:
            @classmethod
            def test_class(cls): assert f(3) == 6
            @staticmethod
            def test_static(): assert f(4) == 8
        """,
    "async in pytest": """
        async def test_function(): assert f(3) == 6
        class TestIt:
            async def test_method(self): assert f(3) == 6
        """,
    "async in unittest": """
        import unittest
        class Plain(unittest.TestCase):
            async def test_it(self): self.assertEqual(f(3), 6)
        """,
    "async in unittest's own class": """
        import unittest
        class Own(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self): self.n = 3
            async def test_it(self): self.assertEqual(f(self.n), 6)
        """,
    "a case with runTest": """
        import unittest
        class Single(unittest.TestCase):
            def runTest(self): self.assertEqual(f(3), 6)
        """,
    "made by a loop": """
        assert f(1) == 2
        def make(i):
            def run(): assert f(i) == 2 * i
            return run
        for i in range(3): globals()[f'test_{i}'] = make(i)
        """,
    "defined in a block of a script": """
        assert f(1) == 2
        try:
            import json
        except ImportError:
            pass
        else:
            def test_it(): assert f(3) == 6
        """,
    "skipped by a condition": """
        import pytest, unittest
        @pytest.mark.skipif(False, reason="never")
        def test_it(): assert f(3) == 6
        @pytest.mark.skipif(True, reason="always")
        def test_skipped(): assert f(3) == 7
        @pytest.mark.xfail(False, reason="never")
        def test_too(): assert f(4) == 8
        @unittest.skip("never")
        def test_another(): assert f(3) == 7
        @pytest.mark.parametrize("x", [3, pytest.param(-1, marks=pytest.mark.xfail)])
        def test_row(x): assert f(x) == 2 * x
        """,
    "parametrized classes": """
        import pytest
        @pytest.mark.parametrize("x, want", ((x, 2 * x) for x in (1, 3)))
        class TestIt:
            def test_first(self, x, want): assert x > 0
            @pytest.mark.parametrize("more", [0, 1])
            def test_it(self, x, want, more): assert f(x + more) == want + 2 * more
        """,
    "parametrized by keywords, and a whole file": """
        import pytest
        pytestmark = pytest.mark.parametrize(argnames="x", argvalues=[1, 3])
        def test_it(x): assert f(x) == 2 * x
        """,
    "set-up of a file": """
        k = None
        log = []
        def setup_module(module): module.k = 3
        def teardown_module(): assert f(len(log)) == 6
        def setup_function(function): log.append(function.__name__)
        def teardown_function(): log.append("end")
        def test_a(): assert log == ["test_a"] and f(1) == 2
        def test_b(): assert k == 3 and log == ["test_a", "end", "test_b"]; log.pop()
        """,
    "set-up of a file of unittest": """
        import unittest
        seen = []
        def setUpModule(): seen.append("file")
        def tearDownModule(): assert f(len(seen)) == 8
        class Cases(unittest.TestCase):
            @classmethod
            def setUpClass(cls): seen.append("class")
            def setUp(self): seen.append("test"); self.addCleanup(seen.pop)
            def test_a(self): self.assertEqual(seen, ["file", "class", "test"])
            def test_b(self): self.assertEqual(seen, ["file", "class", "test"])
            @classmethod
            def tearDownClass(cls): seen.extend(["end", f(1)])
        """,
    "set-up of a class is done once, its tests run as they stand": """
        class TestIt:
            @classmethod
            def setup_class(cls): cls.seen = []
            def test_b(self): self.seen.append(f(1)); assert self.seen == [2]
            def test_a(self): self.seen.append(f(3)); assert self.seen == [2, 6]
            def teardown_class(cls): assert len(cls.seen) == 2
        """,
    "fixtures with params": """
        import pytest
        closed = []
        @pytest.fixture(params=[1, pytest.param(3, id="three")], ids=str)
        def n(request):
            request.addfinalizer(lambda: closed.append(request.param))
            return request.param
        @pytest.fixture
        def twice(n, request): return n + request.getfixturevalue("n")
        @pytest.fixture
        def tenfold(request): return getattr(request, "param", 0) * 10
        def test_it(n, twice): assert f(n) == twice
        def test_closed(): assert closed == [1, 3]
        @pytest.mark.parametrize("tenfold, x", [(1, 20)], indirect=["tenfold"])
        def test_indirect(tenfold, x): assert f(tenfold) == x
        """,
    "fixtures of wider scopes": """
        import pytest
        log = []
        @pytest.fixture(scope="module")
        def store():
            items = {}
            yield items
            items.clear()
            assert f(3) == 6
        @pytest.fixture(scope="class")
        def shelf(store): log.append("shelf"); return []
        class TestA:
            def test_1(self, store, shelf): store["a"] = 1; shelf.append(1)
            def test_2(self, store, shelf): assert store == {"a": 1} and f(len(shelf)) == 2
        class TestB:
            def test_1(self, store, shelf): assert store == {"a": 1} and shelf == [] and len(log) == 2
        """,
    "fixtures that are used unasked": """
        import pytest, unittest
        log = []
        @pytest.fixture
        def filled():
            log.append(3)
            yield
            log.clear()
        @pytest.mark.usefixtures("filled")
        def test_it(): assert f(log[0]) == 6
        @pytest.mark.usefixtures("filled")
        class TestIt:
            def test_it(self): assert f(len(log)) == 2
        class Cases(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def own(self, filled): self.n = log[0]
            def test_it(self): self.assertEqual(f(self.n), 6)
        """,
    "words": """
        import pytest
        def test_it():
            with pytest.raises(expected_exception=ValueError) as caught: f(-1)
            assert caught.errisinstance((KeyError, ValueError)) and f(3) == 6
        """,
    "patched by a decorator": """
        from unittest.mock import patch, ANY
        @patch("builtins.input", return_value="x")
        @patch("builtins.print", new=len)
        def test_it(asked): assert f(3) == 6 and asked() == "x"
        """,
    "data that is called like a test": """
        from dataclasses import dataclass
        from enum import Enum
        @dataclass
        class TestCase:
            x: int
            want: int
        class TestKind(Enum):
            ODD = 3
        def test_it():
            for case in [TestCase(TestKind.ODD.value, 6)]: assert f(case.x) == case.want
        """,
}

HELPED = {
    "a helper that is called check": "def check(x): assert f(x) == 2 * x\ndef test_it(): check(3)",
    "one of a class": "def check(x): assert f(x) == 2 * x\nclass TestIt:\n    def test_it(self): check(3)",
    "one with two arguments": "def check(x, want): assert f(x) == want\ndef test_it(): check(3, 6)",
    "one of a script": "def check(x, want): assert f(x) == want\ncheck(3, 6)",
    "a check that is called by a test": "def check(candidate): assert candidate(3) == 6\ndef test_it(): check(f)",
    "a check beside data": "class TestData: pass\ndef check(fn, more=1): assert fn(3) == 6",
    "a check in a script that is run by itself": (
        "def check(candidate): assert candidate(3) == 6\nif __name__ == '__main__':\n    check(f)"
    ),
    "a script that is run by itself": "assert f(1) == 2\nif __name__ == '__main__':\n    assert f(3) == 6",
}


def test_a_check_that_a_test_calls_knows_what_is_tested() -> None:
    tests = source("def check(candidate): assert candidate(3) == 6\ndef test_it(): check(f)\ntest_it()")
    assert judge(RIGHT, tests).status is Status.CORRECT
    assert judge(WRONG, tests).status is Status.INCORRECT


def test_fixtures_may_return_generators_of_the_program() -> None:
    tests = "import pytest\n@pytest.fixture\ndef steps(): return g()\ndef test_it(steps): assert list(steps) == [1, 2]"
    assert judge("def g():\n    yield 1\n    yield 2", source(tests)).status is Status.CORRECT
    assert judge("def g():\n    yield 1", source(tests)).status is Status.INCORRECT


@pytest.mark.parametrize("name", HELPED)
def test_a_check_is_given_the_candidate_and_a_helper_is_not(name: str) -> None:
    assert judge(RIGHT, source(HELPED[name]), entry="f").status is Status.CORRECT
    wrong = judge(WRONG, source(HELPED[name]), entry="f")
    assert (wrong.value, wrong.status) == (0.0, Status.INCORRECT), wrong


@pytest.mark.parametrize("name", SUITES)
def test_every_test_is_run(name: str) -> None:
    assert judge(RIGHT, source(SUITES[name])).status is Status.CORRECT
    wrong = judge(WRONG, source(SUITES[name]))
    assert (wrong.value, wrong.status) == (0.0, Status.INCORRECT), wrong


WARNINGS = """
import pytest, unittest, warnings
def test_warns():
    with pytest.warns(UserWarning, match="^old") as caught: assert w(1) == 1
    assert len(caught) == 1 and str(caught[0].message) == "old 1"
    assert pytest.warns(UserWarning, w, 2) == 2
def test_caught():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        w(1), d(), d()
        assert [each.category for each in caught] == [UserWarning, DeprecationWarning, DeprecationWarning]
def test_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning): w(1)
class Cases(unittest.TestCase):
    def test_it(self):
        with self.assertWarns(DeprecationWarning): d()
        with self.assertWarnsRegex(UserWarning, "old"): w(3)
"""
WARNING = "def d(): warnings.warn('gone', DeprecationWarning)\ndef w(x):\n    warnings.warn(f'old {x}')\n    return x"


@pytest.mark.parametrize("in_process", [False, True])
def test_warnings_are_heard(in_process: bool) -> None:
    tests = source(WARNINGS)
    for _ in range(2):  # the second program is heard like the first
        verdict = judge("import warnings\n" + WARNING, tests, tests_in_process=in_process)
        assert verdict.status is Status.CORRECT, verdict
    for wrong in ("", "import warnings\nwarnings.warn = print\n"):
        assert judge(wrong + WARNING, tests, tests_in_process=in_process).value == 0.0
    silent = "def d(): pass\ndef w(x): return x"
    assert judge(silent, tests, tests_in_process=in_process).status is Status.INCORRECT


# Behind a test that calls the program: what cannot be run is a fault of the tests all the same.
NOT_RUN = {
    "a fixture that is not known": "def test_it(mocker): assert f(3) == 6",
    "one that a fixture asks for": """
        import pytest
        @pytest.fixture
        def own(recwarn): return 3
        def test_it(own): assert f(own) == 6""",
    "a word that is not known": "import pytest\ndef test_it():\n    f(3)\n    pytest.exit('not today')",
    "a test that skips itself": "import pytest\ndef test_it():\n    pytest.skip('not today')\n    f(3)",
    "a file that does": "import pytest\npytest.skip('not today', allow_module_level=True)",
    "one that is not known of a request": "def test_it(request): assert f(3) == len(request.keywords)",
    "a test that yields": "def test_it():\n    yield\n    assert f(3) == 6",
    "a case that yields": """
        import unittest
        class Cases(unittest.TestCase):
            def test_it(self):
                yield
                assert f(3) == 6""",
    "a class that is made with arguments": """
        class TestIt:
            def __init__(self, n): self.n = n
            def test_it(self): assert f(self.n) == 6""",
    "tests by a protocol": "def load_tests(loader, tests, pattern): return tests",
}


@pytest.mark.parametrize("name", NOT_RUN)
@pytest.mark.parametrize("options", [{}, {"credit": "partial"}, {"tests_in_process": True}])
def test_what_cannot_be_run_is_a_fault_of_the_tests(name: str, options: dict[str, Any]) -> None:
    tests = textwrap.dedent(ABOUT_ONE) + textwrap.dedent(NOT_RUN[name])
    for program in (RIGHT, WRONG):
        verdict = judge(program, source(tests), **options)
        assert (verdict.value, verdict.status) == (None, Status.BAD_REFERENCE), verdict


LEFT_OUT = """
    import pytest
    def test_it():
        try: got = f(3)
        except NotImplementedError: pytest.skip("not there yet")
        if got is None: pytest.xfail("nothing yet")
        assert got == 6
"""


@pytest.mark.parametrize("body", ["raise NotImplementedError", "return None"])
def test_an_answer_that_leaves_a_test_out_is_no_way_out(body: str) -> None:
    verdict = judge(f"def f(x): {body}", source(LEFT_OUT))
    assert (verdict.value, verdict.status) == (0.0, Status.INCORRECT), verdict
    assert judge(RIGHT, source(LEFT_OUT)).value == 1.0


def test_partial_credit_sees_every_test_of_a_suite() -> None:
    tests = "class TestA:\n    def setup_class(self): f(1)\n    def test_1(self): assert f(1) == 2\n    def test_2(self): assert f(3) == 6\n"
    verdict = judge(WRONG, source(tests), credit="partial")
    assert (verdict.value, verdict.evidence["tests"]) == (0.5, 2)
    verdict = judge(WRONG, source(tests.replace("f(1)\n", "assert f(3) == 6\n", 1)), credit="partial")
    assert verdict.value == 0.0  # a class whose set-up fails has no test that passes
