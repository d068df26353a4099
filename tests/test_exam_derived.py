"""Honest programs, and tests that derive classes of their own from theirs: all are paid, and wrong ones are not."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

# Each: a program, tests, and a program that is wrong.
CASES = {
    "tests subclass candidate": (
        """
        from abc import ABC, abstractmethod
        class Plugin(ABC):
            registry = []
            def __init_subclass__(cls, **k):
                super().__init_subclass__(**k)
                Plugin.registry.append(cls.__name__)
            @abstractmethod
            def run(self, x): ...
            def twice(self, x): return self.run(self.run(x))
        """,
        """
        import pytest
        def test_sub():
            class Inc(Plugin):
                def run(self, x): return x + 1
            assert Inc().twice(3) == 5
            assert "Inc" in Plugin.registry
            class Bad(Plugin):
                pass
            with pytest.raises(TypeError):
                Bad()
            assert issubclass(Inc, Plugin) and isinstance(Inc(), Plugin)
        """,
        """
        class Plugin:
            registry = ['Inc']
            def twice(self, x): return 5
        """,
    ),
    "tests subclass with super init": (
        """
        class Animal:
            def __init__(self, name): self.name = name
            def speak(self): return "..."
            def intro(self): return f"{self.name} says {self.speak()}"
        """,
        """
        class Dog(Animal):
            def __init__(self, name, breed):
                super().__init__(name)
                self.breed = breed
            def speak(self): return "Woof"
        class Quiet(Animal):
            def speak(self): return super().speak() + "!"
        def test_dog():
            d = Dog("Rex", "lab")
            assert d.intro() == "Rex says Woof"
            assert d.breed == "lab" and d.name == "Rex"
            assert Quiet("Tom").intro() == "Tom says ...!"
        """,
        """
        class Animal:
            def __init__(self, name): self.name = name
            def speak(self): return '..'
            def intro(self): return f'{self.name} says Woof'
        """,
    ),
    "tests subclass exception": (
        """
        class AppError(Exception):
            code = 500
            def __init__(self, msg): super().__init__(msg); self.msg = msg
        def handle(f):
            try: return f()
            except AppError as e: return (e.code, e.msg)
        """,
        """
        class NotFound(AppError):
            code = 404
        def test_h():
            def a(): raise NotFound("x")
            def b(): raise AppError("y")
            assert handle(a) == (404, "x")
            assert handle(b) == (500, "y")
            assert handle(lambda: 3) == 3
        """,
        """
        class AppError(Exception):
            code = 500
            def __init__(self, msg): super().__init__(msg); self.msg = msg
        def handle(f):
            try: return f()
            except AppError as e: return (500, e.msg)
        """,
    ),
    "abc property": (
        """
        from abc import ABC, abstractmethod
        class Emp(ABC):
            def __init__(self, name): self.name = name
            @property
            @abstractmethod
            def pay(self): ...
        class Hourly(Emp):
            def __init__(self, name, h, r): super().__init__(name); self.h, self.r = h, r
            @property
            def pay(self): return self.h * self.r
        def payroll(es): return {e.name: e.pay for e in es}
        """,
        """
        import unittest
        class T(unittest.TestCase):
            def test_abs(self):
                with self.assertRaises(TypeError):
                    Emp("x")
            def test_pay(self):
                self.assertEqual(payroll([Hourly("a", 2, 3), Hourly("b", 1, 1)]), {"a": 6, "b": 1})
            def test_custom(self):
                class Fixed(Emp):
                    @property
                    def pay(self): return 100
                self.assertEqual(payroll([Fixed("z")]), {"z": 100})
                self.assertEqual(Fixed("z").pay, 100)
        """,
        """
        class Emp:
            def __init__(self, name): self.name = name
            pay = 6
        Hourly = Emp
        def payroll(es): return {'a': 6, 'b': 1}
        """,
    ),
    "test subclass unittest of candidate with setUp class attr": (
        """
        class Shape:
            sides = 0
            def perimeter(self): return sum(self.lengths())
            def lengths(self): raise NotImplementedError
        class Tri(Shape):
            sides = 3
            def __init__(self, a, b, c): self.l = (a, b, c)
            def lengths(self): return self.l
        """,
        """
        import unittest
        class TestShape(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                class Pent(Shape):
                    sides = 5
                    def lengths(self): return [1] * 5
                cls.Pent = Pent
            def test_pent(self):
                self.assertEqual(self.Pent().perimeter(), 5)
                self.assertEqual(self.Pent.sides, 5)
                self.assertEqual(Tri.sides, 3)
            def test_tri(self):
                self.assertEqual(Tri(3, 4, 5).perimeter(), 12)
                self.assertRaises(NotImplementedError, Shape().perimeter)
        """,
        """
        class Shape:
            def perimeter(self): raise NotImplementedError
        class Tri(Shape):
            sides = 3
            def __init__(self, *l): self.l = l
            def perimeter(self): return 12
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_derived_classes_work_and_wrong_programs_are_not_paid(name: str) -> None:
    program, tests, wrong = CASES[name]
    verdict = judge(program, source(tests))
    assert verdict.value == 1.0, verdict
    assert judge(wrong, source(tests)).value == 0.0


def test_a_class_derived_from_a_generic_one_with_its_parameter() -> None:
    tests = source(
        "class Numbers(Stack[int]):\n    def total(self): return sum(self.items)\n"
        "def test_it():\n    numbers = Numbers()\n    numbers.push(4)\n    numbers.push(5)\n"
        "    assert numbers.total() == 9 and isinstance(numbers, Stack)\n"
    )
    program = (
        "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass Stack(Generic[T]):\n"
        "    def __init__(self): self.items = []\n    def push(self, x: T): self.items.append(x)\n"
    )
    assert judge(program, tests).value == 1.0
    assert judge(program.replace("append(x)", "append(0)"), tests).value == 0.0
