"""Functions of the tests that change what a program hands to them: the program sees it, and a wrong one is not paid."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

# Each: a program, tests, and a program that is wrong.
CASES = {
    "middleware mutating dict": (
        """
        class App:
            def __init__(self): self.mw = []
            def use(self, f): self.mw.append(f); return f
            def handle(self, req):
                ctx = {"req": req, "log": []}
                for f in self.mw: f(ctx)
                return ctx
        """,
        """
        def test_app():
            app = App()
            @app.use
            def first(ctx): ctx["user"] = "ann"
            @app.use
            def second(ctx): ctx["log"].append(ctx["user"])
            assert app.handle(3) == {"req": 3, "log": ["ann"], "user": "ann"}
        """,
        """
        class App:
            def use(self, f): return f
            def handle(self, req): return {"req": req, "log": [], "user": "ann"}
        """,
    ),
    "callback appends to program list": (
        """
        def collect(fn, n):
            out = []
            for i in range(n): fn(out, i)
            return out
        """,
        """
        def test_c():
            assert collect(lambda acc, i: acc.append(i * 2), 3) == [0, 2, 4]
            assert collect(lambda acc, i: acc.insert(0, i), 3) == [2, 1, 0]
        """,
        """
        def collect(fn, n): return [0, 2, 4]
        """,
    ),
    "shuffle with rng": (
        """
        def shuffled(items, rng):
            items = list(items)
            rng.shuffle(items)
            return items
        def pick(items, rng, k=2): return rng.sample(items, k)
        def walk(n, rng):
            x = 0
            for _ in range(n): x += rng.choice([-1, 1])
            return x
        """,
        """
        import random
        def test_s():
            a = shuffled(range(10), random.Random(1))
            assert sorted(a) == list(range(10)) and a != list(range(10))
            assert a == shuffled(range(10), random.Random(1))
            assert pick([1, 2, 3], random.Random(0)) == random.Random(0).sample([1, 2, 3], 2)
            assert walk(5, random.Random(3)) == walk(5, random.Random(3))
        """,
        """
        def shuffled(items, rng): return list(items)
        def pick(items, rng, k=2): return items[:k]
        def walk(n, rng): return 0
        """,
    ),
    "sort with tests' objects and key": (
        """
        def group_by(items, key):
            out = {}
            for i in items: out.setdefault(key(i), []).append(i)
            return out
        def top_n(items, n, key=None, reverse=True): return sorted(items, key=key, reverse=reverse)[:n]
        def unique(items, key=lambda x: x):
            seen = set(); out = []
            for i in items:
                k = key(i)
                if k not in seen: seen.add(k); out.append(i)
            return out
        """,
        """
        from dataclasses import dataclass
        from collections import namedtuple
        @dataclass
        class Emp:
            name: str
            dept: str
            pay: int
        E = [Emp("a", "x", 3), Emp("b", "y", 5), Emp("c", "x", 4)]
        Pt = namedtuple("Pt", "x y")
        def test_g():
            g = group_by(E, lambda e: e.dept)
            assert g == {"x": [E[0], E[2]], "y": [E[1]]}
            assert [e.name for e in top_n(E, 2, key=lambda e: e.pay)] == ["b", "c"]
            assert unique(E, key=lambda e: e.dept) == [E[0], E[1]]
            assert group_by([Pt(1, 2), Pt(1, 3)], key=lambda p: p.x)[1][1].y == 3
            assert unique([1, 1.0, True, 2]) == [1, 2]
        """,
        """
        def group_by(items, key): return {"x": items[::2], "y": items[1:2]}
        def top_n(items, n, key=None, reverse=True): return items[:n]
        def unique(items, key=None): return items[:2]
        """,
    ),
    "a record of the program's that comes and goes": (
        """
        from dataclasses import dataclass
        @dataclass
        class Point:
            x: int
            y: int = 0
        def make(x): return Point(x)
        def norm(p):
            if not isinstance(p, Point): raise TypeError("no point")
            return p.x ** 2 + p.y ** 2
        def move(p, dx): return Point(p.x + dx, p.y)
        """,
        """
        def test_it():
            p = make(3)
            assert p.x == 3 and norm(p) == 9
            assert move(p, 2) == make(5) and norm(move(p, 2)) == 25
            assert move(p, 1) != p
        """,
        """
        def make(x): return {"x": x}
        def norm(p): return 9
        def move(p, dx): return p
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_callbacks_change_is_seen_and_wrong_programs_are_not_paid(name: str) -> None:
    program, tests, wrong = CASES[name]
    verdict = judge(program, source(tests))
    assert verdict.value == 1.0, verdict
    assert judge(wrong, source(tests)).value == 0.0


def test_a_program_hears_of_its_own_containers_only() -> None:
    program = """
    def f(act):
        mine = [[], {}, set()]
        act(mine, 5)
        return "4" in repr(mine)
    """
    tests = "def test_it():\n    expected = [4]\n    assert f(lambda given, x: {}) is {}\n"
    assert judge(program, source(tests.format("given[0].append(4)", "True"))).value == 1.0
    assert judge(program, source(tests.format("given == [expected]", "True"))).value == 0.0
    assert judge(program, source(tests.format("[*given, expected]", "False"))).value == 1.0
