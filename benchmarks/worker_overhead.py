"""What a task in a killable worker costs over its own work, beside other process pools, in one run.

    python -m proctor.benchmarks.worker_overhead

The task is `operator.neg`, so what is measured is the way there and back. Pools take turns, so that a busy
machine slows all of them. "After a kill" is the time from the end of a hung task to the next answer, in a
pool of one worker with sympy imported. concurrent.futures cannot kill: there the worker exits, which breaks
the pool, and a new one is made; nor has a task of its chunks a deadline. Pools that fork the caller are the
fastest that those libraries have; in a caller with threads or CUDA they are not safe.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import operator
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from proctor.sandbox.workers import WorkerPool

_DEADLINE_S = 30.0
_HANG_S = 0.05


@dataclass(frozen=True, slots=True)
class Calls:
    """An open pool of two workers."""

    one: Callable[[], object]  # one task, and waits for it
    many: Callable[[int], object]  # so many at once


@dataclass(frozen=True, slots=True)
class Contender:
    """One kind of pool."""

    name: str
    open: Callable[[], AbstractContextManager[Calls]]
    replace: Callable[[], AbstractContextManager[Callable[[], float]]]  # seconds from a kill to an answer


@dataclass(slots=True)
class Times:
    """Seconds measured for one contender."""

    single: list[float] = field(default_factory=list)  # of each call
    mapped: list[float] = field(default_factory=list)  # per task, of each round
    replaced: list[float] = field(default_factory=list)  # of each kill


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# Ours.


@contextlib.contextmanager
def open_ours() -> Iterator[Calls]:
    with WorkerPool(size=2, imports=["operator"]) as pool:
        yield Calls(
            lambda: pool.run("operator:neg", 1, timeout_s=_DEADLINE_S),
            lambda count: pool.map("operator:neg", [[1]] * count, timeout_s=_DEADLINE_S),
        )


@contextlib.contextmanager
def replace_ours() -> Iterator[Callable[[], float]]:
    with WorkerPool(size=1, imports=["operator", "time", "sympy"]) as pool:

        def replace() -> float:
            pool.run("time:sleep", 60, timeout_s=_HANG_S)
            return timed(lambda: pool.run("operator:neg", 1, timeout_s=_DEADLINE_S))

        pool.run("operator:neg", 1, timeout_s=_DEADLINE_S)
        yield replace


# concurrent.futures: no deadlines.


def executor(size: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(size, multiprocessing.get_context("fork"), initializer=import_sympy)


@contextlib.contextmanager
def open_executor(chunk: int) -> Iterator[Calls]:
    with executor(2) as pool:
        yield Calls(
            lambda: pool.submit(operator.neg, 1).result(),
            lambda count: list(pool.map(operator.neg, [1] * count, chunksize=chunk)),
        )


@contextlib.contextmanager
def replace_executor() -> Iterator[Callable[[], float]]:
    def answer_from_new_pool() -> None:
        with executor(1) as pool:
            pool.submit(operator.neg, 1).result()

    def replace() -> float:
        with executor(1) as pool, contextlib.suppress(BrokenProcessPool):
            pool.submit(os._exit, 1).result()
        return timed(answer_from_new_pool)

    yield replace


# pebble: deadlines, kept by terminating the worker.


@contextlib.contextmanager
def open_pebble(method: str) -> Iterator[Calls]:
    import pebble

    with pebble.ProcessPool(2, context=multiprocessing.get_context(method)) as pool:
        yield Calls(
            lambda: pool.schedule(operator.neg, [1], timeout=_DEADLINE_S).result(),
            lambda count: list(pool.map(operator.neg, [1] * count, timeout=_DEADLINE_S).result()),
        )


@contextlib.contextmanager
def replace_pebble(method: str) -> Iterator[Callable[[], float]]:
    import pebble

    context = multiprocessing.get_context(method)
    with pebble.ProcessPool(1, initializer=import_sympy, context=context) as pool:

        def replace() -> float:
            with contextlib.suppress(TimeoutError):
                pool.schedule(time.sleep, [60], timeout=_HANG_S).result()
            return timed(lambda: pool.schedule(operator.neg, [1]).result())

        pool.schedule(operator.neg, [1]).result()
        yield replace


def import_sympy() -> None:
    __import__("sympy")


# The comparison.


def contenders() -> list[Contender]:
    """Ours first: the others are shown as multiples of it."""
    found = [
        Contender("proctor WorkerPool", open_ours, replace_ours),
        Contender("futures, fork", lambda: open_executor(1), replace_executor),
        Contender("futures, fork, chunks of 64", lambda: open_executor(64), replace_executor),
    ]
    if find_spec("pebble"):
        for method in ("fork", "spawn"):
            opened, replaced = (lambda m=method: open_pebble(m)), (lambda m=method: replace_pebble(m))
            found.append(Contender(f"pebble, {method}", opened, replaced))
    return found


def measure(contender: Contender, times: Times, *, num_single: int, num_mapped: int, num_kills: int) -> None:
    """One round: adds to `times`."""
    with contender.open() as calls:
        calls.many(200)  # starts the workers, and lets the pool see how short the tasks are
        times.single += [timed(calls.one) for _ in range(num_single)]
        times.mapped.append(timed(lambda: calls.many(num_mapped)) / num_mapped)
    with contender.replace() as replace:
        times.replaced += [replace() for _ in range(num_kills)]


def show(results: dict[str, Times]) -> Table:
    """Medians, and how many times ours they are."""
    ours = next(iter(results.values()))
    table = Table(
        title="Overhead of one task (operator.neg), 2 workers; (xN): times ours",
        caption=f"n = {len(ours.single)} calls, {len(ours.mapped)} maps, {len(ours.replaced)} kills; "
        f"Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}",
    )
    table.add_column("pool", no_wrap=True)
    for column in ("single p50, us", "single p99, us", "mapped p50, us", "after a kill, ms"):
        table.add_column(column, justify="right")
    for name, times in results.items():
        table.add_row(
            name,
            *(
                f"{of(values) * scale:,.0f} (x{of(values) / of(reference):,.1f})"
                for of, values, reference, scale in (
                    (statistics.median, times.single, ours.single, 1e6),
                    (percentile_99, times.single, ours.single, 1e6),
                    (statistics.median, times.mapped, ours.mapped, 1e6),
                    (statistics.median, times.replaced, ours.replaced, 1e3),
                )
            ),
        )
    return table


def percentile_99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def main(
    rounds: Annotated[int, typer.Option(help="Times that every pool has its turn.")] = 5,
    single: Annotated[int, typer.Option(help="Calls one by one, per round.")] = 400,
    mapped: Annotated[int, typer.Option(help="Tasks in one call of map, per round.")] = 4000,
    kills: Annotated[int, typer.Option(help="Hung tasks, per round.")] = 5,
) -> None:
    """Compare the overhead of process pools, ours first."""
    results: dict[str, Times] = {}
    talk = Console(stderr=True)
    for number in range(rounds):
        for contender in contenders():
            talk.print(f"round {number + 1} of {rounds}: {contender.name}")
            times = results.setdefault(contender.name, Times())
            measure(contender, times, num_single=single, num_mapped=mapped, num_kills=kills)
    Console().print(show(results))


if __name__ == "__main__":
    typer.run(main)
