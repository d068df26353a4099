"""Tests and programs with threads: each gets the answer to what it asked, and nobody waits for ever."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Status
from tests.judging import judge, source

POOL = "from concurrent.futures import ThreadPoolExecutor\nimport threading, time, asyncio\n"
DOUBLE = "def double(n): return 2 * n\n"
TWICE = DOUBLE + "def twice(f, x): return f(f(x))\n"
SPREAD = (
    POOL
    + DOUBLE
    + "def spread(f, xs):\n    with ThreadPoolExecutor(8) as pool: return list(pool.map(f, xs))\n"
)
# name: what is in the test, and a right program
RIGHT = {
    "a pool that asks": (
        "with ThreadPoolExecutor(4) as pool:\n"
        "        assert list(pool.map(double, range(200))) == [2 * n for n in range(200)]",
        DOUBLE,
    ),
    "threads that change one object": (
        "counter = Counter2()\n"
        "    def work():\n"
        "        for _ in range(50): counter.increment()\n"
        "    threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "    for each in threads: each.start()\n"
        "    for each in threads: each.join()\n"
        "    assert counter.value() == 400",
        "import threading\n"
        "class Counter2:\n"
        "    def __init__(self): self.n, self.lock = 0, threading.Lock()\n"
        "    def increment(self):\n"
        "        with self.lock: self.n += 1\n"
        "    def value(self): return self.n",
    ),
    "threads with callbacks": (
        "with ThreadPoolExecutor(8) as pool:\n"
        "        found = list(pool.map(lambda n: twice(lambda m: double(m) + 1, n), range(60)))\n"
        "    assert found == [4 * n + 3 for n in range(60)]",
        TWICE,
    ),
    "a callback that waits for a thread that asks": (
        "with ThreadPoolExecutor(2) as pool:\n"
        "        assert twice(lambda n: pool.submit(double, n).result(), 3) == 12",
        TWICE,
    ),
    "threads of the program that call back": (
        "assert spread(lambda n: n * n, range(50)) == [n * n for n in range(50)]",
        SPREAD,
    ),
    "threads of the program whose callbacks ask": (
        "assert spread(lambda n: double(n) * n, range(50)) == [2 * n * n for n in range(50)]",
        SPREAD,
    ),
    "a thread of the program that calls back between requests": (
        "called = []\n"
        "    clock = Clock(lambda: called.append(1))\n"
        "    clock.start()\n"
        "    time.sleep(0.1)\n"
        "    clock.stop()\n"
        "    assert called and not clock.is_running()",
        POOL + "class Clock:\n"
        "    def __init__(self, f): self.f, self.end = f, threading.Event()\n"
        "    def start(self):\n"
        "        self.thread = threading.Thread(target=self.run)\n"
        "        self.thread.start()\n"
        "    def run(self):\n"
        "        while True:\n"
        "            self.f()\n"
        "            if self.end.wait(0.02): return\n"
        "    def stop(self):\n"
        "        self.end.set()\n"
        "        self.thread.join()\n"
        "    def is_running(self): return self.thread.is_alive()",
    ),
    "coroutines of the tests that ask": (
        "async def later(n):\n"
        "        await asyncio.sleep(0.01)\n"
        "        return double(n)\n"
        "    async def main():\n"
        "        assert await both(later(1), later(2)) == [2, 4]\n"
        "    asyncio.run(main())",
        "import asyncio\nasync def both(a, b): return list(await asyncio.gather(a, b))\n" + DOUBLE,
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_programs_are_paid(name: str) -> None:
    text, code = RIGHT[name]
    verdict = judge(code, source(f"{POOL}def test_it():\n    {text}\n"))
    assert verdict.value == 1.0, verdict


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("def double(n): return 2 * n if n != 13 else 0", Status.INCORRECT),
        ("def double(n): return 2 * n if n != 13 else 1 / 0", Status.RUNTIME_ERROR),
        ("import os\ndef double(n): return 2 * n if n != 13 else os._exit(0)", Status.RUNTIME_ERROR),
    ],
)
def test_wrong_programs_are_not(code: str, status: Status) -> None:
    text, _ = RIGHT["a pool that asks"]
    verdict = judge(code, source(f"{POOL}def test_it():\n    {text}\n"))
    assert (verdict.value, verdict.status) == (0.0, status), verdict


MEMOIZE = """
def memoize(f):
    known = {}
    def wrapped(n):
        if n not in known:
            known[n] = f(n)
        return known[n]
    return wrapped
"""
FIBONACCI = """
def test_fibonacci():
    @memoize
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)
    assert fib({n}) > 0
"""


def test_requests_inside_requests_have_an_end_and_not_a_wait() -> None:
    """What the tests decorate calls itself through the program: both stacks grow."""
    assert judge(MEMOIZE, FIBONACCI.format(n=60)).value == 1.0
    verdict = judge(MEMOIZE, FIBONACCI.format(n=4000))
    assert (verdict.value, verdict.status) == (0.0, Status.RUNTIME_ERROR)
    assert verdict.seconds is not None and verdict.seconds < 5
