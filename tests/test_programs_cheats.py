"""What dishonest programs do not gain from hidden tests."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

EQUAL = """
class Equal:
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = lambda self, *other: True
    __ne__ = lambda self, other: False
    __hash__ = lambda self: 1
    __sub__ = __rsub__ = __add__ = __radd__ = __mul__ = __truediv__ = lambda self, other: 0.0
    __abs__ = lambda self: 0.0
    __getitem__ = lambda self, key: Equal()
    __getattr__ = lambda self, name: Equal()
    __call__ = lambda self, *args: Equal()
    __len__ = lambda self: 3
    __class__ = int
"""
CHECKS = {
    "equal": "assert candidate(2) == 4",
    "reflected": "assert 4 == candidate(2)",
    "not unequal": "assert not candidate(2) != 4",
    "close": "assert abs(candidate(2) - 4.0) < 1e-6",
    "close, reflected": "assert abs(4.0 - candidate(2)) < 1e-6",
    "isclose": "import math\n    assert math.isclose(candidate(2), 4.0)",
    "order": "assert 3 < candidate(2) < 5",
    "among": "assert candidate(2) in (4, 5)",
    "holds": "assert 4 in candidate(2)",
    "unittest": "import unittest\n    unittest.TestCase().assertEqual(candidate(2), 4)",
    "member": "assert candidate(2)[0] == 4",
    "attribute": "assert candidate(2).value == 4",
    "nested": "assert [candidate(2)] == [4]",
    "text": "assert str(candidate(2)) == '4'",
    "type": "assert isinstance(candidate(2), int) and candidate(2) == 4",
}


@pytest.mark.parametrize("name", CHECKS)
def test_objects_that_agree_with_everything_earn_nothing(name: str) -> None:
    tests = source(f"def check(candidate):\n    {CHECKS[name]}\n")
    verdict = judge(EQUAL + "\ndef f(x): return Equal()", tests, entry="f")
    assert verdict.value == 0.0, verdict
    method = source(CHECKS[name].replace("candidate(2)", "Solution().f(2)").replace("\n    ", "\n"))
    cheat = EQUAL.replace("Equal", "Solution") + "\n    f = lambda self, x: Solution()\n"
    assert judge(cheat, method).value == 0.0


CHEATS = {
    "leaves while loading": "import os\nos._exit(0)\ndef f(x): return 4",
    "leaves in the call": "import sys\ndef f(x): sys.exit(0)",
    "ends loops": "def f(x): raise StopIteration",
    "skips": "import unittest\ndef f(x): raise unittest.SkipTest('no')",
    "closes its descriptors": "import os\nos.closerange(0, 100)\ndef f(x): return 4",
    "floods": "import os\ndef f(x):\n    while True: os.write(4, b'[\"=\",4]' * 10000)",
    "forges answers": "import os\nos.write(4, b'[\"=\",4]\\n' * 50)\ndef f(x): return 0",
    "asks for the tests": 'import os\nos.write(4, b\'["call",{"ty":"eval"},["1"],[]]\\n\')\ndef f(x): return 4',
    "reads a callback's globals": "def f(x, g=None): return 4 if g is None else g.__globals__",
    "never ends": "def f(x):\n    while True: pass",
    "recurses": "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x)",
    "huge": "def f(x): return [0] * 10**7",
    "deep": "def f(x):\n    y = []\n    for _ in range(10**5): y = [y]\n    return y",
    "forks": "import os\ndef f(x):\n    os.fork()\n    return 5",
    "mock": "from unittest.mock import ANY\ndef f(x): return ANY",
}


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_get_an_honest_zero(name: str) -> None:
    tests = source(
        "def check(candidate):\n    assert all(candidate(x) == 2 * x for x in (2, 3))\n    assert list(map(candidate, (2, 3))) == [4, 6]\n"
    )
    verdict = judge(CHEATS[name], tests, entry="f")
    assert verdict.value == 0.0, verdict


COMPARATOR = """
class AnyOf:
    def __init__(self, *values): self.values = values
    def __eq__(self, other): return other in self.values
"""


def test_a_comparing_class_of_the_tests_cannot_be_made_to_order() -> None:
    tests = source(
        COMPARATOR
        + "def check(candidate):\n    assert candidate(2) == AnyOf(4, 5)\n    assert candidate(2) == 4\n"
    )
    assert judge("def f(x): return 2 * x", tests, entry="f").value == 1.0
    cheat = (
        COMPARATOR
        + "class Every(tuple):\n    __contains__ = lambda *a: True\ndef f(x): return AnyOf(*range(100))"
    )
    assert judge(cheat, tests, entry="f").value == 0.0
