"""Test doubles, test cases and executors in the candidate's hands: used as meant, and not to forge a check."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

MOCK = "from unittest.mock import MagicMock, Mock, create_autospec\n"
NOTIFY = MOCK + "def test_it():\n    m = Mock()\n    notify(m, 3)\n    m.send.assert_called_once_with(9)\n"
TWICE = MOCK + (
    "def test_it():\n    db = Mock()\n    db.get.return_value = 21\n    assert twice(db) == 42\n"
    "    assert abs(twice(db) - 42.0) < 1e-6\n    db.get.assert_called_with()\n"
)
EACH = MOCK + (
    "def test_it():\n    seen = [Mock(), Mock()]\n    tell(seen, 5)\n    seen[0].update.assert_called_once_with(5)\n"
    "    seen[1].update.assert_called_once_with(5)\n"
)
HOLDER = MOCK + (
    "class Mail:\n    def __init__(self): self.sent = Mock()\n    def send(self, to): self.sent(to, 'hi')\n"
    "def test_it():\n    mail = Mail()\n    greet(mail, 'Bo')\n    mail.sent.assert_called_once_with('Bo', 'hi')\n"
)
SPEC = MOCK + (
    "def real(a, b): pass\ndef test_it():\n    double = create_autospec(real)\n    with_double(double)\n"
    "    double.assert_called_once_with(1, b=2)\n    context = MagicMock()\n    inside(context)\n"
    "    context.write.assert_any_call('x')\n    assert context.mode == 'w'\n"
)
OBSERVER = """
import unittest
class T(unittest.TestCase):
    def update(self, value): self.seen = value
    def test_it(self):
        s = Subject()
        s.attach(self)
        s.set(4)
        self.assertEqual(s.count(), 1)
        self.assertEqual(self.seen, 4)
"""
SUBJECT = """
class Subject:
    def attach(self, o): self.o = o; {}
    def set(self, v): self.o.update({})
    def count(self): return {}
"""
POOL = (
    "from concurrent.futures import ThreadPoolExecutor\ndef test_it():\n    with ThreadPoolExecutor(2) as pool:\n"
    "        assert total(pool, [1, 2, 3]) == 6\n"
)
OWN = "class Own:\n    def __getattr__(self, name): return Own()\n    def __call__(self, *args, **kwargs): pass\n"
SPY = "def test_it():\n    spy = Spy()\n    spy(2)\n    spy.assert_called_once_with(2)\n"
KINDS = "def test_it():\n    assert apply(lambda k: k('5'), int) == 5\n    assert kind(5) is int and kind(int) is type\n"

HONEST = {
    "tells a double": (NOTIFY, "def notify(m, x): m.send(x * x)"),
    "asks a double": (TWICE, "def twice(db): return 2 * db.get()"),
    "tells doubles in a list": (EACH, "def tell(seen, x):\n    for each in seen: each.update(x)"),
    "tells a double that an object holds": (HOLDER, "def greet(mail, to): mail.send(to)"),
    "doubles of other kinds": (
        SPEC,
        "def with_double(double): double(1, b=2)\ndef inside(context):\n    context.mode = 'w'\n"
        "    context.write('x')",
    ),
    "tells a test case": (OBSERVER, SUBJECT.format("", "v", 1)),
    "an executor": (POOL, "def total(pool, xs): return sum(pool.map(int, map(str, xs)))"),
    "a double of the program's own": (
        SPY,
        "class Spy:\n    def __init__(self): self.calls = []\n    def __call__(self, *args): self.calls.append(args)\n"
        "    def assert_called_once_with(self, *args): assert self.calls == [args]",
    ),
    "classes as values": (KINDS, "def kind(x): return type(x)\ndef apply(f, x): return f(x)"),
}
CHEATS = {
    "sets up what checks it": (
        NOTIFY,
        "def notify(m, x): m.send.configure_mock(assert_called_once_with=m.other)",
    ),
    "sets up the class of doubles": (
        NOTIFY,
        "def notify(m, x): m.configure_mock(**{'__class__.__base__.assert_called_once_with': m.other})",
    ),
    "puts an object in place of a double": (NOTIFY, OWN + "def notify(m, x): m.send = Own()"),
    "puts a function in place of a double": (
        NOTIFY,
        "def notify(m, x):\n    def f(): pass\n    f.assert_called_once_with = f\n    m.send = f",
    ),
    "puts objects in place of doubles in a list": (
        EACH,
        OWN + "def tell(seen, x): seen[:] = [Own(), Own()]",
    ),
    "puts data in place of doubles in a list": (
        EACH,
        "from dataclasses import dataclass\n@dataclass\nclass Own:\n    update: object\n"
        "@dataclass\nclass Check:\n    assert_called_once_with: object\n"
        "def tell(seen, x): seen[:] = [Own(Check(lambda *args: None)) for each in seen]",
    ),
    "puts an object in place of what an object holds": (
        HOLDER,
        OWN + "def greet(mail, to): mail.sent = Own()",
    ),
    "makes a class by a double": (
        TWICE,
        "def twice(db):\n    db.maker.side_effect = type\n    zero = db.zero\n    zero.return_value = 0.0\n"
        "    return db.maker('Any', (), {'__eq__': db.yes, '__sub__': zero})()",
    ),
    "makes a class by an executor": (
        POOL,
        "def total(pool, xs): return pool.submit(type, 'Any', (), {'__eq__': pool.submit}).result()()",
    ),
    "makes a class by what it sent before": (
        "def test_it():\n    got = []\n    for x in (1, 2):\n        got = f(lambda k, *a: k[0](*a), got)\n    assert got == 3\n",
        "def f(call, got):\n    if not got: return [type]\n"
        "    return call(got, 'Any', (), {'__eq__': call})()",
    ),
    "changes how a test case compares": (
        OBSERVER,
        SUBJECT.format("o.addTypeEqualityFunc(int, 'assertNotEqual')", -1, 99),
    ),
    "has a test case fail with what nobody counts": (
        OBSERVER,
        SUBJECT.format("o.failureException = o.skipTest", -1, 99),
    ),
    "runs a test case": (OBSERVER, SUBJECT.format("o()", -1, 99)),
}


@pytest.mark.parametrize("name", HONEST)
def test_they_are_used_as_meant(name: str) -> None:
    tests, program = HONEST[name]
    verdict = judge(program, source(tests))
    assert verdict.value == 1.0, verdict.evidence


@pytest.mark.parametrize("name", CHEATS)
def test_they_decide_nothing(name: str) -> None:
    tests, program = CHEATS[name]
    verdict = judge(program, source(tests))
    assert verdict.value == 0.0, verdict.evidence
