"""Classes that derive from numbers and text: they are what they hold, and what they say of answers is not asked."""

from __future__ import annotations

import pytest

from proctor.sandbox.exam.bounds import WireError
from proctor.sandbox.exam.classes import Classes
from proctor.sandbox.exam.lent import Lent
from proctor.sandbox.exam.link import ExamOverError
from tests.judging import judge, source

# Each: a program, tests, and a program that is wrong.
CASES = {
    "float heir celsius": (
        """
        class Celsius(float):
            def to_fahrenheit(self): return Fahrenheit(self * 9 / 5 + 32)
            def __repr__(self): return f"{float(self)}°C"
        class Fahrenheit(float):
            def to_celsius(self): return Celsius((self - 32) * 5 / 9)
        """,
        """
        def test_c():
            c = Celsius(100)
            assert c == 100.0
            assert c.to_fahrenheit() == 212
            assert isinstance(c, float)
            assert isinstance(c.to_fahrenheit(), Fahrenheit)
            assert repr(Celsius(3.5)) == "3.5°C"
            assert abs(Fahrenheit(50).to_celsius() - 10) < 1e-9
        """,
        """
        class Celsius(float):
            def to_fahrenheit(self): return Fahrenheit(self * 9 / 5)
            def __repr__(self): return f"{float(self)}°C"
        class Fahrenheit(float):
            def to_celsius(self): return Celsius(10)
        """,
    ),
    "str heir with methods": (
        """
        class Slug(str):
            def __new__(cls, text): return super().__new__(cls, text.strip().lower().replace(" ", "-"))
            def words(self): return self.split("-")
        """,
        """
        def test_s():
            s = Slug(" Hello World ")
            assert s == "hello-world"
            assert s.words() == ["hello", "world"]
            assert isinstance(s, str)
            assert s.upper() == "HELLO-WORLD" and len(s) == 11 and s[0] == "h" and "world" in s
            assert {s: 1}["hello-world"] == 1
            assert s + "!" == "hello-world!" and f"{s}" == "hello-world"
        """,
        """
        class Slug(str):
            def words(self): return ["hello", "world"]
        """,
    ),
    "int heir": (
        """
        class Mod7(int):
            def __new__(cls, n): return super().__new__(cls, n % 7)
            def __add__(self, o): return Mod7(int(self) + int(o))
            __radd__ = __add__
            def __mul__(self, o): return Mod7(int(self) * int(o))
            def inverse(self): return Mod7(pow(int(self), -1, 7))
            def __repr__(self): return f"Mod7({int(self)})"
        """,
        """
        import unittest
        class T(unittest.TestCase):
            def test_add(self):
                self.assertEqual(Mod7(5) + Mod7(4), 2)
                self.assertEqual(Mod7(5) + 4, Mod7(2))
                self.assertIsInstance(Mod7(5) + 4, Mod7)
            def test_inv(self):
                self.assertEqual(Mod7(3).inverse(), 5)
                self.assertEqual(Mod7(3) * Mod7(3).inverse(), 1)
                self.assertEqual(repr(Mod7(10)), "Mod7(3)")
            def test_sum(self):
                self.assertEqual(sum([Mod7(3), Mod7(5)]), 1)
        """,
        """
        class Mod7(int):
            def inverse(self): return Mod7(5)
            def __repr__(self): return "Mod7(3)"
        """,
    ),
    "int heir with attrs": (
        """
        class Money(int):
            def __new__(cls, cents, currency="USD"):
                self = super().__new__(cls, cents)
                self.currency = currency
                return self
            @property
            def dollars(self): return self / 100
            def __str__(self): return f"{self.currency} {self // 100}.{self % 100:02d}"
        """,
        """
        def test_m():
            m = Money(1250, "EUR")
            assert m == 1250 and m.currency == "EUR" and m.dollars == 12.5
            assert str(m) == "EUR 12.50"
            assert Money(5) < Money(6) and sorted([Money(3), Money(1)]) == [1, 3]
            assert m > 1000
        """,
        """
        class Money(int):
            def __new__(cls, cents, currency="USD"): return super().__new__(cls, cents)
            currency = "EUR"
            dollars = 1.0
        """,
    ),
    "user dict userlist": (
        """
        from collections import UserDict, UserList, UserString
        class CaseDict(UserDict):
            def __setitem__(self, k, v): super().__setitem__(k.lower(), v)
            def __getitem__(self, k): return super().__getitem__(k.lower())
            def __contains__(self, k): return super().__contains__(k.lower())
        class NumList(UserList):
            def total(self): return sum(self.data)
            def __setitem__(self, i, v):
                if not isinstance(v, (int, float)): raise TypeError("numbers only")
                super().__setitem__(i, v)
        class Title(UserString):
            def initials(self): return "".join(w[0] for w in self.data.split())
        """,
        """
        import pytest
        from collections import UserDict
        def test_u():
            d = CaseDict(A=1); d["Bee"] = 2
            assert d["a"] == 1 and "BEE" in d and d == {"a": 1, "bee": 2} and isinstance(d, UserDict)
            assert d.data == {"a": 1, "bee": 2} and d.get("zz", 9) == 9
            l = NumList([1, 2]); l.append(3); l[0] = 5
            assert l.total() == 10 and l == [5, 2, 3] and l[1:] == [2, 3] and len(l + [1]) == 4
            with pytest.raises(TypeError): l[0] = "x"
            t = Title("war and peace")
            assert t.initials() == "wap" and t == "war and peace" and t.upper() == "WAR AND PEACE" and str(t)[:3] == "war"
        """,
        """
        class CaseDict(dict): pass
        class NumList(list):
            def total(self): return 10
        class Title(str):
            def initials(self): return "wap"
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_heirs_of_numbers_and_text_are_paid_and_wrong_ones_are_not(name: str) -> None:
    program, tests, wrong = CASES[name]
    verdict = judge(program, source(tests))
    assert verdict.value == 1.0, verdict
    assert judge(wrong, source(tests)).value == 0.0


YES = """
class Celsius(float):
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __sub__ = __rsub__ = __truediv__ = __mod__ = lambda self, *other: 0.0
    __hash__ = lambda self: 0
    is_integer = lambda self: True
    def warmer(self): return Celsius(0.5)
    def own(self): return self
    @classmethod
    def of(cls, text): return cls(0.5)
class Slug(str):
    __eq__ = __contains__ = startswith = endswith = isdigit = lambda self, *other: True
    __ne__ = lambda self, other: False
    __hash__ = lambda self: 0
    find = index = lambda self, other: 3
    def lower(self): return Slug('x')
class f(float):
    __new__ = lambda cls, x: float.__new__(cls, 0.5)
    __eq__ = lambda self, other: True
    __sub__ = __rsub__ = lambda self, other: 0.0
def cut(text): return Slug('x')
"""
CHECKS = (
    "Celsius(9).warmer() == 4",
    "4 == Celsius(9).warmer()",
    "not Celsius(9).warmer() != 4",
    "abs(Celsius(9).warmer() - 4) < 1e-6",
    "abs(4 - Celsius(9).warmer()) < 1e-6",
    "Celsius(9).warmer() in (4, 5)",
    "Celsius(9).warmer() in {4, 5}",
    "Celsius(9).warmer() == pytest.approx(4)",
    "pytest.approx(4) == Celsius(9).warmer()",
    "Celsius(9).warmer() > 3",
    "3 < Celsius(9).warmer()",
    "Celsius(9).warmer() % 4 == 0",
    "Celsius(9).warmer().is_integer()",
    "Celsius.of('4') == 4",
    "abs(Celsius.of('4') - 4) < 1e-6",
    "abs(Celsius(9).own() - 4) < 1e-6",
    "pytest.approx(4) == Celsius(9).own()",
    "Celsius(9) == 4",
    "{4: 'no'}[Celsius(9).warmer()]",
    "cut('A B') == 'a-b'",
    "cut('A B').startswith('a') and Slug",
    "cut('A B').endswith('b') and Slug",
    "'a' in cut('A B') and Slug",
    "cut('A B').isdigit() and Slug",
    "cut('A B').find('-') == 3 and Slug",
    "Slug('A B').lower() == 'a b'",
    "Slug('A B').lower().startswith('a b')",
    "f(2) == 4",
    "abs(f(2) - 4) < 1e-6",
    "math.isclose(f(2), 4)",
)


@pytest.mark.parametrize("check", CHECKS)
def test_what_an_heir_says_of_an_answer_is_not_asked(check: str) -> None:
    verdict = judge(YES, source(f"import math, pytest\ndef test_it():\n    assert {check}\n"))
    assert verdict.value == 0.0, verdict


# Answers `data` with what `DATA` says, and everything else as an honest program would.
FORGED = """
from proctor.sandbox.exam import candidate
class Slug(str):
    def lower(self): return Slug('x')
def patched(value):
    told.append(value)
    return DATA
told = []
candidate._desk._verbs["data"] = patched
"""
LIES = {
    "a record with a method": "Record('str', startswith=bool)",
    "a type": "bool",
    "another object": "Slug('b')",
    "nothing": "None",
}


@pytest.mark.parametrize("name", LIES)
def test_what_is_told_of_a_text_is_a_text(name: str) -> None:
    record = (
        "def Record(name, **own):\n    import dataclasses\n"
        "    return dataclasses.make_dataclass(name, list(own))(**own)\n"
    )
    tests = source("def test_it():\n    assert Slug('A').lower().startswith('a')\n")
    assert judge(FORGED.replace("DATA", LIES[name]) + record, tests).value == 0.0


def test_what_is_told_of_a_text_is_read_where_it_is_one() -> None:
    tests = source("def test_it():\n    assert Slug('A').lower().startswith('a')\n")
    assert judge(FORGED.replace("DATA", "'abc'"), tests).value == 1.0


class Claims(str):
    """As a stand-in that says to `isinstance` that it is text: what it is equal to may change."""

    __slots__ = ()
    __hash__ = str.__hash__
    startswith = lambda self, *args: False  # noqa: E731
    __eq__ = __contains__ = lambda self, other: False


def test_a_name_that_only_claims_to_be_text_is_none() -> None:
    lent = Lent(lambda value: None)
    lent.export(object())
    with pytest.raises(WireError):
        Classes.fill_record(object(), ["Record", [Claims("x")], [1]])
    with pytest.raises(ExamOverError):
        lent.answer(["op", Claims("dir"), lent[0]])
    lent.export(dict)
    assert lent.answer(["call", lent[1], [], [Claims("__x"), 1]])[0] == "!"
    assert lent.answer(["call", lent[1], [], ["x", 1]]) == ["=", {"x": 1}]


# What its number is, it says anew each time it is asked; sizes that suit each part of a property.
_CHANGES = """
import sys
class Root(int):
    def __mul__(self, other): return 0
    def __add__(self, other): return 10**6
    __rmul__, __radd__ = __mul__, __add__
def isqrt(n): return Root(0)
count = 0
def hold(value):
    global count
    count += 1
    return [0, 0, 10**6][count % 3]
sys.modules["proctor.sandbox.exam.operations"].COLLECTIONS["int"] = hold
"""


@pytest.mark.parametrize(
    "check",
    [
        "r * r <= 50 < (r + 1) * (r + 1)",
        "r ** 2 <= 50 < (r + 1) ** 2",
        "int(r) ** 2 <= 50 < (int(r) + 1) ** 2",
    ],
)
def test_a_number_is_the_same_in_each_part_of_a_property(check: str) -> None:
    tests = source(
        f"def test_it():\n    assert issubclass(Root, int)\n    r = isqrt(50)\n    assert {check}\n"
    )
    assert judge(_CHANGES, tests).value == 0.0
    honest = "import math\nclass Root(int): pass\ndef isqrt(n): return Root(math.isqrt(n))\n"
    assert judge(honest, tests).value == 1.0
