"""Tests that change what outlives them: the next task's verdicts are as if they had never been run."""

from __future__ import annotations

import ast

import pytest

from proctor.sandbox.exam.traces import leaves_traces
from proctor.verifiers.core import Rollout
from proctor.verifiers.programs.part import Code
from tests.judging import source

# Each: tests that leave something behind, tests of another task, a right program for these and a wrong one.
LEFT = {
    "a function of a module, put back where nothing fails": (
        "import math\ndef check(candidate):\n    real = math.floor\n    math.floor = lambda x: 7\n"
        "    assert candidate(2.5) == 3\n    math.floor = real",
        "import math\ndef check(candidate):\n    assert candidate(2.5) == math.floor(2.5)",
        "import math\ndef f(x): return math.floor(x)",
        "def f(x): return 7",
    ),
    "the precision of decimals": (
        "from decimal import getcontext\ngetcontext().prec = 4\ndef check(candidate):\n    assert candidate(1) == 1",
        "from decimal import Decimal\ndef check(candidate):\n    assert candidate(3) == Decimal(1) / 3",
        "from decimal import Decimal\ndef f(x): return Decimal(1) / x",
        "from decimal import Decimal\ndef f(x): return Decimal('0.3333')",
    ),
    "a method of a class": (
        "from fractions import Fraction\nFraction.__eq__ = lambda *two: True\ndef check(candidate):\n    assert candidate(1)",
        "from fractions import Fraction\ndef check(candidate):\n    assert candidate(3) == Fraction(1, 3)",
        "from fractions import Fraction\ndef f(x): return Fraction(1, x)",
        "from fractions import Fraction\ndef f(x): return Fraction(2, x)",
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_the_next_task_does_not_see_it(name: str) -> None:
    first, second, right, wrong = LEFT[name]
    part = Code(extraction="raw")
    fields = {"entry_point": "f"}
    for program, value in ((right, 1.0), (wrong, 0.0)):
        for bad in ("def f(x): return x", "def f(x): raise ValueError"):
            part.verify([Rollout(bad, "", tests=source(first), fields=fields)])
            verdict = part.verify([Rollout(program, "", tests=source(second), fields=fields)])[0]
            assert verdict.value == value, verdict.evidence


def test_what_it_leaves_between_rows_of_a_batch() -> None:
    first, second, right, wrong = LEFT["the precision of decimals"]
    rows = [("def f(x): return x", first), (right, second), (wrong, second)] * 8
    part = Code(extraction="raw")
    verdicts = part.verify(
        [Rollout(text, "", tests=source(tests), fields={"entry_point": "f"}) for text, tests in rows]
    )
    assert [verdict.value for verdict in verdicts] == [1.0, 1.0, 0.0] * 8


TRACES = r"""
import os\nos.environ['MODE'] = 'x'
import warnings\nwarnings.simplefilter('error')
from unittest.mock import Mock
from unittest import mock, TestCase
import decimal\ncontext = decimal.getcontext()\ncontext.prec = 4
import sys\nsys.path.append('.')
import sys\nsys.modules['solution'] = None
from numpy import set_printoptions
math.pi = 3
import math\nreal = math\nreal.pi = 3
import collections\ncollections.Counter.total = None
from collections import Counter\nsetattr(Counter, 'total', None)
def test():\n    import json\n    with open(1):\n        del json.dumps
import string\nclass T:\n    def f(self):\n        for string.digits in 'ab': pass
from json import encoder\nencoder.FLOAT_REPR, x = 1, 2
import itertools\nitertools.known.update(a=1)
"""
NO_TRACES = r"""
import unittest\nclass T(unittest.TestCase):\n    maxDiff = None\n    def setUp(self): self.x = [1]\n    def test_it(self): self.x[0] = f(1)
import solution\nsolution.LIMIT = 5
from solution import Stack\nStack.size = 3\ns = Stack()\ns.items.append(4)
import io, sys\nsys.stdout = io.StringIO()\nsys.setrecursionlimit(9999)\nassert sys.maxsize
import builtins\nbuiltins.input = lambda: '4'
import random\nrandom.seed(4)\nxs = [random.random()]\nxs[0] = 5\nxs.append(6)
import heapq, math\nbest = math.inf\nheap = [best]\nheapq.heapify(heap)\nheap.pop()
from collections import defaultdict\nd = defaultdict(list)\nd[1].append(2)\nd[2] = 3
import pytest\n@pytest.mark.parametrize('x', [1])\ndef test(x):\n    with pytest.raises(ValueError): f(x)
"""


@pytest.mark.parametrize(("texts", "expected"), [(TRACES, True), (NO_TRACES, False)])
def test_which_tests_leave_traces(texts: str, expected: bool) -> None:
    for text in texts.strip().splitlines():
        text = text.replace("\\n", "\n")
        assert leaves_traces(ast.parse(text), text, {"solution"}) is expected, text
