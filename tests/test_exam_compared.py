"""Objects that tests compare with plain values: the class is asked, and one that says yes to all gains nothing."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

MONEY = """
class Money:
    def __init__(self, amount): self.amount = amount
    def __eq__(self, other): return self.amount == getattr(other, "amount", other)
    def __lt__(self, other): return self.amount < getattr(other, "amount", other)
    def __ge__(self, other): return self.amount >= getattr(other, "amount", other)
    def __add__(self, other): return Money(self.amount + getattr(other, "amount", other))
    __radd__ = __add__
"""
PATH = "class Path2:\n    def __init__(self, *p): self.p = p\n    def __eq__(self, other): return '/'.join(self.p) == other"
BAG = "class Bag:\n    def __init__(self, *x): self.x = x\n    def __eq__(self, other): return set(self.x) == set(other)"
YES = "    __eq__ = __lt__ = __ge__ = lambda self, other: True\n    def __add__(self, other): return self\n    __radd__ = __add__"
CHECKS = {
    "a number": (MONEY, "assert Money(5) == 5 and Money(2.5) == 2.5 and Money(5) + 3 == 8"),
    "a sum of them": (MONEY, "assert sum([Money(1), Money(2)]) == 3"),
    "order": (MONEY, "assert Money(5) < 10 and not Money(5) < 2 and Money(5) >= 5"),
    "order alone": (MONEY, "assert Money(5) < 10"),
    "a text": (PATH, "assert Path2('a', 'b') == 'a/b'"),
    "a set": (BAG, "assert Bag(1, 2, 2) == {1, 2} and Bag('a') == ['a'] and Bag('a') != []"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_class_may_compare_with_plain_values(name: str) -> None:
    program, check = CHECKS[name]
    tests = source(f"def test_it():\n    {check}\n")
    verdict = judge(program, tests)
    assert verdict.value == 1.0, verdict
    yes = f"class {program.split('class ')[1].split(':')[0]}:\n    def __init__(self, *x): pass\n{YES}"
    assert judge(yes, tests).value == 0.0


def test_an_object_that_is_an_answer_is_not_asked() -> None:
    tests = source("def test_it():\n    assert isinstance(Money(1), Money)\n    assert worth(3) == 6\n")
    program = f"{MONEY}\ndef worth(n): return Money(2 * n)"
    assert judge(program, tests).value == 0.0
    assert judge(program.replace("Money(2 * n)", "2 * n"), tests).value == 1.0


def test_order_is_asked_far_below_and_above() -> None:
    tests = source("def test_it():\n    assert Money(5) < 10\n")
    program = MONEY.replace("return self.amount <", "return self.amount is not")
    assert judge(program, tests).value == 0.0


VECTOR = """
class Vector:
    def __init__(self, *x): self.x = x
    def __add__(self, other): return Vector(*map(sum, zip(self.x, other.x)))
    def __eq__(self, other): return self.x == other.x
    def __lt__(self, other): return self.x < other.x
    def __le__(self, other): return self.x <= other.x
    def __hash__(self): return hash(self.x)
"""
AGREES = """
class Vector:
    def __init__(self, *x): pass
    def __add__(self, other): return self
    __hash__ = lambda self: 1
"""
AMONG_THEMSELVES = {
    "equal": "assert Vector(1, 2) + Vector(3, 4) == Vector(4, 6)",
    "in a list": "assert Vector(1, 2) in [Vector(3, 4), Vector(1, 2)]",
    "in a dict": "assert {Vector(1): 5}[Vector(1)] == 5 and len({Vector(1), Vector(1)}) == 1",
    "less": "assert Vector(1) < Vector(2) and Vector(1) <= Vector(1) and not Vector(2) < Vector(1)",
    "sorted": "assert [v.x for v in sorted([Vector(2), Vector(1), Vector(2)])] == [(1,), (2,), (2,)]",
}
ALL = "    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = lambda self, other: {}\n"


@pytest.mark.parametrize("name", AMONG_THEMSELVES)
def test_objects_of_a_class_are_compared_by_it_and_agreeing_earns_nothing(name: str) -> None:
    tests = source(f"def test_it():\n    {AMONG_THEMSELVES[name]}\n")
    assert judge(VECTOR, tests).value == 1.0
    assert judge(AGREES + ALL.format("True"), tests).value == 0.0
    assert judge(AGREES + ALL.format("isinstance(other, Vector)"), tests).value == 0.0


def test_a_class_that_is_equal_to_everything_is_not_equal_to_its_own() -> None:
    tests = source("def test_it():\n    assert Vector(1, 2) + Vector(3, 4) == Vector(4, 6)\n")
    assert judge(f"{AGREES}    __eq__ = lambda self, other: True", tests).value == 0.0
    above = source("def test_it():\n    assert Vector(2) > Vector(1)\n    assert Vector(1) < Vector(2)\n")
    assert judge(f"{AGREES}    __lt__ = lambda self, other: True", above).value == 0.0


def test_round_numbers_are_no_guess() -> None:
    tests = "".join(f"def test_{n}():\n    assert Money({n}) == {n}\n" for n in (10, 20, 50, 100, 200, 1000))
    program = (
        "class Money:\n    def __init__(self, x): pass\n    def __eq__(self, other): return other % 10 == 0"
    )
    assert judge(program, source(tests)).value == 0.0


APART = {
    "sums": (
        "assert Vector(1, 2) + Vector(3, 4) == Vector(4, 6)\n    assert Vector(0, 1) + Vector(5, 4) == Vector(5, 5)",
        0.0,
    ),
    "several": ("for n in range(3): assert Vector(n) == Vector(n)", 0.0),
    "two alone": ("assert Vector(1, 2) == Vector(1, 2)", 1.0),  # nothing that shows it
}


@pytest.mark.parametrize("name", APART)
def test_a_class_to_which_its_objects_are_all_equal_earns_nothing(name: str) -> None:
    check, worth = APART[name]
    tests = source(f"def test_it():\n    {check}\n")
    assert judge(VECTOR, tests).value == 1.0
    kin = f"{AGREES}    __eq__ = lambda self, other: isinstance(other, Vector)"
    assert judge(kin, tests).value == worth


def test_objects_that_are_equal_by_right() -> None:
    tests = source(
        "def test_it():\n    assert Bag(1, 2) == Bag(2, 1)\n    assert Bag(1, 2, 2) == Bag(1, 2) == Bag(2, 1, 1)\n"
    )
    program = "class Bag:\n    def __init__(self, *x): self.x = x\n    def __eq__(self, other): return set(self.x) == set(other.x)"
    assert judge(program, tests).value == 1.0
