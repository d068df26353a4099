"""What tests ask of a program's classes directly: `x.__eq__(3)`, signatures, paths, protocols; wrong ones are not paid."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

# Each: a program, tests, and a program that is wrong.
CASES = {
    "eq NotImplemented": (
        """
        class Point:
            def __init__(self, x, y): self.x, self.y = x, y
            def __eq__(self, o):
                if not isinstance(o, Point): return NotImplemented
                return (self.x, self.y) == (o.x, o.y)
            def __hash__(self): return hash((self.x, self.y))
            def __lt__(self, o):
                if not isinstance(o, Point): return NotImplemented
                return (self.x, self.y) < (o.x, o.y)
            def __add__(self, o):
                if not isinstance(o, Point): return NotImplemented
                return Point(self.x + o.x, self.y + o.y)
        """,
        """
        import pytest
        def test_p():
            assert Point(1, 2).__eq__(3) is NotImplemented
            assert Point(1, 2).__eq__(Point(1, 2)) is True
            assert Point(1, 2).__lt__("a") is NotImplemented
            assert Point(1, 2) + Point(1, 1) == Point(2, 3)
            assert Point(1, 2).__hash__() == hash(Point(1, 2))
            with pytest.raises(TypeError): Point(1, 2) + 3
        """,
        """
        class Point:
            def __init__(self, x, y): self.x, self.y = x, y
            def __eq__(self, o): return (self.x, self.y) == (o.x, o.y)
            def __add__(self, o): return Point(self.x + o.x, self.y + o.y)
            def __lt__(self, o): return False
            def __hash__(self): return 1
        """,
    ),
    "signature of method": (
        """
        class Api:
            def __init__(self, url: str, *, timeout: float = 3.0): self.url, self.timeout = url, timeout
            def get(self, path: str, retries: int = 2) -> str: return self.url + path
            @staticmethod
            def clean(x): return x.strip()
            @classmethod
            def local(cls, port=80): return cls(f"http://localhost:{port}")
        """,
        """
        import inspect
        def test_s():
            sig = inspect.signature(Api.get)
            assert list(sig.parameters) == ["self", "path", "retries"]
            assert sig.parameters["retries"].default == 2
            assert list(inspect.signature(Api("x").get).parameters) == ["path", "retries"]
            assert list(inspect.signature(Api).parameters) == ["url", "timeout"]
            assert list(inspect.signature(Api.local).parameters) == ["port"]
            assert list(inspect.signature(Api.clean).parameters) == ["x"]
            assert inspect.signature(Api.get).return_annotation is str
            assert Api.local(8).url == "http://localhost:8"
        """,
        """
        class Api:
            def __init__(self, url, timeout=3.0): self.url = url
            def get(self, path): return self.url + path
            @classmethod
            def local(cls, port=80): return cls(f"http://localhost:{port}")
            def clean(x): return x
        """,
    ),
    "fspath": (
        """
        import os
        class TempName:
            def __init__(self, name): self.name = name
            def __fspath__(self): return "/tmp/" + self.name
        def join(base, *parts): return os.path.join(base, *parts)
        """,
        """
        import os
        from pathlib import Path
        def test_f():
            t = TempName("a.txt")
            assert os.fspath(t) == "/tmp/a.txt"
            assert isinstance(t, os.PathLike)
            assert os.path.basename(t) == "a.txt"
            assert join(t, "b") == "/tmp/a.txt/b"
            assert Path(t).name == "a.txt"
        """,
        """
        class TempName:
            def __init__(self, name): self.name = name
            def __str__(self): return self.name
        def join(base, *parts): return "/tmp/a.txt/b"
        """,
    ),
    "iterator class protocol": (
        """
        class Countdown:
            def __init__(self, n): self.n = n
            def __iter__(self): return self
            def __next__(self):
                if self.n <= 0: raise StopIteration
                self.n -= 1
                return self.n + 1
            def __length_hint__(self): return self.n
        """,
        """
        import operator, pytest
        from collections.abc import Iterator
        def test_c():
            assert list(Countdown(3)) == [3, 2, 1]
            c = Countdown(2)
            assert iter(c) is c and next(c) == 2 and next(c) == 1
            with pytest.raises(StopIteration): next(c)
            assert next(c, "end") == "end"
            assert isinstance(c, Iterator)
            assert sum(Countdown(4)) == 10 and tuple(zip(Countdown(2), "ab")) == ((2, "a"), (1, "b"))
            assert operator.length_hint(Countdown(5)) == 5
            a, *rest = Countdown(3)
            assert (a, rest) == (3, [2, 1])
            assert max(Countdown(5)) == 5 and sorted(Countdown(3)) == [1, 2, 3]
            assert {*Countdown(2)} == {1, 2} and [*map(str, Countdown(2))] == ["2", "1"]
        """,
        """
        class Countdown:
            def __init__(self, n): self.n = n
            def __iter__(self): return iter(range(self.n))
            def __next__(self): return 2
        """,
    ),
    "runtime protocol": (
        """
        from typing import Protocol, runtime_checkable
        @runtime_checkable
        class Drawable(Protocol):
            def draw(self) -> str: ...
        def render(items): return [i.draw() for i in items if isinstance(i, Drawable)]
        class Circle:
            def draw(self): return "o"
        """,
        """
        class Square:
            def draw(self): return "[]"
        class Other: pass
        def test_r():
            assert render([Square(), Other(), Circle(), 3]) == ["[]", "o"]
            assert isinstance(Square(), Drawable)
            assert not isinstance(Other(), Drawable)
            assert isinstance(Circle(), Drawable)
            assert not isinstance(3, Drawable)
        """,
        """
        class Drawable: pass
        def render(items): return ["[]", "o"]
        class Circle(Drawable):
            def draw(self): return "o"
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_asked_directly_is_answered_and_wrong_programs_are_not_paid(name: str) -> None:
    program, tests, wrong = CASES[name]
    verdict = judge(program, source(tests))
    assert verdict.value == 1.0, verdict
    assert judge(wrong, source(tests)).value == 0.0


POINT = """
class Point:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return {}
    def made(self): return Point(7)
class Sized:
    def __init__(self, x): self.x = x
    def __length_hint__(self): return {}
    def __fspath__(self): return {}
"""


@pytest.mark.parametrize("body", ["True", "False", "NotImplemented", "other.x", "3", "1 / 0", "object()"])
@pytest.mark.parametrize(
    "check",
    [
        "Point(7) == 7 and Point(8) != 7",
        "Point(7).__eq__(7) is True and Point(7).__eq__('a') is NotImplemented",
        "Point(7).__eq__(7) is False and Point(7).__eq__(Point(7)) is True",
        "Point(8) != 7 and Point(7) == 7",
        "Point(8).made() == 7",
        "7 == Point(8).made()",
        "Point(8).made() == [7]",
    ],
)
def test_a_class_that_always_says_the_same_compares_as_nothing(body: str, check: str) -> None:
    tests = source(f"def test_it():\n    assert Point(1).x == 1\n    assert {check}\n")
    assert judge(POINT.replace("{}", body), tests).value == 0.0


PROTOCOL = """
from typing import Protocol, runtime_checkable
class Yes(type(Protocol)):
    def __instancecheck__(cls, value):
        for name in ("answer", "_hidden", "__dict__", "__class__"):
            try: seen.append(repr(getattr(value, name)))
            except AttributeError: pass
        return True
seen = []
class Drawable(Protocol, metaclass=Yes):
    def draw(self): ...
def f(x): return 4 if "4" in "".join(seen) else 0
"""


def test_a_protocol_that_all_objects_meet_is_asked_about_objects_of_the_tests_only() -> None:
    tests = (
        "class Own:\n    pass\ndef test_it():\n    assert f(1) == 0\n    assert {}isinstance({}, Drawable)\n"
    )
    assert judge(PROTOCOL, source(tests.format("not ", "Own()"))).value == 0.0
    assert judge(PROTOCOL, source(tests.format("not ", "4"))).value == 1.0
    assert judge(PROTOCOL, source(tests.format("not ", "[4]"))).value == 1.0
    hidden = "class Own:\n    def __init__(self): self._hidden = 4\ndef test_it():\n    isinstance(Own(), Drawable)\n"
    assert judge(PROTOCOL, source(hidden + "    assert f(2) == 4\n")).value == 0.0


LEVELS = """
from enum import Enum
class Level(Enum):
    LOW, HIGH = 1, 5
    def __int__(self): return self.value
    def __len__(self): return self.value
    def __bool__(self): return self is not Level.LOW
def f(x): return Level(x)
"""


def test_members_of_an_enum_are_numbers_by_its_own_methods() -> None:
    tests = "def test_it():\n    assert int(Level.HIGH) == 5 == len(f(5))\n    assert not Level.LOW\n"
    assert judge(LEVELS, source(tests)).value == 1.0
    assert judge(LEVELS.replace("is not Level.LOW", "is Level.LOW"), source(tests)).value == 0.0
