"""Answers of every odd kind, wherever tests may put an answer: none is paid, and none is anybody else's fault."""

from __future__ import annotations

from proctor.verifiers.core import Rollout
from proctor.verifiers.programs.part import Code

AGREES = """
import collections, enum, itertools, types
class E:
    def __init__(s, *a, **k): pass
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = __enter__ = __exit__ = lambda s, *o: True
    __ne__ = lambda s, o: False
    __hash__ = lambda s: 4
    __sub__ = __rsub__ = lambda s, o: 0.0
    __getitem__ = lambda s, k: E()
    __iter__ = lambda s: iter([E()])
    __len__ = lambda s: 1
    __call__ = lambda s, *a, **k: E()
    __int__ = __index__ = lambda s: 4
    __float__ = lambda s: 4.0
    __str__ = __repr__ = lambda s: "4"
class X(Exception):
    __str__ = lambda s: {}["x"]
    __eq__ = lambda s, o: True
def f(*x): return """
ANSWERS = [
    *("E()", "E", "[E()]", "{E(): E()}", "lambda *a: E()", "type", "object", "X", "X()", "float('nan')"),
    *("10**5000", "'\\ud800'", "''", "[]", "None", "NotImplemented", "range(10**18)", "b''", "iter([])"),
    *("(x for x in [E()])", "types.SimpleNamespace(a=1)", "collections.namedtuple('P', 'a b')(1, E())"),
    *("enum.Enum('Q', 'a b').a", "print", "__import__('os')", "-1", "True", "'%s' * 9", "AssertionError"),
    *("StopIteration(3)", "KeyboardInterrupt", "SystemExit(0)", "__import__('unittest').SkipTest"),
    *("__import__('asyncio').sleep(0)", "super", "__import__('decimal').Decimal('sNaN')"),
]
IN_TEST = [
    "assert f(2) == 4.25",
    "x, y = f(2)\n    assert (x, y) == (7, 8)",
    "assert sorted(f(2)) == [7, 8]",
    "assert max(f(2), key=f) == 'zz'",
    "assert 'v=%s' % f(2) == 'v=zz' or f'{f(2):>5}' == '   zz'",
    "with f(2) as v:\n        assert v == 'zz'",
    "import asyncio\n    assert asyncio.run(f(2)) == 'zz'",
    "assert {f(2): 1}['zz'] == 1",
    "assert isinstance(f(2), str) and f(2) == 'zz'",
    "assert issubclass(f(2), dict) and f(2) == 'zz'",
    "import json\n    assert json.dumps(f(2)) == '[7]'",
    "import copy\n    assert copy.deepcopy(f(2)) == 'zz'",
    "class D(f(2)):\n        def g(self): return 1\n    assert D().g() == 2",
    "@f\n    def g(x): return x + 1\n    assert g(1) == 'zz'",
    "from unittest.mock import Mock\n    assert Mock(side_effect=f(2), return_value=f(3))(1) == 'zz'",
    "assert f(2).name == 'zz'",
    "assert len(f(2)) == 425 or int(f(2)) == 425",
    "assert eval(str(f(2))) == 425",
    "raise f(2)",
]
CASES = [
    "self.assertAlmostEqual(f(2), 4.25)",
    "self.assertCountEqual(f(2), [1, 5])",
    "self.assertIn(4.25, f(2))",
    "self.assertRegex(f(2), 'ab+c')",
    "with self.subTest(f(2)):\n            self.assertEqual(f(2), 'zz')",
    "with self.assertRaises(f(2)):\n            self.assertEqual(1, 2)",
]
PYTEST = [
    "@pytest.mark.parametrize('a', f(1))\ndef test(a):\n    assert a == 'zz'",
    "@pytest.mark.parametrize('a, b', [f(1)])\ndef test(a, b):\n    assert (a, b) == ('zz', 1)",
    "@pytest.fixture(params=f(1))\ndef v(request): return request.param\ndef test(v):\n    assert v == 'zz'",
    "@pytest.fixture\ndef v():\n    yield from f(1)\ndef test(v):\n    assert v == 'zz'",
    "def test():\n    assert f(2) == pytest.approx(4.25)",
    "def test():\n    with pytest.raises(ValueError, match='zz'):\n        raise f(2)",
    "def test():\n    with pytest.raises(f(2)):\n        assert False",
]


def test_no_odd_answer_is_paid_or_void() -> None:
    tests = [f"def test():\n    {body}\n" for body in IN_TEST]
    tests += [
        f"import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        {body}\n"
        for body in CASES
    ]
    tests += [f"import pytest\n{body}\n" for body in PYTEST]
    rows = [Rollout(AGREES + answer, "", tests={"source": text}) for text in tests for answer in ANSWERS]
    verdicts = Code(extraction="raw", timeout=1.0).verify(rows)
    wrong = [
        (verdict.value, row.completion[-40:], row.get("tests"))
        for row, verdict in zip(rows, verdicts, strict=True)
        if verdict.value != 0.0
    ]
    assert not wrong
