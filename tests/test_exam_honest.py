"""Honest programs whose objects, exceptions and enums tests look at closely: all are paid, and wrong ones are not."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

IMPORTS = """
import abc, asyncio, copy, dataclasses, enum, inspect, io, json, types, pytest
from collections.abc import Callable, Iterable, Iterator
"""
# Each: a program, what is asserted of it, and a program that is wrong.
CASES = {
    "a class is a class": (
        "class Stack:\n    'Holds.'\n    def __init__(self): self.items = []\n    def __len__(self): return len(self.items)",
        "s = Stack()\n    assert isinstance(Stack, type) and type(s) is Stack and s.__class__ is Stack\n"
        "    assert type(s).__name__ == 'Stack' == Stack.__name__ and Stack.__doc__ == s.__doc__ == 'Holds.'\n"
        "    assert not callable(s) and not isinstance(s, Iterable) and len(s) == 0 and not s and 'items' in dir(s)\n"
        "    assert inspect.isclass(Stack) and type(s)().items == []\n"
        "    with pytest.raises(TypeError): s + 1",
        "class Stack:\n    'Holds.'\n    def __init__(self): self.items = []\n    def __call__(self): pass",
    ),
    "classes of objects that functions return": (
        "class Cat: pass\nclass Dog: pass\ndef make(kind): return {'cat': Cat, 'dog': Dog}[kind]()",
        "assert type(make('cat')).__name__ == 'Cat' and type(make('dog')) is not type(make('cat'))\n"
        "    assert type(type(make('cat'))()) is Cat",
        "class Cat: pass\ndef make(kind): return Cat()",
    ),
    "attributes as a dict": (
        "class Car:\n    def __init__(self, make): self.make = make; self._number = 5",
        "car = Car('vw')\n    assert vars(car) == {'make': 'vw', '_number': 5} == car.__dict__ and car._number == 5",
        "class Car:\n    __slots__ = ('make', '_number')\n    def __init__(self, make): self.make = make; self._number = 5",
    ),
    "a dataclass, by what the library does with it": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int = 2\n    def far(self): return self.x",
        "p = P(1)\n    assert dataclasses.asdict(p) == {'x': 1, 'y': 2} and dataclasses.astuple(p) == (1, 2)\n"
        "    assert dataclasses.is_dataclass(P) and [f.name for f in dataclasses.fields(p)] == ['x', 'y']\n"
        "    assert dataclasses.replace(p, y=3) == P(1, 3) and p == P(1)",
        "class P:\n    def __init__(self, x, y=2): self.x, self.y = x, y\n    __eq__ = lambda self, other: True",
    ),
    "kinds and parameters of functions": (
        "async def a(): return 3\ndef g(n):\n    yield n\nasync def ag():\n    yield 1\n"
        "def f(a, /, b: int = 2, *args, c=3, **more): return a",
        "assert asyncio.iscoroutinefunction(a) and inspect.iscoroutinefunction(a) and not inspect.iscoroutinefunction(f)\n"
        "    assert inspect.isgeneratorfunction(g) and inspect.isasyncgenfunction(ag) and not inspect.isgeneratorfunction(a)\n"
        "    assert str(inspect.signature(f)) == '(a, /, b: int = 2, *args, c=3, **more)'\n"
        "    assert list(inspect.signature(g).parameters) == ['n'] and f(1) == 1 and asyncio.run(a()) == 3",
        "def a(): return 3\ndef g(m):\n    return [m]\ndef ag(): pass\ndef f(a, b=2): return a",
    ),
    "exceptions of the tests, to be caught and raised": (
        "def retry(f, kinds, times=2):\n    for n in range(times):\n        try: return f()\n"
        "        except kinds as error: last = error\n    raise last\n"
        "def check(x, kind): \n    if x < 0: raise kind(f'{x} is negative')\n    return x",
        "global Busy, Late\n    class Busy(Exception): pass\n    class Late(Busy): pass\n    seen = []\n    def busy():\n        seen.append(1)\n"
        "        if len(seen) < 2: raise Late('wait')\n        return 7\n    assert retry(busy, (Busy, KeyError)) == 7 and len(seen) == 2\n"
        "    def never(): raise Late('never')\n    with pytest.raises(Late, match='never'): retry(never, Late)\n"
        "    with pytest.raises(Busy, match='-1 is negative'): check(-1, Busy)\n"
        "    with pytest.raises(Late): retry(never, (KeyError,))",
        "def retry(f, kinds, times=2):\n    try: return f()\n    except Exception: return 7\ndef check(x, kind): return x",
    ),
    "a method in whose place the tests set a double": (
        "class D:\n    def send(self, x): return x\n    def go(self): return self.send(3)",
        "from unittest.mock import Mock\n    d = D()\n    assert d.go() == 3\n    d.send = Mock(return_value=5)\n    assert d.go() == 5\n"
        "    d.send.assert_called_once_with(3)\n    assert D().send(4) == 4",
        "class D:\n    def send(self, x): return x\n    def go(self): return 3",
    ),
    "copies": (
        "class Bag:\n    def __init__(self): self.items = []\n    def add(self, x): self.items.append(x)\n"
        "    def __eq__(self, other): return self.items == other.items",
        "bag = Bag()\n    bag.add(1)\n    deep, same = copy.deepcopy(bag), copy.copy(bag)\n    assert deep == bag\n"
        "    bag.add(2)\n    assert deep.items == [1] and same.items == [1, 2] and type(deep) is Bag\n"
        "    two = copy.deepcopy([bag, bag])\n    assert two[0] is two[1] is not bag",
        "class Bag:\n    items = []\n    def add(self, x): self.items.append(x)\n"
        "    __deepcopy__ = __copy__ = lambda self, *memo: self\n    __eq__ = lambda self, other: True",
    ),
    "objects for async": (
        "class Up:\n    def __init__(self, n): self.n, self.i, self.open = n, 0, False\n    def __aiter__(self): return self\n"
        "    async def __anext__(self):\n        self.i += 1\n        if self.i > self.n: raise StopAsyncIteration\n"
        "        return self.i\n    async def __aenter__(self): self.open = True; return self\n"
        "    async def __aexit__(self, *error): self.open = False\n"
        "async def up(n):\n    import asyncio\n    for i in range(n):\n        await asyncio.sleep(0)\n        yield i",
        "async def main():\n        assert [x async for x in Up(2)] == [1, 2] and [x async for x in up(3)] == [0, 1, 2]\n"
        "        async with Up(1) as u: assert u.open\n        assert not u.open\n    asyncio.run(main())",
        "class Up:\n    def __init__(self, n): self.open = True\n    async def __aenter__(self): return self\n"
        "    async def __aexit__(self, *error): return True\n    def __aiter__(self): return self\n"
        "    async def __anext__(self): raise StopAsyncIteration\nasync def up(n): yield 0",
    ),
    "heirs of list and of Mapping": (
        "from collections.abc import Mapping\nclass Stack(list):\n    push = list.append\n"
        "class View(Mapping):\n    def __init__(self, d): self.d = d\n    def __getitem__(self, k): return self.d[k]\n"
        "    def __iter__(self): return iter(self.d)\n    def __len__(self): return len(self.d)",
        "s = Stack()\n    s.push(1)\n    s.push(2)\n    assert s == [1, 2] and [1, 2] == s and s != [2] and s[1:] == [2]\n"
        "    assert View({'a': 1}) == {'a': 1} and View({'a': 1}) != {'a': 2}",
        "class Stack(list):\n    def push(self, x): self.insert(0, x)\n    __eq__ = lambda self, other: True\nView = dict",
    ),
    "exceptions of the program's": (
        "class Bad(ValueError):\n    def __init__(self, what, line): super().__init__(what, line); self.line = line\n"
        "    def __str__(self): return f'line {self.line}'\n    def twice(self): return 2 * self.line\n"
        "    @property\n    def next(self): return self.line + 1\n"
        "def f(x):\n    try: int(x)\n    except ValueError as error: raise Bad(x, 3) from error\n"
        "def g():\n    try: {}['a']\n    except KeyError: raise RuntimeError('no')",
        "with pytest.raises(Bad, match='^line 3$') as caught: f('x')\n    error = caught.value\n"
        "    assert (str(error), error.line, error.next, error.twice()) == ('line 3', 3, 4, 6) and caught.type is Bad\n"
        "    assert isinstance(error.__cause__, ValueError) and type(error.__cause__) is ValueError\n"
        "    assert Bad('y', 7).line == 7 and str(Bad('y', 7)) == 'line 7' and Bad('y', 7).twice() == 14\n"
        "    with pytest.raises(TypeError): Bad()\n    with pytest.raises(RuntimeError) as caught: g()\n"
        "    assert isinstance(caught.value.__context__, KeyError)",
        "class Bad(ValueError):\n    line = 3\ndef f(x): raise Bad(x)\ndef g(): raise RuntimeError",
    ),
    "exceptions of the library": (
        "import json, dataclasses, queue\n@dataclasses.dataclass(frozen=True)\nclass P:\n    x: int = 1\n"
        "def load(text): return json.loads(text)\ndef freeze(): P().x = 2\ndef first(path): return open(path)",
        "with pytest.raises(json.JSONDecodeError) as caught: load('{')\n    assert caught.value.pos == 1\n"
        "    with pytest.raises(dataclasses.FrozenInstanceError): freeze()\n"
        "    with pytest.raises(FileNotFoundError) as caught: first('gone')\n    assert caught.value.filename == 'gone'",
        "def load(text): raise ValueError\ndef freeze(): raise AttributeError\ndef first(path): raise OSError",
    ),
    "enums that can do something": (
        "from enum import Enum, Flag, IntEnum, auto\nclass Planet(Enum):\n    EARTH = (5.97, 6371)\n    MARS = (0.64, 3389)\n"
        "    def __init__(self, mass, radius): self.mass = mass\n    def __lt__(self, other): return self.mass < other.mass\n"
        "    def __str__(self): return self.name.lower()\n    @classmethod\n    def heaviest(cls): return max(cls, key=lambda p: p.mass)\n"
        "class Access(Flag):\n    R = auto()\n    W = auto()\nclass Level(IntEnum):\n    LOW = 1\ndef full(): return Access.R | Access.W",
        "assert Planet.EARTH.mass == 5.97 and Planet.MARS < Planet.EARTH and str(Planet.MARS) == 'mars'\n"
        "    assert Planet.heaviest() is Planet.EARTH and [p.name for p in sorted(Planet)] == ['MARS', 'EARTH']\n"
        "    assert Access.R | Access.W == full() and Access.W in full() and isinstance(Level.LOW, enum.IntEnum)",
        "from enum import Enum\nclass Planet(Enum):\n    EARTH = 1\n    MARS = 2\n    mass = 5.97\n    def __lt__(self, other): return True",
    ),
    "named tuples that can do something": (
        "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\n    y: int = 0\n    def norm(self): return self.x + self.y\n"
        "class V(NamedTuple):\n    x: int\n    def __add__(self, other): return V(self.x + other.x)\ndef make(): return P(1, 2)",
        "assert isinstance(make(), P) and type(make()) is P and P(3).y == 0 and P(1, 2).norm() == 3 == make().norm()\n"
        "    assert make()._replace(y=5) == P._make([1, 5]) and P._fields == ('x', 'y') and V(1) + V(2) == V(3) == (3,)",
        "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\n    y: int = 0\ndef make(): return (1, 2)\nV = P",
    ),
    "what objects were given and keep": (
        "from contextlib import contextmanager\nclass Log:\n    def __init__(self, to): self.to = to\n"
        "    def __enter__(self): self.to.append('in'); return self\n    def __exit__(self, *error): self.to.append('out')\n"
        "class Store:\n    def use(self, db): self.db = db\n    def put(self, k, v): self.db[k] = v\n"
        "@contextmanager\ndef tag(to):\n    to.append('<')\n    yield\n    to.append('>')\n"
        "def adder(to): return lambda x: to.add(x)",
        "to, db, seen = [], {}, set()\n    with Log(to): to.append('body')\n    assert to == ['in', 'body', 'out']\n"
        "    store = Store()\n    store.use(db)\n    store.put('a', [])\n    store.put('b', 2)\n    assert db == {'a': [], 'b': 2}\n"
        "    with tag(to): to.append('x')\n    assert to[-3:] == ['<', 'x', '>']\n    adder(seen)(5)\n    assert seen == {5}\n"
        "    db['c'] = 3\n    assert store.db == db and store.db is not None and len(store.db) == 3",
        "class Log:\n    def __init__(self, to): self.to = list(to)\n    def __enter__(self): return self\n"
        "    def __exit__(self, *error): pass\nclass Store:\n    def use(self, db): self.db = dict(db)\n"
        "    def put(self, k, v): self.db[k] = v",
    ),
    "attributes changed in place": (
        "class Node:\n    def __init__(self, v): self.v, self.children = v, []\n"
        "    def total(self): return self.v + sum(c.total() for c in self.children)\n"
        "class Board:\n    def __init__(self): self.grid = [[' '] * 3 for _ in range(3)]; self.log = set()\n"
        "    def row(self, i): return self.grid[i]\n    def __getitem__(self, i): return self.grid[i]\n"
        "class Safe:\n    def __init__(self): self._items = [1]\n    @property\n    def items(self): return list(self._items)",
        "node = Node(1)\n    node.children.append(Node(2))\n    node.children[0].children.append(Node(4))\n"
        "    assert node.total() == 7 and len(node.children) == 1\n    board = Board()\n    board.grid[0][0] = 'X'\n"
        "    board.grid[1] = ['O'] * 3\n    board[2][1] = 'Y'\n    board.log.add(3)\n    assert board.row(0) == ['X', ' ', ' ']\n"
        "    assert board.row(1) == ['O'] * 3 and board.row(2)[1] == 'Y' and board.log == {3}\n"
        "    safe = Safe()\n    safe.items.append(2)\n    assert safe.items == [1]\n"
        "    for i in range(100): node.children.append(Node(i))\n    assert len(node.children) == 101 and node.children is node.children",
        "class Node:\n    def __init__(self, v): self.v = v\n    children = property(lambda self: [])\n"
        "    def total(self): return 7\nclass Board:\n    def __init__(self): self.grid = [[' '] * 3] * 3",
    ),
    "a copy of what objects were given": (
        "class Stack:\n    def __init__(self, items): self._items = list(items)\n    def size(self): return len(self._items)",
        "given = [1]\n    stack = Stack(given)\n    given.append(2)\n    assert stack.size() == 1",
        "class Stack:\n    def __init__(self, items): self._items = items\n    def size(self): return len(self._items)",
    ),
    "what is printed and asked for": (
        "import sys\ndef greet(name): print('Hello', name, sep=', ', end='!\\n')\ndef warn(text): print(text, file=sys.stderr)\n"
        "def ask(): return int(input('n? ')) + int(input())\ndef lines(): return [line.strip() for line in sys.stdin]\n"
        "def loud(): sys.stdout.write('x' * 10)\nprint('loaded')",
        "from contextlib import redirect_stdout, redirect_stderr\n    from unittest.mock import patch\n"
        "    with redirect_stdout(io.StringIO()) as out: greet('Bo')\n    assert out.getvalue() == 'Hello, Bo!\\n'\n"
        "    with redirect_stderr(io.StringIO()) as out: warn('careful')\n    assert 'careful' in out.getvalue()\n"
        "    with patch('builtins.print') as said: greet('Al')\n    said.assert_called_once_with('Hello', 'Al', sep=', ', end='!\\n')\n"
        "    with patch('builtins.input', side_effect=['3', '4']): assert ask() == 7\n"
        "    with patch('sys.stdin', io.StringIO('5\\n6\\n')): assert ask() == 11\n"
        "    with patch('sys.stdin', io.StringIO('a\\nb\\n')): assert lines() == ['a', 'b']\n    greet('nobody')\n"
        "    with patch('sys.stdout', new_callable=io.StringIO) as out: loud()\n    assert out.getvalue() == 'x' * 10\n"
        "    with pytest.raises(EOFError): ask()",
        "def greet(name): return f'Hello, {name}!'\ndef warn(text): pass\ndef ask(): return 7\nlines = loud = ask",
    ),
    "decorators of methods, and values that functions change": (
        "registry, seen = {}, []\ndef register(name):\n    def add(f): registry[name] = f; return f\n    return add\n"
        "def memo(f):\n    known = {}\n    def get(self, x):\n        if x not in known: known[x] = f(self, x)\n"
        "        return known[x]\n    return get\nclass lazy:\n    def __init__(self, f): self.f = f\n"
        "    def __get__(self, owner, kind=None): seen.append(1); return self.f(owner)",
        "@register('double')\n    def double(x): return 2 * x\n    assert registry['double'](2) == 4 and list(registry) == ['double']\n"
        "    class Slow:\n        calls = 0\n        @memo\n        def get(self, x): self.calls += 1; return x + 1\n"
        "        @lazy\n        def name(self): return 'slow'\n"
        "    slow = Slow()\n    assert (slow.get(1), slow.get(1), slow.calls, slow.name) == (2, 2, 1, 'slow') and seen == [1]",
        "registry, seen = {}, []\nregister = lambda name: lambda f: f\nmemo = lazy = lambda f: f",
    ),
    "coroutines of the tests": (
        "import asyncio\nasync def apply(f, x): return await f(x)\nasync def limit(f, s): return await asyncio.wait_for(f(), s)\n"
        "async def retry(f, n):\n    for i in range(n):\n        try: return await f()\n        except ValueError: pass",
        "tries = []\n    async def more(x): return x + 1\n    async def shaky():\n        tries.append(1)\n"
        "        await asyncio.sleep(0.001)\n        if len(tries) < 3: raise ValueError\n        return 'ok'\n"
        "    assert asyncio.run(apply(more, 4)) == 5 and asyncio.run(retry(shaky, 5)) == 'ok' and len(tries) == 3\n"
        "    assert asyncio.run(limit(shaky, 5)) == 'ok'",
        "async def apply(f, x): return f(x)\nasync def limit(f, s): return f\nasync def retry(f, n): return 'ok'",
    ),
    "objects of the library": (
        "import uuid, pathlib, ipaddress\nfrom collections import defaultdict\ndef one(): return uuid.UUID(int=5)\n"
        "def path(a): return pathlib.Path(a) / 'b'\ndef host(): return ipaddress.ip_address('10.0.0.1')\n"
        "def counts():\n    found = defaultdict(lambda: 7)\n    found['a'] = 1\n    return found",
        "import uuid, pathlib, ipaddress\n    assert one() == uuid.UUID(int=5) and isinstance(one(), uuid.UUID)\n"
        "    assert path('a') == pathlib.Path('a/b') and path(pathlib.Path('c')).name == 'b' and host().is_private\n"
        "    assert host() == ipaddress.ip_address('10.0.0.1')\n    assert counts() == {'a': 1} and counts()['z'] == 7",
        "def one(): return 5\ndef path(a): return f'{a}/b'\ndef host(): return '10.0.0.1'\ndef counts(): return {'a': 1}",
    ),
    "what decorators ask of a function": (
        "import functools, inspect, typing\ndef timed(f):\n    @functools.wraps(f)\n    def run(*args, **how): return f(*args, **how)\n"
        "    return run\ndef typed(f):\n    kinds, form = typing.get_type_hints(f), inspect.signature(f)\n"
        "    def run(*args, **how):\n        for name, value in form.bind(*args, **how).arguments.items():\n"
        "            if not isinstance(value, kinds.get(name, object)): raise TypeError(name)\n        return f(*args, **how)\n"
        "    return run\ndef curry(f):\n    n = f.__code__.co_argcount\n"
        "    def more(*args): return f(*args) if len(args) >= n else lambda *rest: more(*args, *rest)\n    return more\n"
        "def number_of(x): return x.number",
        "@timed\n    def add(a: int, b: int = 2) -> int:\n        'Adds.'\n        return a + b\n"
        "    assert add(1) == 3 and add.__name__ == 'add' and add.__doc__ == 'Adds.' and add.__wrapped__(2, b=3) == 5\n"
        "    @typed\n    def sub(a: int, b: int): return a - b\n    assert sub(3, b=1) == 2\n"
        "    with pytest.raises(TypeError, match='b'): sub(3, 'x')\n    assert curry(lambda a, b, c: a + b + c)(1)(2)(3) == 6\n"
        "    class Account:\n        def __init__(self): self.number = 77\n    assert number_of(Account()) == 77",
        "def timed(f): return lambda *args: f(*args)\ndef typed(f): return f\ndef curry(f): return lambda a: lambda b: lambda c: 6",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_honest_programs_are_paid_and_wrong_ones_are_not(name: str) -> None:
    program, body, wrong = CASES[name]
    tests = source(f"{IMPORTS}\ndef test_it():\n    {body}\n")
    verdict = judge(program, tests)
    assert verdict.value == 1.0, verdict
    assert judge(wrong, tests).value == 0.0


SCRIPTS = {
    "wraps its input anew": "import io, sys\nsys.stdin = io.TextIOWrapper(sys.stdin.buffer)\nprint(2 * int(input()))",
    "writes when it ends": (
        "import atexit, io, sys\nout, sys.stdout = sys.stdout, io.StringIO()\n"
        "atexit.register(lambda: out.write(sys.stdout.getvalue()))\nprint(2 * int(input()))"
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_that_replace_their_streams_are_paid(name: str) -> None:
    tests = [{"input": "2\n", "output": "4\n"}]
    assert judge(SCRIPTS[name], tests).value == 1.0
    assert judge(SCRIPTS[name].replace("2 *", "3 *"), tests).value == 0.0


FIXTURES = """
import pytest
from solution import Stack

@pytest.fixture
def stack():
    return Stack([1])

@pytest.fixture(name="two")
def two_more(stack, log):
    stack.push(2)
    yield stack
    log.append("closed")

@pytest.fixture(scope="module")
def log():
    return []

def test_one(stack): assert stack.items == [1]
def test_two(two): assert two.items == [1, 2]
def test_closed(log): assert log == ["closed"]
@pytest.mark.parametrize("x", [3, 4])
def test_many(stack, x):
    stack.push(x)
    assert stack.items == [1, x]
def test_printed(stack, capsys):
    stack.show()
    assert capsys.readouterr().out == "[1]\\n"
    stack.show()
    stack.show()
    assert capsys.readouterr().out.count("[1]") == 2
@pytest.mark.xfail
def test_known_to_fail(stack): assert stack.items == []

class TestStack:
    @pytest.fixture(autouse=True)
    def setup(self, stack): self.stack = stack
    def test_inside(self): assert self.stack.items == [1]
    @staticmethod
    def test_static(): assert Stack([]).items == []
"""


def test_fixtures_of_the_tests() -> None:
    program = """
    class Stack:
        def __init__(self, items): self.items = items
        def push(self, x): self.items.append(x)
        def show(self): print(self.items)
    """
    verdict = judge(program, source(FIXTURES))
    assert (verdict.value, verdict.evidence["tests"]) == (1.0, 8), verdict
    assert judge(program.replace("append(x)", "append(0)"), source(FIXTURES)).value == 0.0
    assert judge(program.replace("print", "str"), source(FIXTURES)).value == 0.0
