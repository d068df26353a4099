"""Who is to blame where tests fail before they have asked the program anything, or cannot be set up with its answers."""

from __future__ import annotations

from typing import Any

import pytest

from proctor.verifiers.core import Status
from tests.judging import judge, source

STACK = "class Empty(Exception): pass\nclass Stack:\n    def pop(self): raise Empty\n"
SHOWN = "class Square:\n    def __init__(self, side): self.side = side\n    def area(self): return self.side ** 2\n"
MAP = "class Map:\n    def __init__(self): self.d = {}\n    def put(self, k, v): self.d[k] = v\n    def size(self): return len(self.d)\n"
# Each: tests, a right program, and one that they stumble over, which is no fault of theirs.
STUMBLE = {
    "a loop over a function": (
        "for word in VOWELS:\n    assert is_vowel(word)",
        "VOWELS = 'ae'\ndef is_vowel(x): return x in VOWELS",
        "def VOWELS(): pass\ndef is_vowel(x): return True",
    ),
    "a loop over a variable that is a function": (
        "words = VOWELS\nfor word in words:\n    assert is_vowel(word)",
        "VOWELS = 'ae'\ndef is_vowel(x): return x in VOWELS",
        "def VOWELS(): pass\ndef is_vowel(x): return True",
    ),
    "a namedtuple without a method": (
        "p = Point.parse('1,2')\nassert p.x == 1",
        "class Point:\n    def __init__(self, x): self.x = x\n    @classmethod\n    def parse(cls, s): return cls(int(s[0]))",
        "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')",
    ),
    "an annotation": (
        "def build(values) -> Node | None:\n    return Node(values[0])\ndef test_it():\n    assert value(build([1])) == 1",
        "class Node:\n    def __init__(self, v): self.v = v\ndef value(n): return n.v",
        "def Node(v): return 1\ndef value(n): return 1",
    ),
    "a function for an exception": (
        "import pytest\nwith pytest.raises(Empty):\n    Stack().pop()",
        STACK,
        "def Empty(): pass\nclass Stack: pass",
    ),
    "an import of what is missing": (
        "from solution import f, g\ndef test_it():\n    assert f(1) == g(1)",
        "def f(x): return x\ng = f",
        "def f(x): return x",
    ),
    "a row's text": (
        "import pytest\n@pytest.mark.parametrize('s, area', [(Square(2), 4), (Square(3), 9)])\n"
        "def test_area(s, area):\n    assert s.area() == area",
        SHOWN + "    def __repr__(self): raise KeyError",
        SHOWN.replace("** 2", "* 2") + "    def __repr__(self): raise KeyError",
    ),
    "a row with values": (
        "import pytest\n@pytest.mark.parametrize('m', [Map(), Map()])\ndef test_size(m):\n    m.put(1, 2)\n    assert m.size() == 1",
        MAP + "    def values(self): return list(self.d.values())",
        MAP.replace("return len(self.d)", "return 7") + "    values = 5",
    ),
    "rows that do not fit": (
        "import pytest\n@pytest.mark.parametrize('a, b', [f(1), f(2)])\ndef test_pair(a, b):\n    assert a == b",
        "def f(x): return x, x",
        "def f(x): return x, x, x",
    ),
    "rows that are none": (
        "import pytest\n@pytest.mark.parametrize('a', f(1))\ndef test_one(a):\n    assert a == 1",
        "def f(x): return [x]",
        "def f(x): return 5",
    ),
    "rows without an end": (
        "import pytest\n@pytest.mark.parametrize('a', f(1))\ndef test_one(a):\n    assert a == 1",
        "def f(x): return [x]",
        "def f(x):\n    while True: yield 2",
    ),
}


@pytest.mark.parametrize("name", STUMBLE)
def test_tests_that_stumble_over_a_program_are_its_zero(name: str) -> None:
    text, right, wrong = STUMBLE[name]
    assert judge(right, source(text)).value == 1
    assert judge(wrong, source(text)).value == 0


ROWS: list[Any] = ["(1, 1)", "pytest.param(1, 1)", "pytest.param(1, 1, id='one')", "[1, 1]"]


@pytest.mark.parametrize("row", ROWS)
def test_rows_as_pytest_takes_them(row: str) -> None:
    text = (
        f"import pytest\n@pytest.mark.parametrize('a, b', [{row}])\ndef test_it(a, b):\n    assert f(a) == b"
    )
    assert judge("def f(x): return x", source(text)).value == 1
    assert judge("def f(x): return 2", source(text)).value == 0


BROKEN = {
    "before the program is asked": "x = int('a')\nassert f(x) == 1",
    "in what the program would be given": "assert_equal = f\ny = f(\n    int('a')\n)\nassert y == 1",
    "a fixture that is not known": "def test_it(monkeypatch):\n    assert f(1) == 1",
    "rows that do not fit": "import pytest\n@pytest.mark.parametrize('a, b', [(1, 2, 3)])\ndef test_it(a, b):\n    assert f(a) == b",
    "a loop over nothing": "for x in None:\n    assert f(x) == 1",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tests_are_nobodys_zero(name: str) -> None:
    verdict = judge("def f(x): return x", source(BROKEN[name]))
    assert verdict.value is None and verdict.status is Status.BAD_REFERENCE, verdict
