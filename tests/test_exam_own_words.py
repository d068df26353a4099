"""Tests that run texts by `eval` and `exec`: their own as ever, a program's answers only where these compute."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Status
from tests.judging import judge, source

EVAL = "expected = 4\ndef test():\n    assert eval(f('2+2')) == expected\n"
EXEC = "def test():\n    ns = {}\n    exec(f('2+2'), ns)\n    assert ns['x'] == 4\n"
REACHING = {
    "leaves": ("""__import__('os')._exit(0)""", EVAL),
    "changes the tests' names": (
        "__import__('sys')._getframe(1).f_globals.update(all=lambda *a: True) or 4",
        EVAL,
    ),
    "names what is expected": ("expected", EVAL),
    "a template that reads attributes": ("int('{0.__globals__[expected]}'.format(lambda: 0))", EVAL),
    "globals of a function": ("(lambda: 0).__globals__['expected']", EVAL),
    "a frame": ("(i for i in ()).gi_frame.f_back", EVAL),
    "a class that agrees, by its name": ("type('E', (), {'__eq__': lambda s, o: True})()", EVAL),
    "a class that agrees": ("class E:\n    def __eq__(s, o): return True\nx = E()", EXEC),
    "a class that agrees, by assignment": ("class E:\n    __eq__ = lambda s, o: True\nx = E()", EXEC),
    "a module": ("import builtins\nbuiltins.all = lambda *a: True\nx = 5", EXEC),
    "a function of a module": ("import math\nmath.isclose = lambda *a: True\nx = 5", EXEC),
}


@pytest.mark.parametrize("name", REACHING)
def test_an_answer_that_reaches_for_more_is_a_zero(name: str) -> None:
    answer, tests = REACHING[name]
    verdict = judge(f"def f(x): return {answer!r}", source(tests))
    assert verdict.value == 0.0, verdict


HONEST = {
    "an expression": ("def f(x): return '2 + 2'", EVAL),
    "a lambda": ("def f(x): return '(lambda a, *b: sum([a, *b]))(1, 3)'", EVAL),
    "functions": (
        "def f(x): return 'import math\\ndef g(a):\\n    return math.floor(a)\\nx = g(4.5)'",
        EXEC,
    ),
    "a class": (
        "def f(x): return 'class P:\\n    def __init__(self, v):\\n        self.v = v\\nx = P(4).v'",
        EXEC,
    ),
    "texts of the tests": (
        "def f(x): return x * 2",
        "exec('import os\\ny = os.sep')\ndef test():\n    k = 3\n    assert eval('f(2)') == 4 and y == '/'\n"
        "    assert eval('f(k)') == 6 and eval('f(k)', {'f': f, 'k': 1}) == 2\n"
        "    assert [eval(f'f({i})') for i in range(2)] == [0, 2]\n"
        "    assert eval(compile('f(2)', 'x', 'eval')) == 4\n",
    ),
    "handed to the program": ("def f(g): return g('4')", "def test():\n    assert f(eval) == 4\n"),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_computes_is_run(name: str) -> None:
    code, tests = HONEST[name]
    verdict = judge(code, source(tests))
    assert verdict.value == 1.0, verdict


def test_what_reaches_is_not_lent() -> None:
    code = "def f(g, x):\n    try: return g(x, '__class__')\n    except TypeError: return 4"
    assert judge(code, source("def test():\n    assert f(getattr, 2) != 4\n")).value == 0.0


@pytest.mark.slow  # 24 s of the tests' own work
def test_a_short_answer_that_keeps_the_tests_busy_is_the_programs_zero() -> None:
    tests = "def test():\n    n = 0\n    for i in range(f(3)):\n        n += 1\n    assert n == 3\n"
    verdict = judge("def f(x): return 10**15", source(tests))
    assert verdict.value == 0.0 and verdict.status is Status.TIME_LIMIT, verdict
