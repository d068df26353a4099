"""Programs that answer with what is no answer: objects that take part in the tests, and lines forged by hand."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Status
from tests.judging import judge, source

DOUBLES = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n"
METHOD = "def test_it():\n    s = Solution()\n    assert abs(s.f(2) - 4.0) < 1e-6\n"
FULL = (
    "def test_it():\n    try:\n        f(1)\n        assert False, 'no room'\n    except {}:\n        pass\n"
)
# Answers every request on its own, in place of the candidate's end of the exam.
FORGE = """
import os, socket
lines = socket.socket(fileno=os.dup(4)).makefile("rwb", buffering=0)
{}
"""
ENUM = r"""
for line in lines:
    names = b'["=",{"d":["f",["enum",[["A",2],["B",3],["NAME",{"h":[0,"function",0,["function"],[]]}]],null],"",[]]}]'
    lines.write((names if b'"names"' in line else b'["=",true]') + b"\n")
"""
ERROR = r"""
def f(x):
    lines.write(b'["!",{"E":[["ValueError"],["x"],[],[]]},WHERE]\n')
    while True: pass
"""
LEAVES = "import os\nclass Bad:\n    def __repr__(self): %s\n    __str__ = __repr__\n"

CHEATS = {
    "an enum with a way to compare": (FORGE.format(ENUM.replace("NAME", "__eq__")), DOUBLES, "f"),
    "an enum with a way to look up": (FORGE.format(ENUM.replace("NAME", "_missing_")), DOUBLES, "f"),
    "a place of an error that is a set": (FORGE.format(ERROR.replace("WHERE", '{"s":[1]}')), DOUBLES, "f"),
    "a place of an error that is long": (
        FORGE.format(ERROR.replace("WHERE", "\"' + b'x' * 10**7 + b'\"")),
        DOUBLES,
        "f",
    ),
    "leaves when it is shown": (
        LEAVES % "os._exit(0)"
        + "from dataclasses import dataclass\n@dataclass\nclass R:\n    x: object\ndef f(x): return R(Bad())",
        DOUBLES,
        "f",
    ),
    "leaves when its error is shown": (
        LEAVES % "raise KeyboardInterrupt" + "def f(x): raise ValueError(Bad())",
        DOUBLES,
        "f",
    ),
    "a class in place of a function": (
        "class f:\n    def __init__(self, x): pass\n    __sub__ = __rsub__ = lambda self, other: 0.0",
        "def check(candidate):\n    assert abs(candidate(2) - 4.0) < 1e-6\n",
        "f",
    ),
    "itself as the answer": (
        "class Solution:\n    def f(self, x): return self\n    __sub__ = __rsub__ = lambda self, other: 0.0",
        METHOD,
        "",
    ),
    "itself as an answer that is kept": (
        "class Solution:\n    def f(self, x): return self\n    def __contains__(self, item): return True",
        "def test_it():\n    s = Solution()\n    r = s.f(2)\n    s.f(3)\n    assert 4 in r\n",
        "",
    ),
    "itself as the answer, in place": (
        "class Solution:\n    def f(self, x): return self\n    def __isub__(self, x): return 0.0",
        "def test_it():\n    s = Solution()\n    r = s.f(2)\n    r -= 4.0\n    assert abs(r) < 1e-6\n",
        "",
    ),
    "swallows what failed": (
        "class Solution:\n    f = lambda self, x: 0\n    __enter__ = lambda self: self\n    __exit__ = lambda *a: True",
        "def test_it():\n    with Solution() as s:\n        assert s.f(2) == 4\n",
        "",
    ),
    "swallows what a test stumbled over": (
        "class Solution:\n    f = lambda self, x: []\n    __enter__ = lambda self: self\n    __exit__ = lambda *a: True",
        "def test_it():\n    with Solution() as s:\n        assert s.f(2)[0] == 4\n",
        "",
    ),
    "an exception that is all of them": ("Full = Exception\ndef f(x): return 0", FULL.format("Full"), ""),
    "an exception that is all of them, awaited": (
        "Full = Exception\ndef f(x): return 0",
        "import pytest\ndef test_it():\n    with pytest.raises(Full):\n        f(1)\n        pytest.fail('no')\n",
        "",
    ),
    "exceptions in a tuple": ("Full = (AssertionError,)\ndef f(x): return 0", FULL.format("Full"), ""),
    "an exception of a class": (
        "class Stack:\n    Full = Exception\ndef f(x): return 0",
        FULL.format("Stack.Full"),
        "",
    ),
    "an heir of a class that compares": (
        "class Any:\n    pass\nclass Near(Any):\n    pass\ndef f(x):\n    n = Near()\n    n.v = range(9)\n    return n",
        "class Any:\n    def __eq__(self, o): return o in self.v\nclass Near(Any): pass\n" + DOUBLES,
        "f",
    ),
    "ends the tests' loops by an exception": (
        "def f(x): raise StopIteration",
        "import pytest\ndef test_it():\n    with pytest.raises(RuntimeError):\n        f(1)\n",
        "",
    ),
    "a copy of itself as the answer": (
        "class Solution:\n    def f(self, x): return self\n    __sub__ = __rsub__ = lambda self, other: 0.0\n"
        "    __copy__ = __deepcopy__ = lambda self, *memo: Solution()",
        "import copy\ndef test_it():\n    r = copy.deepcopy(Solution().f(2))\n    assert abs(r - 4.0) < 1e-6\n",
        "",
    ),
    "a list that says it is equal": (
        "class Stack(list):\n    __eq__ = lambda self, other: True\n    __ne__ = lambda self, other: False\n"
        "    def push(self, x): pass\n    __iter__ = copy = lambda self: iter([4])",
        "def test_it():\n    s = Stack()\n    s.push(4)\n    assert s == [4]\n",
        "",
    ),
    "a named tuple that says it is equal": (
        "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\n    __eq__ = lambda self, other: True\n"
        "    __add__ = __sub__ = lambda self, other: 0\ndef f(x): return P(0)",
        "def test_it():\n    assert P(0).x == 0\n    assert f(2) == (4,)\n",
        "",
    ),
    "an enum that says it is equal": (
        "from enum import Enum\nclass C(Enum):\n    A = 2\n    B = 3\n    __eq__ = lambda self, other: True\n"
        "    __hash__ = lambda self: 1\ndef f(x): return C.A",
        "def test_it():\n    assert f(2) == C.B\n",
        "",
    ),
    "swallows what failed, in a coroutine": (
        "class Solution:\n    def f(self, x): return 0\n    async def __aenter__(self): return self\n"
        "    async def __aexit__(self, *error): return True",
        "import asyncio\ndef test_it():\n    async def main():\n        async with Solution() as s:\n"
        "            assert s.f(2) == 4\n    asyncio.run(main())\n",
        "",
    ),
    "cancels the tests' tasks": (
        "import asyncio\ndef f(x): raise asyncio.CancelledError",
        "import asyncio\ndef test_it():\n    async def one(): assert f(2) == 4\n"
        "    async def main():\n        task = asyncio.create_task(one())\n        await asyncio.wait([task])\n"
        "        if not task.cancelled(): task.result()\n    asyncio.run(main())\n",
        "",
    ),
    "stops a test case by its own means": (
        "import unittest.case\ndef f(x): raise unittest.case._ShouldStop",
        "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): self.assertEqual(f(2), 4)\n",
        "",
    ),
    "prints what says it is equal": (
        "class Any:\n    __eq__ = lambda self, other: True\n    __str__ = lambda self: 'no'\ndef f(x): print(Any())",
        "from unittest.mock import patch\ndef test_it():\n    with patch('builtins.print') as said: f(2)\n"
        "    said.assert_called_once_with(4)\n",
        "",
    ),
    "a class that goes by the name of another": (
        "class int:\n    def __init__(self, x=0): pass\n    __sub__ = __rsub__ = lambda self, other: 0.0\ndef f(x): return int()",
        "def test_it():\n    assert type(f(2)).__name__ == 'int'\n    assert f(2) == 4\n",
        "",
    ),
    "a function in place of a class": (
        "def Stack(): return 0",
        "def test_it():\n    assert isinstance(Stack, type)\n    assert Stack().size() == 0\n",
        "",
    ),
    "no attribute where a class has one": (
        "def Stack(): return 0",
        "def test_it():\n    assert Stack.most == 3\n",
        "",
    ),
}


@pytest.mark.parametrize("name", CHEATS)
def test_what_is_no_answer_is_an_honest_zero(name: str) -> None:
    code, tests, entry = CHEATS[name]
    verdict = judge(code, source(tests), entry=entry)
    assert verdict.value == 0.0, verdict


SELF = """
class S:
    last = None
    def __new__(cls):
        known, S.last = S.last, None
        return known or object.__new__(cls)
    __sub__ = __rsub__ = lambda self, other: 0.0
    __contains__ = lambda self, item: True
    def other(self, x):
        S.last = object.__new__(S)
        return S.last
    def each(self, act): act(self)
    def fill(self, out): out.append(self)
    def greet(self): print(self)
    def fail(self): raise ValueError(self)
"""
WAYS_BACK = {
    "to a callback": "seen = []\n    S().each(seen.append)\n    assert abs(seen[0] - 4.0) < 1e-6",
    "in a list of the tests": "out = []\n    S().fill(out)\n    assert abs(out[0] - 4.0) < 1e-6",
    "by print": "with patch('builtins.print') as said: S().greet()\n    assert 'Bob' in said.call_args[0][0]",
    "in an exception": "with pytest.raises(ValueError) as c: S().fail()\n    assert 'bad' in c.value.args[0]",
    "as one that is made later": "got = S().other(2)\n    S().other(3)\n    assert abs(got - 4.0) < 1e-6",
}


@pytest.mark.parametrize("name", WAYS_BACK)
def test_an_object_that_comes_back_is_no_number_by_its_own_word(name: str) -> None:
    tests = f"import pytest\nfrom unittest.mock import patch\ndef test_it():\n    {WAYS_BACK[name]}\n"
    assert judge(SELF, source(tests)).value == 0.0


# A forged answer: few entries, which others refer to often.
SHARED = r"""
def ref(number): return b'{KEY:%d}' % number
doubled = [b'[%b,%b]' % (ref(i + 1), ref(i + 1)) for i in range(60)] + [b'[]']
row = b'[' + b','.join([b'1'] * 100000) + b']'
text = b'"' + b'x' * 100000 + b'"'
often = b'[' + b','.join([ref(0)] * 100000) + b']'
heap, root = HEAP, ROOT
for line in lines:
    names = b'["=",{"d":["f",["function"],"",[]]}]'
    answer = b'{"g":[[%b],[],["=",%b]]}' % (b','.join(heap), root)
    lines.write((names if b'"names"' in line else answer) + b"\n")
"""


def shared(key: str, heap: str, root: str) -> str:
    return FORGE.format(SHARED.replace("KEY", key).replace("HEAP", heap).replace("ROOT", root))


LINE = "import os\nL = b'[\"=\",[' + b','.join([b'[]'] * 1900000) + b']]\\n'\n"
BOMBS = {
    "a range": ("def f(x): return range(10**12)", "sum(candidate(3)) == 6"),
    "shared lists": (
        "def f(x):\n    a = []\n    for _ in range(60): a = [a, a]\n    return a",
        "candidate(3) == candidate(3)",
    ),
    "shared lists in a record, which is shown": (
        "from dataclasses import dataclass\n@dataclass\nclass R:\n    x: object\n"
        "def f(x):\n    a = []\n    for _ in range(60): a = [a, a]\n    return R(a)",
        "candidate(3) == 6",
    ),
    "shared lists among entries that nobody refers to": (
        shared('"#"', "doubled + [b'[]'] * 9000", "ref(0)"),
        "candidate(3) == 6",
    ),
    "shared lists, spelled otherwise": (shared(r' "\u0023" ', "doubled", "ref(0)"), "candidate(3) == 6"),
    "one list many times": (shared('"#"', "[row]", "often"), "sum(map(sum, candidate(3))) == 6"),
    "one text many times": (shared('"#"', "[text]", "often"), "''.join(candidate(3)) == '6'"),
    "many large items": (
        LINE + "def f(x):\n    yield 1\n    while True: os.write(4, L)\n",
        "list(candidate(3)) == [1, 2, 3]",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_answers_that_stand_for_more_than_they_say_are_too_much_output(name: str) -> None:
    """They would take the tests' own time and memory, whose end is a fault of nobody's: a zero escaped."""
    code, check = BOMBS[name]
    verdict = judge(code, source(f"def check(candidate):\n    assert {check}\n"), entry="f")
    assert (verdict.value, verdict.status) == (0.0, Status.OUTPUT_LIMIT), verdict


def test_shared_and_cyclic_answers_of_usual_size_are_read() -> None:
    code = """
    def f(n):
        row = [0] * n
        ring = [1]
        ring.append(ring)
        return [row] * n, ring, range(n)
    """
    tests = source(
        "def check(candidate):\n    rows, ring, numbers = candidate(1000)\n"
        "    assert rows == [[0] * 1000] * 1000 and ring[1][1] is ring and numbers == range(1000)\n"
    )
    assert judge(code, tests, entry="f").value == 1.0


NODE = """
class Node:
    def __init__(self, v):
        self.v = v
    def same(self, other):
        return self.v == other.v

def f(x):
"""


def test_an_attribute_does_not_hide_a_method_of_the_tests_own_class() -> None:
    tests = source("def check(candidate):\n    assert candidate(2).same(Node(4))\n")
    assert judge("def f(x): return Node(2 * x)", tests, entry="f", prompt=NODE).value == 1.0
    cheat = "def f(x):\n    n = Node(0)\n    n.same = lambda other: True\n    return n"
    assert judge(cheat, tests, entry="f", prompt=NODE).value == 0.0
    spy = source(
        "class Spy:\n    def __init__(self): self.seen = []\n    def saw(self, x): return x in self.seen\n"
        "def check(candidate):\n    spy = Spy()\n    candidate(spy)\n    assert spy.saw(4)\n"
    )
    assert judge("def f(spy): spy.seen = [4]", spy, entry="f").value == 1.0
    assert judge("def f(spy): spy.saw = lambda x: True", spy, entry="f").value == 0.0


def test_objects_of_the_tests_go_whole_only_where_the_tests_name_their_class() -> None:
    tests = source(
        "def check(candidate):\n    class Spy:\n        def __init__(self): self._hidden = 987654\n"
        "    assert candidate(Spy()) == 1\n"
    )
    asks = r"""
lines.readline()
lines.write(b'["=",{"d":["f",["function"],"",["Spy"]]}]' + b"\n")
os.write(2, lines.readline())
os._exit(1)
"""
    verdict = judge(FORGE.format(asks), tests, entry="f")
    assert verdict.value == 0.0
    assert '"call"' in verdict.evidence["stderr"]
    assert "987654" not in verdict.evidence["stderr"]


def test_a_program_that_ends_before_its_tests_has_no_share_of_them() -> None:
    calls = [{"args": [1], "expected": 2}, {"args": [2], "expected": 3}]
    verdict = judge("import os\nos._exit(0)", calls, entry="f", credit="partial", tests_in_process=True)
    assert (verdict.value, verdict.status) == (0.0, Status.RUNTIME_ERROR)


HONEST = {
    "a subclass": ("class A: pass\nclass B(A): pass", "assert issubclass(B, A) and not issubclass(A, B)"),
    "a wrapped function's name": (
        "import functools\ndef logged(g):\n    @functools.wraps(g)\n    def w(*a): return g(*a)\n    return w",
        "@logged\n    def hi(x): return x\n    assert hi(2) == 2 and hi.__name__ == 'hi'",
    ),
    "attributes of a function": (
        "import functools\n@functools.cache\ndef f(x): return x",
        "f.cache_clear(); f(1); f(1)\n    assert f.cache_info().hits == 1",
    ),
    "swallows what the tests raise": (
        "class Quiet:\n    __enter__ = lambda self: self\n    def __exit__(self, kind, *a): return kind is ZeroDivisionError",
        "with Quiet():\n        1 / 0\n    assert True\n    with pytest.raises(KeyError), Quiet():\n        {}[1]",
    ),
    "knows what was raised": (
        "class Deal:\n    def __enter__(self): return self\n"
        "    def __exit__(self, kind, error, trace): self.undone = kind, str(error)",
        "deal = Deal()\n    with pytest.raises(ValueError):\n        with deal: raise ValueError('x')\n"
        "    assert deal.undone == (ValueError, 'x')",
    ),
    "a generator": (
        "def f():\n    x = yield 1\n    yield x",
        "g = f()\n    assert isinstance(g, types.GeneratorType) and next(g) == 1 and g.send(5) == 5\n"
        "    with pytest.raises(StopIteration):\n        g.send(1)\n    assert list(f()) == [1, None]",
    ),
    "a file in memory": (
        "def f(file): return file.read().split()",
        "assert f(io.StringIO('a b')) == ['a', 'b']",
    ),
    "an exception by another name": (
        "Full = Exception\ndef f(x): raise Full(x)",
        "try:\n        f(1)\n        assert False\n    except Full:\n        pass",
    ),
    "arithmetic of a class": (
        "class V:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return self.x == o.x\n"
        "    def __mul__(self, k): return V(self.x * k)\n    def __sub__(self, k): return V(self.x - k)",
        "assert V(3) * 2 * 2 == V(12) and V(3) - 1 - 1 == V(1)",
    ),
    "methods that return the object": (
        "class Bag:\n    def __init__(self): self.items = []\n    def __contains__(self, x): return x in self.items\n"
        "    def add(self, x): self.items.append(x); return self\n    def __sub__(self, x): return len(self.items) - x",
        "bag = Bag()\n    bag.add(1)\n    bag.add(2).add(3)\n    assert 3 in bag and bag - 1 == 2\n"
        "    assert bag.add(4) is bag",
    ),
    "operators in place": (
        "class V:\n    def __init__(self, x): self.x = x\n    def __iadd__(self, k): self.x += k; return self\n"
        "    def __sub__(self, k): return V(self.x - k)",
        "v = w = V(3)\n    v += 2\n    assert w.x == 5 and v is w and (v - 1).x == 4\n    v -= 1\n    assert w.x == 5 and v.x == 4",
    ),
    "enters as itself": (
        "class Pool:\n    __enter__ = lambda self: self\n    __exit__ = lambda *a: None\n    __contains__ = lambda self, x: x == 4",
        "with Pool() as pool:\n        assert 4 in pool and 5 not in pool",
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_programs_pass(name: str) -> None:
    code, body = HONEST[name]
    verdict = judge(code, source(f"import io, types, pytest\ndef test_it():\n    {body}\n"))
    assert verdict.value == 1.0, verdict


def test_a_report_that_is_none_spoils_one_verdict_only() -> None:
    code = """
    import os, sys
    frame = sys._getframe()
    while "nonce" not in frame.f_locals.get("spec", ()):
        frame = frame.f_back
    nonce = frame.f_locals["spec"]["nonce"]
    frame.f_locals["channel"].report(nonce.encode() + b"{{{")
    os._exit(0)
    """
    verdict = judge(code, source("assert f(2) == 4"), tests_in_process=True)
    assert (verdict.value, verdict.status) == (0.0, Status.RUNTIME_ERROR)
