"""What a task gives: values, and every way of having none."""

from __future__ import annotations

import ctypes
import resource
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from proctor.sandbox.local import landlock
from proctor.sandbox.workers import Failure, TaskResult, WorkerPool, shared_pool
from tests.worker_tasks import is_running

TASKS = "tests.worker_tasks:"
HANGS = 80  # with this argument, `misbehave` does
LONG_S = 60.0  # for what ends by itself: a busy machine is no failure


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(size=2, memory_mb=256) as pool:
        yield pool


def run(pool: WorkerPool, function: str, *args: object, timeout_s: float = LONG_S) -> TaskResult:
    return pool.run(TASKS + function, *args, timeout_s=timeout_s)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        10**4000,
        0.1,
        float("inf"),
        "",
        "π \U0001f600 \ud800 \x00",
        [],
        [1, ["a", None]],
        {"a": {}},
    ],
)
def test_values_come_back_as_they_went(pool: WorkerPool, value: object) -> None:
    assert run(pool, "echo", value).value == value


def test_tuples_come_back_as_lists_and_keys_as_strings(pool: WorkerPool) -> None:
    assert run(pool, "echo", ((1, 2), {1: 2})).value == [[1, 2], {"1": 2}]


def test_large_values_cross_both_ways(pool: WorkerPool) -> None:
    text = "x" * (7 << 20)
    assert run(pool, "echo", text).value == text


def test_seconds_are_those_of_the_task(pool: WorkerPool) -> None:
    run(pool, "echo", 0)
    assert 0.05 <= run(pool, "sleep", 0.05).seconds < 1.0


# Deadlines.


@pytest.mark.parametrize("function", ["spin", "spin_deaf"])
def test_a_task_that_hangs_is_killed_at_its_deadline(pool: WorkerPool, function: str) -> None:
    run(pool, "echo", 0)
    start = time.monotonic()
    result = run(pool, function, timeout_s=0.2)
    assert result.failure is Failure.TIMEOUT
    assert result.value is None
    assert "0.2 s" in result.detail
    assert 0.2 <= result.seconds <= time.monotonic() - start < 3.0


def test_the_process_of_a_late_task_is_gone(pool: WorkerPool) -> None:
    with WorkerPool(size=1) as alone:
        process = run(alone, "process_id").value
        assert run(alone, "spin", timeout_s=0.1).failure is Failure.TIMEOUT
        assert run(alone, "process_id").value != process
        assert not is_running(process)


def test_a_deadline_counts_from_the_start_of_the_task() -> None:
    with WorkerPool(size=1) as alone:
        futures = [alone.submit(TASKS + "sleep", 0.2, timeout_s=1.0) for _ in range(8)]
        assert [future.result().failure for future in futures] == [None] * 8  # 1.6 s in all


def hold_gil(seconds: float) -> None:
    """Keeps every other thread of ours from running, as a C extension may."""
    ctypes.PyDLL(None).usleep(ctypes.c_uint(int(seconds * 1e6)))


@pytest.mark.parametrize(("seconds", "failure"), [(0.1, None), (0.6, Failure.TIMEOUT)])
def test_a_caller_that_is_late_judges_as_one_in_time(
    pool: WorkerPool, seconds: float, failure: Failure | None
) -> None:
    run(pool, "echo", 0)
    future = pool.submit(TASKS + "sleep", seconds, timeout_s=0.5)
    time.sleep(0.05)
    hold_gil(1.0)
    assert future.result().failure is failure


# Memory.


@pytest.mark.parametrize(
    "function", ["allocate", "allocate_at_once", "allocate_under_another_name", "abort_for_memory"]
)
def test_too_much_memory_is_told_apart(pool: WorkerPool, function: str) -> None:
    assert run(pool, function, 2048).failure is Failure.MEMORY


@pytest.mark.parametrize("function", ["allocate", "allocate_at_once"])
def test_memory_within_the_limit_is_granted(pool: WorkerPool, function: str) -> None:
    assert run(pool, function, 150).failure is None


def test_the_size_of_the_caller_does_not_hide_a_lack_of_memory() -> None:
    """A process that vfork and exec made reports its parent's peak as its own."""
    ballast = bytearray(b"x") * (600 << 20)
    with WorkerPool(size=1, memory_mb=128) as alone:
        assert run(alone, "abort_for_memory", 2048).failure is Failure.MEMORY
    assert ballast


def test_memory_that_one_task_keeps_is_not_the_next_ones_loss() -> None:
    with WorkerPool(size=1, memory_mb=256) as alone:
        results = alone.map(TASKS + "leak", [[100]] * 6, timeout_s=LONG_S)
        assert [result.failure for result in results] == [None] * 6


# Exceptions and crashes.


def test_an_exception_is_told_with_its_text(pool: WorkerPool) -> None:
    result = run(pool, "fail", "no such surd")
    assert (result.failure, result.detail) == (Failure.EXCEPTION, "ValueError: no such surd")


def test_the_text_of_an_exception_is_bounded(pool: WorkerPool) -> None:
    assert len(run(pool, "fail", "x" * 10**6).detail) <= 2000


@pytest.mark.parametrize(
    ("function", "said"),
    [("leave", "SystemExit: 3"), ("no_such_function", "AttributeError"), ("fail_to_say", "Mute")],
)
def test_odd_exceptions_are_exceptions(pool: WorkerPool, function: str, said: str) -> None:
    result = run(pool, function, *([3] if function == "leave" else []))
    assert result.failure is Failure.EXCEPTION
    assert said in result.detail


def test_a_module_that_does_not_exist_is_an_exception(pool: WorkerPool) -> None:
    result = pool.run("no.such.module:f", timeout_s=LONG_S)
    assert result.failure is Failure.EXCEPTION
    assert "No module named" in result.detail


@pytest.mark.parametrize(
    ("function", "args", "said"),
    [
        ("segfault", [], "SIGSEGV"),
        ("overflow_stack", [], "SIGSEGV"),
        ("vanish", [3], "exited with code 3"),
        ("vanish", [0], "exited with code 0"),
        ("kill_self", [int(signal.SIGTERM)], "SIGTERM"),
        ("kill_self", [int(signal.SIGKILL)], "SIGKILL"),
        ("hang_up", [], "closed its connection"),
    ],
)
def test_a_crash_is_told_with_its_cause(pool: WorkerPool, function: str, args: list[int], said: str) -> None:
    result = run(pool, function, *args)
    assert (result.failure, result.detail) == (Failure.CRASH, result.detail)
    assert said in result.detail


def test_endless_recursion_is_a_crash_though_the_stack_has_no_limit() -> None:
    limits = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (limits[1], limits[1]))
    try:
        with WorkerPool(size=1, memory_mb=256) as alone:
            assert run(alone, "overflow_stack").failure is Failure.CRASH
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, limits)


# What a worker writes.


@pytest.mark.parametrize(
    "data",
    [
        "\xff\xff\xff\xff",  # a frame of 4 GB is announced
        "\x04\x00\x00\x00null",
        "\x02\x00\x00\x00[]",
        '\x15\x00\x00\x00["ready",0,0.0,false]',
        "\x03\x00\x00\x00\x80\x04.",  # a pickle
    ],
)
def test_a_worker_that_breaks_the_protocol_is_killed(pool: WorkerPool, data: str) -> None:
    result = run(pool, "write", data)
    assert (result.failure, result.value) == (Failure.CRASH, None)


def test_deeply_nested_replies_break_nothing(pool: WorkerPool) -> None:
    body = "[" * 200_000
    header = "".join(chr(byte) for byte in len(body).to_bytes(4, "little"))
    assert run(pool, "write", header + body).failure is Failure.CRASH


@pytest.mark.parametrize("kind", ["set", "cycle", "deep", "long", "bytes"])
def test_values_that_are_not_plain_data_are_exceptions(pool: WorkerPool, kind: str) -> None:
    assert run(pool, "unsayable", kind).failure is Failure.EXCEPTION


def test_values_are_bounded(pool: WorkerPool) -> None:
    result = run(pool, "letters", 9 << 20)
    assert result.failure is Failure.EXCEPTION
    assert "may cross" in result.detail


def test_arguments_are_bounded(pool: WorkerPool) -> None:
    results = pool.map(TASKS + "echo", [["x" * (65 << 20)], ["y"]], timeout_s=LONG_S)
    assert [result.failure for result in results] == [Failure.EXCEPTION, None]


def test_what_a_worker_prints_goes_nowhere(pool: WorkerPool, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(pool, "print_much").failure is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("what", ["write", "remove", "create", "run", "connect", "signal"])
def test_a_task_does_not_reach_out(pool: WorkerPool, tmp_path: Path, what: str) -> None:
    path = tmp_path / "file"
    path.write_text("as it was", encoding="utf-8")
    result = run(pool, "reach", what, str(path if what != "create" else tmp_path))
    assert result.failure is Failure.EXCEPTION
    assert "Permission" in result.detail or (what == "run" and "non-zero" in result.detail)
    assert path.read_text(encoding="utf-8") == "as it was"


# Many at once.


def test_a_map_keeps_order(pool: WorkerPool) -> None:
    results = pool.map(TASKS + "echo", [[number] for number in range(3000)], timeout_s=LONG_S)
    assert [result.value for result in results] == list(range(3000))


def test_an_empty_map_is_empty(pool: WorkerPool) -> None:
    assert pool.map(TASKS + "echo", [], timeout_s=1.0) == []


def test_a_hung_row_fails_alone(pool: WorkerPool) -> None:
    """Rows that queued behind it in its worker are done by another, and each has its own deadline."""
    pool.map(TASKS + "echo", [[0]] * 200, timeout_s=LONG_S)  # teaches that these are short
    rows = [[index] for index in range(1, 400)]
    hung = pool.submit(TASKS + "spin", timeout_s=0.5)
    results = pool.map(TASKS + "misbehave", rows, timeout_s=0.5)
    wrong = [row[0] for row, result in zip(rows, results, strict=True) if result.value != row[0]]
    assert wrong == list(range(20, 400, 20))
    assert hung.result().failure is Failure.TIMEOUT


def test_a_hung_row_does_not_hold_up_those_behind_it() -> None:
    """They wait in its worker's socket, and are taken back long before its deadline."""
    with WorkerPool(size=2) as two:
        two.map(TASKS + "misbehave", [[1]] * 200, timeout_s=LONG_S)  # teaches that it is short
        done: list[float] = []
        futures = []
        for index in (*range(1, 10), HANGS, *range(81, 100)):
            futures.append(two.submit(TASKS + "misbehave", index, timeout_s=3.0))
            futures[-1].add_done_callback(lambda _: done.append(time.monotonic()))
        failures = [future.result().failure for future in futures]
        assert failures == [None] * 9 + [Failure.TIMEOUT] + [None] * 19
        assert sum(at < done[-1] - 1.5 for at in done) == 28


# Futures and names.


def test_a_waiting_task_can_be_cancelled() -> None:
    with WorkerPool(size=1) as alone:
        running = alone.submit(TASKS + "sleep", 0.3, timeout_s=LONG_S)
        time.sleep(0.1)
        waiting = alone.submit(TASKS + "sleep", 0.3, timeout_s=LONG_S)
        assert waiting.cancel()
        assert running.result().value == 0.3
        assert alone.run(TASKS + "echo", 1, timeout_s=LONG_S).value == 1


def test_a_callback_that_waits_for_its_pool_is_refused(pool: WorkerPool) -> None:
    refusals: Future[str] = Future()

    def wait_inside(_: object) -> None:
        try:
            run(pool, "echo", 1)
        except RuntimeError as error:
            refusals.set_result(str(error))

    pool.submit(TASKS + "sleep", 0.05, timeout_s=LONG_S).add_done_callback(wait_inside)
    assert "wait for itself" in refusals.result(timeout=LONG_S)


@pytest.mark.parametrize(
    "name", ["echo", "tests.worker_tasks", "__main__:f", "a b:c", "tests.worker_tasks:", ":f"]
)
def test_a_name_that_cannot_be_called_is_refused(pool: WorkerPool, name: str) -> None:
    with pytest.raises(ValueError, match=r"expected 'package\.module:function'"):
        pool.submit(name, timeout_s=1.0)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("inf"), float("nan")])
def test_a_task_without_a_deadline_is_refused(pool: WorkerPool, timeout_s: float) -> None:
    with pytest.raises(ValueError, match="deadline"):
        pool.submit(TASKS + "echo", 1, timeout_s=timeout_s)


def test_arguments_that_are_not_plain_data_are_refused(pool: WorkerPool) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        pool.submit(TASKS + "echo", {1, 2}, timeout_s=1.0)  # type: ignore[arg-type]


def test_a_closed_pool_fails_what_it_had_and_takes_no_more() -> None:
    pool = WorkerPool(size=1)
    futures = [pool.submit(TASKS + "spin", timeout_s=LONG_S) for _ in range(3)]
    time.sleep(0.3)
    pool.close()
    pool.close()
    assert [future.result(timeout=5).failure for future in futures] == [Failure.POOL] * 3
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(TASKS + "echo", 1, timeout_s=1.0)


def test_a_pool_that_nobody_holds_finishes_its_tasks() -> None:
    assert WorkerPool(size=1).submit(TASKS + "sleep", 0.2, timeout_s=LONG_S).result().value == 0.2


def test_the_shared_pool_has_what_judges_mathematics() -> None:
    assert shared_pool() is shared_pool()
    assert shared_pool().run(TASKS + "loaded", "math_verify", timeout_s=LONG_S).value is True
    assert (
        shared_pool().run("sympy:simplify", "x - x", timeout_s=LONG_S).failure is Failure.EXCEPTION
    )  # no JSON
