"""What a task costs over its own work. The fastest tenth counts: a busy machine slows the rest."""

from __future__ import annotations

import time
from collections.abc import Callable

from proctor.benchmarks.worker_overhead import Times, contenders, measure, replace_ours, show
from proctor.sandbox.workers import WorkerPool


def fastest_tenth(call: Callable[[], object], count: int) -> float:
    """Seconds within which a tenth of the calls were done."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[count // 10]


def test_a_task_costs_less_than_a_millisecond() -> None:
    with WorkerPool(size=1, imports=["operator"]) as pool:
        pool.run("operator:neg", 1, timeout_s=60)
        assert fastest_tenth(lambda: pool.run("operator:neg", 1, timeout_s=60), 300) < 1e-3


def test_a_task_of_a_map_costs_less_than_a_fifth_of_one() -> None:
    with WorkerPool(size=1, imports=["operator"]) as pool:
        rows = [[1]] * 1000
        pool.map("operator:neg", rows, timeout_s=60)
        assert fastest_tenth(lambda: pool.map("operator:neg", rows, timeout_s=60), 10) / 1000 < 2e-4


def test_a_replacement_costs_a_fork() -> None:
    """To start an interpreter and import sympy takes a third of a second on an idle machine."""
    with replace_ours() as replace:
        assert min(replace() for _ in range(5)) < 0.1


def test_the_comparison_has_a_row_for_each_pool() -> None:
    ours, *_ = contenders()
    times = Times()
    measure(ours, times, num_single=5, num_mapped=10, num_kills=1)
    table = show({"ours": times, "again": times})
    assert table.row_count == 2
    assert "n = 5 calls" in str(table.caption)
