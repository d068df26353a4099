"""Honest programs of well-known patterns (observers, limits, kinds of errors): all are paid, and wrong ones are not."""

from __future__ import annotations

import pytest

from proctor.sandbox.exam.bounds import WireError
from proctor.sandbox.exam.classes import Classes
from proctor.sandbox.exam.rich import error_names
from tests.judging import judge, source

# Each: a program, tests, and a program that is wrong.
CASES = {
    "observer with abc in tests": (
        """
        from abc import ABC, abstractmethod
        class Observer(ABC):
            @abstractmethod
            def update(self, subject, value): ...
        class Subject:
            def __init__(self): self._obs = []; self._v = None
            def attach(self, o):
                if not isinstance(o, Observer): raise TypeError("not an observer")
                self._obs.append(o)
            def detach(self, o): self._obs.remove(o)
            @property
            def value(self): return self._v
            @value.setter
            def value(self, v):
                self._v = v
                for o in self._obs: o.update(self, v)
        """,
        """
        import pytest
        class Rec(Observer):
            def __init__(self): self.seen = []
            def update(self, subject, value): self.seen.append((subject.value, value))
        def test_o():
            s, a, b = Subject(), Rec(), Rec()
            s.attach(a); s.attach(b)
            s.value = 3
            assert a.seen == [(3, 3)] == b.seen
            s.detach(b)
            s.value = 4
            assert a.seen == [(3, 3), (4, 4)] and len(b.seen) == 1
            with pytest.raises(TypeError): s.attach(object())
            with pytest.raises(TypeError): Observer()
        """,
        """
        class Observer: pass
        class Subject:
            def __init__(self): self.value = None
            def attach(self, o): self.o = o
            def detach(self, o): pass
        """,
    ),
    "async queue worker": (
        """
        import asyncio
        async def gather_limited(coros, limit):
            sem = asyncio.Semaphore(limit)
            async def run(c):
                async with sem: return await c
            return await asyncio.gather(*(run(c) for c in coros))
        class AsyncCounter:
            def __init__(self): self.n = 0; self.lock = asyncio.Lock()
            async def inc(self):
                async with self.lock:
                    v = self.n
                    await asyncio.sleep(0)
                    self.n = v + 1
        """,
        """
        import asyncio, pytest
        def test_g():
            active = peak = 0
            async def job(i):
                nonlocal active, peak
                active += 1; peak = max(peak, active)
                await asyncio.sleep(0.01)
                active -= 1
                return i * i
            assert asyncio.run(gather_limited([job(i) for i in range(6)], 2)) == [0, 1, 4, 9, 16, 25]
            assert peak == 2
        def test_c():
            async def main():
                c = AsyncCounter()
                await asyncio.gather(*(c.inc() for _ in range(10)))
                return c.n
            assert asyncio.run(main()) == 10
        """,
        """
        import asyncio
        async def gather_limited(coros, limit): return [await c for c in coros]
        class AsyncCounter:
            def __init__(self): self.n = 0
            async def inc(self):
                v = self.n
                await asyncio.sleep(0)
                self.n = v + 1
        """,
    ),
    "error two bases": (
        """
        class ValidationError(Exception):
            def __init__(self, field, msg): super().__init__(msg); self.field = field
        class MissingField(ValidationError, KeyError):
            pass
        class Wrong(ValidationError, ValueError):
            pass
        def validate(d):
            if "name" not in d: raise MissingField("name", "name is required")
            if not isinstance(d["name"], str): raise Wrong("name", "name must be text")
            return True
        """,
        """
        import unittest
        class T(unittest.TestCase):
            def test_all(self):
                self.assertTrue(validate({"name": "a"}))
                with self.assertRaises(ValidationError) as cm: validate({})
                self.assertEqual(cm.exception.field, "name")
                with self.assertRaises(KeyError): validate({})
                with self.assertRaises(ValueError): validate({"name": 3})
                try: validate({"name": 3})
                except MissingField: self.fail("wrong kind")
                except ValidationError as e: self.assertIsInstance(e, Wrong)
        """,
        """
        class ValidationError(Exception): field = "name"
        class MissingField(ValidationError): pass
        class Wrong(ValidationError): pass
        def validate(d):
            if d == {"name": "a"}: return True
            raise MissingField("x")
        """,
    ),
    "bank with custom exceptions hierarchy": (
        """
        class BankError(Exception): pass
        class InsufficientFunds(BankError):
            def __init__(self, needed):
                self.needed = needed
                super().__init__(f"need {needed} more")
        class AccountNotFound(BankError, KeyError): pass
        class Bank:
            def __init__(self): self.a = {}
            def open(self, name, amount=0):
                if name in self.a: raise ValueError(f"{name} exists")
                self.a[name] = amount
            def transfer(self, x, y, amt):
                for n in (x, y):
                    if n not in self.a: raise AccountNotFound(n)
                if self.a[x] < amt: raise InsufficientFunds(amt - self.a[x])
                self.a[x] -= amt; self.a[y] += amt
            def __getitem__(self, n): return self.a[n]
        """,
        """
        import pytest
        @pytest.fixture
        def bank():
            b = Bank()
            b.open("ann", 100)
            b.open("bob")
            yield b
        def test_ok(bank):
            bank.transfer("ann", "bob", 30)
            assert (bank["ann"], bank["bob"]) == (70, 30)
        def test_short(bank):
            with pytest.raises(InsufficientFunds) as ei: bank.transfer("ann", "bob", 130)
            assert ei.value.needed == 30 and ei.match("30 more")
            assert bank["ann"] == 100
        def test_missing(bank):
            with pytest.raises(AccountNotFound): bank.transfer("ann", "zed", 1)
            with pytest.raises(KeyError): bank.transfer("zed", "bob", 1)
            with pytest.raises(BankError): bank.transfer("zed", "bob", 1)
            assert issubclass(AccountNotFound, KeyError) and issubclass(InsufficientFunds, BankError)
        def test_dup(bank):
            with pytest.raises(ValueError, match=r"ann exists"): bank.open("ann")
        """,
        """
        class BankError(Exception): pass
        class InsufficientFunds(BankError): needed = 30
        class AccountNotFound(BankError): pass
        class Bank:
            def __init__(self): self.a = {}
            def open(self, n, amount=0): self.a[n] = amount
            def transfer(self, x, y, amt): self.a[x] -= amt; self.a[y] += amt
            def __getitem__(self, n): return self.a[n]
        """,
    ),
    "rate limiter with clock": (
        """
        from collections import deque
        class RateLimiter:
            def __init__(self, limit, window, clock):
                self.limit, self.window, self.clock = limit, window, clock
                self.calls = {}
            def allow(self, key):
                now = self.clock()
                q = self.calls.setdefault(key, deque())
                while q and now - q[0] >= self.window: q.popleft()
                if len(q) < self.limit:
                    q.append(now)
                    return True
                return False
        """,
        """
        class FakeClock:
            def __init__(self): self.t = 0
            def __call__(self): return self.t
            def advance(self, s): self.t += s
        def test_limit():
            clock = FakeClock()
            r = RateLimiter(2, 10, clock)
            assert r.allow("a") and r.allow("a") and not r.allow("a")
            assert r.allow("b")
            clock.advance(10)
            assert r.allow("a")
            assert len(r.calls["a"]) == 1
        """,
        """
        class RateLimiter:
            def __init__(self, limit, window, clock): self.n = 0; self.calls = {"a": [1]}
            def allow(self, k):
                self.n += 1
                return self.n != 3 and self.n < 5
        """,
    ),
    "state machine enum": (
        """
        from enum import Enum
        class State(Enum):
            IDLE = "idle"
            RUNNING = "running"
            DONE = "done"
            @property
            def is_final(self): return self is State.DONE
            def next(self):
                order = list(State)
                return order[min(order.index(self) + 1, len(order) - 1)]
            @classmethod
            def from_text(cls, t): return cls(t.lower())
        class Machine:
            allowed = {State.IDLE: {State.RUNNING}, State.RUNNING: {State.DONE, State.IDLE}, State.DONE: set()}
            def __init__(self): self.state = State.IDLE; self.history = [State.IDLE]
            def go(self, s):
                if s not in self.allowed[self.state]: raise InvalidTransition(self.state, s)
                self.state = s; self.history.append(s)
        class InvalidTransition(Exception):
            def __init__(self, a, b): self.a, self.b = a, b; super().__init__(f"{a.name} -> {b.name}")
        """,
        """
        import pytest
        def test_m():
            m = Machine()
            assert m.state is State.IDLE
            m.go(State.RUNNING)
            assert m.history == [State.IDLE, State.RUNNING]
            with pytest.raises(InvalidTransition, match="RUNNING -> RUNNING") as e: m.go(State.RUNNING)
            assert e.value.a is State.RUNNING
            m.go(State.DONE)
            assert m.state.is_final and m.state.value == "done" and State("idle") is State.IDLE
            assert State.from_text("IDLE") is State.IDLE and State.IDLE.next() is State.RUNNING
            assert State["DONE"].name == "DONE" and len(State) == 3 and [s.value for s in State] == ["idle", "running", "done"]
            assert Machine.allowed[State.DONE] == set()
            with pytest.raises(ValueError): State("nope")
            assert State.RUNNING in Machine.allowed[State.IDLE]
        """,
        """
        from enum import Enum
        class State(Enum):
            IDLE = "idle"
            RUNNING = "running"
            DONE = "done"
            is_final = True
        class InvalidTransition(Exception): pass
        class Machine:
            def __init__(self): self.state = State.IDLE; self.history = [State.IDLE]
            def go(self, s): self.state = s; self.history.append(s)
        """,
    ),
    "class attributes of errors": (
        """
        class ApiError(Exception):
            code = 500
            def __init__(self, message): super().__init__(message); self.message = message
            @classmethod
            def of(cls, d): return cls(d["message"])
        class NotFound(ApiError): code = 404
        KINDS = {e.code: e for e in (ApiError, NotFound)}
        def fail(code, text): raise KINDS[code](text)
        """,
        """
        import pytest
        def test_codes():
            assert ApiError.code == 500 and NotFound.code == 404
            assert NotFound.of({"message": "gone"}).message == "gone"
            assert not hasattr(NotFound, "status")
            with pytest.raises(NotFound, match="gone") as caught: fail(404, "gone")
            assert caught.value.code == NotFound.code
            class Teapot(ApiError): pass
            assert Teapot.code == 500
        """,
        """
        class ApiError(Exception): code = 500
        class NotFound(ApiError): code = 500
        def fail(code, text): raise NotFound(text)
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_patterns_are_paid_and_wrong_programs_are_not(name: str) -> None:
    program, tests, wrong = CASES[name]
    verdict = judge(program, source(tests))
    assert verdict.value == 1.0, verdict
    assert judge(wrong, source(tests)).value == 0.0


def test_an_error_of_several_bases_is_each_of_them_and_no_failed_check() -> None:
    class MissingError(KeyError, ValueError): ...

    found = Classes().error_class(error_names(MissingError))
    assert issubclass(found, KeyError) and issubclass(found, ValueError)
    assert not issubclass(AssertionError, found)


@pytest.mark.parametrize(
    "names",
    [["A", *[["ValueError"]] * 11], ["A", ["B"] * 20, []], ["A", [["ValueError"]]], ["A", [["A"]], [3]]],
)
def test_bases_that_are_none_are_refused(names: list[object]) -> None:
    with pytest.raises((WireError, TypeError)):
        Classes().error_class(names)


def test_bases_in_bases_without_end_are_refused_in_time() -> None:
    names: list[object] = ["ValueError"]
    for _ in range(100_000):
        names = ["A", names, ["KeyError"]]
    with pytest.raises(WireError, match="more than 20 bases"):
        Classes().error_class(names)
