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
