"""Honest programs whose classes tests look at: all are paid, and wrong ones are not."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

# Each: a program, tests, and a program that is wrong.
CASES = {
    "bases attr": (
        """
        class Animal:
            def __init__(self, name): self.name = name
            def speak(self): raise NotImplementedError
        class Dog(Animal):
            def speak(self): return "Woof"
        """,
        """
        def test_bases():
            assert Dog.__bases__ == (Animal,)
            assert Animal in Dog.__mro__
            assert Dog.__base__ is Animal
            assert Dog("Rex").speak() == "Woof"
            assert Dog("Rex").name == "Rex"
        """,
        """
        class Animal:
            def __init__(self, name): self.name = name
        class Dog:
            def __init__(self, name): self.name = name
            def speak(self): return "Woof"
        """,
    ),
    "slots attr value": (
        """
        class Point:
            __slots__ = ("x", "y")
            def __init__(self, x, y): self.x, self.y = x, y
        """,
        """
        assert hasattr(Point, "__slots__")
        assert set(Point.__slots__) == {"x", "y"}
        p = Point(1, 2)
        p.x = 10
        assert p.x == 10
        """,
        """
        class Point:
            def __init__(self, x, y): self.x, self.y = x, y
        """,
    ),
    "dict heir": (
        """
        class DefaultDict(dict):
            def __init__(self, factory): super().__init__(); self.factory = factory
            def __missing__(self, k):
                self[k] = v = self.factory()
                return v
        """,
        """
        def test_dd():
            d = DefaultDict(list)
            d["a"].append(1)
            d["a"].append(2)
            d["b"].append(3)
            assert d["a"] == [1, 2]
            assert dict(d) == {"a": [1, 2], "b": [3]}
            assert len(d) == 2 and "a" in d and "z" not in d
            assert sorted(d.keys()) == ["a", "b"]
            assert isinstance(d, dict)
        """,
        """
        class DefaultDict(dict):
            def __init__(self, factory): super().__init__()
            def __missing__(self, k): return []
        """,
    ),
    "property validation": (
        """
        class Account:
            def __init__(self, balance=0): self._b = balance
            @property
            def balance(self): return self._b
            @balance.setter
            def balance(self, v):
                if v < 0: raise ValueError("negative")
                self._b = v
            def deposit(self, x):
                if x <= 0: raise ValueError("bad")
                self._b += x
            def withdraw(self, x):
                if x > self._b: raise InsufficientFunds(self._b, x)
                self._b -= x
        class InsufficientFunds(Exception):
            def __init__(self, b, x): super().__init__(f"need {x - b} more"); self.short = x - b
        """,
        """
        import pytest
        def test_a():
            a = Account(10)
            a.deposit(5)
            assert a.balance == 15
            a.balance = 20
            assert a.balance == 20
            with pytest.raises(ValueError): a.balance = -1
            with pytest.raises(InsufficientFunds) as e: a.withdraw(100)
            assert e.value.short == 80
            assert "need 80" in str(e.value)
            assert isinstance(Account.balance, property)
            assert issubclass(InsufficientFunds, Exception)
        """,
        """
        class Account:
            def __init__(self, balance=0): self.balance = balance
            def deposit(self, x): self.balance += x
            def withdraw(self, x): raise InsufficientFunds('need 80')
        class InsufficientFunds(Exception): short = 80
        """,
    ),
    "mixins and mro": (
        """
        class JsonMixin:
            def to_json(self):
                import json
                return json.dumps(self.__dict__, sort_keys=True)
        class ReprMixin:
            def __repr__(self): return f"{self.__class__.__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"
        class User(JsonMixin, ReprMixin):
            def __init__(self, name, age): self.name, self.age = name, age
        """,
        """
        import json
        def test_u():
            u = User("a", 3)
            assert json.loads(u.to_json()) == {"name": "a", "age": 3}
            assert repr(u) == "User(name='a', age=3)"
            assert isinstance(u, JsonMixin) and isinstance(u, ReprMixin)
            assert [c.__name__ for c in User.__mro__] == ["User", "JsonMixin", "ReprMixin", "object"]
            assert User.mro()[0] is User
            assert User.__bases__ == (JsonMixin, ReprMixin)
        """,
        """
        class JsonMixin: pass
        class ReprMixin: pass
        class User:
            def __init__(self, name, age): pass
            def to_json(self): return '{"name": "a", "age": 3}'
            def __repr__(self): return "User(name='a', age=3)"
        """,
    ),
    "protocol duck isinstance collections.abc": (
        """
        from collections.abc import MutableMapping, Sequence, Iterable
        class LowerDict(MutableMapping):
            def __init__(self, *a, **k): self._d = {}; self.update(*a, **k)
            def __getitem__(self, k): return self._d[k.lower()]
            def __setitem__(self, k, v): self._d[k.lower()] = v
            def __delitem__(self, k): del self._d[k.lower()]
            def __iter__(self): return iter(self._d)
            def __len__(self): return len(self._d)
        """,
        """
        import pytest
        from collections.abc import MutableMapping, Mapping, Iterable
        def test_d():
            d = LowerDict(A=1)
            d["B"] = 2
            assert d["a"] == 1 and d["b"] == 2 and "A" in d and len(d) == 2
            assert isinstance(d, MutableMapping) and isinstance(d, Mapping) and isinstance(d, Iterable)
            assert issubclass(LowerDict, MutableMapping)
            del d["A"]
            assert dict(d) == {"b": 2} and d.get("zz") is None and d.pop("B") == 2
            with pytest.raises(KeyError): d["q"]
            d.setdefault("X", []).append(1)
            assert d["x"] == [1]
            assert list(d.keys()) == ["x"] and list(d.items()) == [("x", [1])]
        """,
        """
        class LowerDict(dict): pass
        """,
    ),
    "abstract inspect": (
        """
        from abc import ABC, abstractmethod
        class Repo(ABC):
            @abstractmethod
            def get(self, k): ...
            @abstractmethod
            def put(self, k, v): ...
        class MemRepo(Repo):
            def __init__(self): self.d = {}
            def get(self, k): return self.d.get(k)
            def put(self, k, v): self.d[k] = v
        """,
        """
        import inspect, pytest
        from abc import ABC
        def test_r():
            assert inspect.isabstract(Repo) and not inspect.isabstract(MemRepo)
            assert issubclass(Repo, ABC)
            assert Repo.__abstractmethods__ == {"get", "put"}
            with pytest.raises(TypeError): Repo()
            m = MemRepo()
            m.put("a", 1)
            assert m.get("a") == 1 and m.get("b") is None
            assert isinstance(m, Repo)
        """,
        """
        class Repo:
            pass
        class MemRepo(Repo):
            def __init__(self): self.d = {}
            def get(self, k): return self.d.get(k)
            def put(self, k, v): self.d[k] = v
        """,
    ),
    "set heir": (
        """
        class Tags(set):
            def add(self, t): super().add(t.strip().lower())
            def match(self, *ts): return all(t in self for t in ts)
        """,
        """
        def test_t():
            t = Tags()
            t.add(" A ")
            t.add("b")
            assert t == {"a", "b"} and t.match("a") and not t.match("z")
            assert "a" in t and len(t) == 2 and t | {"c"} == {"a", "b", "c"} and t >= {"a"}
            assert sorted(t) == ["a", "b"] and isinstance(t, set)
        """,
        """
        class Tags(set):
            match = lambda s, *t: True
        """,
    ),
    "descriptor": (
        """
        class Positive:
            def __set_name__(self, o, n): self.n = "_" + n
            def __get__(self, i, o=None): return self if i is None else getattr(i, self.n)
            def __set__(self, i, v):
                if v <= 0: raise ValueError(self.n)
                setattr(i, self.n, v)
        class Item:
            price = Positive()
            qty = Positive()
            def __init__(self, p, q): self.price, self.qty = p, q
            def total(self): return self.price * self.qty
        """,
        """
        import pytest
        def test_i():
            i = Item(2, 3)
            assert i.total() == 6
            with pytest.raises(ValueError): i.price = -1
            with pytest.raises(ValueError): Item(0, 1)
            i.qty = 5
            assert i.total() == 10
            class Mine:
                n = Positive()
                def __init__(self, n): self.n = n
            assert Mine(3).n == 3
            with pytest.raises(ValueError): Mine(-3)
        """,
        """
        class Positive:
            pass
        class Item:
            def __init__(self, p, q): self.price, self.qty = p, q
            def total(self): return self.price * self.qty
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_classes_are_what_they_are_and_wrong_ones_are_not_paid(name: str) -> None:
    program, tests, wrong = CASES[name]
    verdict = judge(program, source(tests))
    assert verdict.value == 1.0, verdict
    assert judge(wrong, source(tests)).value == 0.0


def test_an_answer_that_is_no_list_does_not_pass_for_one() -> None:
    tests = source(
        "def test_it():\n    found = f(2)\n    assert isinstance(found, list)\n    assert found[0] == 1\n"
    )
    fake = "class list:\n    def __getitem__(self, i): return 1\n    def __len__(self): return 2\ndef f(n): return list()"
    assert judge(fake, tests).value == 0.0
    assert (
        judge(
            fake.replace("class list:", "class Own(list):").replace("return list()", "return Own('ab')"),
            tests,
        ).value
        == 0.0
    )
    assert judge("def f(n): return [1] * n", tests).value == 1.0
