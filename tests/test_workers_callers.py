"""Who may call a pool: any thread, event loop, process, actor or script."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proctor.sandbox import worker_launch
from proctor.sandbox.workers import Failure, WorkerPool, shared_pool

ROOT = Path(__file__).parent.parent
TASKS = "tests.worker_tasks:"
LONG_S = 60.0


def score_some(pool: WorkerPool) -> list[object]:
    """A value, a kill and a map."""
    single = pool.run(TASKS + "echo", "a", timeout_s=LONG_S).value
    killed = pool.run(TASKS + "spin", timeout_s=0.1).failure
    mapped = [result.value for result in pool.map(TASKS + "echo", [[0], [1]], timeout_s=LONG_S)]
    return [single, killed.value if killed else None, *mapped]


EXPECTED = ["a", "timeout", 0, 1]


def num_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def score_and_close() -> list[object]:
    with WorkerPool(size=2) as pool:
        return score_some(pool)


def test_another_thread() -> None:
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(score_and_close).result(LONG_S) == EXPECTED


def test_many_threads_share_a_pool() -> None:
    with WorkerPool(size=2) as pool, ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda _: score_some(pool), range(32)))
        assert results == [EXPECTED] * 32


def test_a_pool_outlives_the_thread_that_started_it() -> None:
    with WorkerPool(size=1) as pool:
        thread = threading.Thread(target=lambda: pool.run(TASKS + "echo", 1, timeout_s=LONG_S))
        thread.start()
        thread.join()
        time.sleep(0.1)
        process = pool.run(TASKS + "process_id", timeout_s=LONG_S).value
        time.sleep(0.1)
        assert pool.run(TASKS + "process_id", timeout_s=LONG_S).value == process


async def test_an_event_loop_goes_on_while_tasks_run() -> None:
    with WorkerPool(size=2) as pool:
        await pool.arun(TASKS + "echo", 0, timeout_s=LONG_S)
        start = time.monotonic()
        hung = asyncio.create_task(pool.arun(TASKS + "spin", timeout_s=0.5))
        results = await asyncio.gather(*(pool.arun(TASKS + "echo", n, timeout_s=LONG_S) for n in range(50)))
        assert [result.value for result in results] == list(range(50))
        assert time.monotonic() - start < 0.5
        assert (await hung).failure is Failure.TIMEOUT


async def test_a_cancelled_wait_harms_nobody() -> None:
    with WorkerPool(size=1) as pool:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pool.arun(TASKS + "sleep", 0.5, timeout_s=LONG_S), 0.2)
        assert (await pool.arun(TASKS + "echo", 1, timeout_s=LONG_S)).value == 1


def test_several_event_loops_share_a_pool() -> None:
    with WorkerPool(size=2) as pool, ThreadPoolExecutor(4) as threads:
        run = lambda n: asyncio.run(pool.arun(TASKS + "echo", n, timeout_s=LONG_S)).value  # noqa: E731
        assert list(threads.map(run, range(20))) == list(range(20))


# Processes.


def in_fork(work: object) -> object:
    """What `work` returns in a child made by os.fork, which then ends as a program does."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            os.write(write, pickle.dumps(work()))  # type: ignore[operator]
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(data)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
class TestFork:
    def test_a_forked_child_has_a_pool_of_its_own(self) -> None:
        with WorkerPool(size=1) as pool:
            ours = pool.run(TASKS + "parent_id", timeout_s=LONG_S).value
            theirs = in_fork(lambda: pool.run(TASKS + "parent_id", timeout_s=LONG_S).value)
            assert theirs != ours
            assert pool.run(TASKS + "parent_id", timeout_s=LONG_S).value == ours

    def test_forks_while_the_pool_is_busy(self) -> None:
        """Whatever locks the dispatcher's thread holds just then."""
        with WorkerPool(size=2) as pool:
            stop = threading.Event()

            def keep_busy() -> None:
                while not stop.is_set():
                    pool.map(TASKS + "echo", [[0]] * 20, timeout_s=LONG_S)

            threads = [threading.Thread(target=keep_busy) for _ in range(3)]
            for thread in threads:
                thread.start()
            results = [in_fork(lambda: score_some(pool)) for _ in range(10)]
            stop.set()
            for thread in threads:
                thread.join()
            assert results == [EXPECTED] * 10

    def test_a_child_closes_what_it_inherited(self) -> None:
        with WorkerPool(size=2) as pool:
            before = num_descriptors()
            pool.map(TASKS + "sleep", [[0.05]] * 4, timeout_s=LONG_S)
            assert num_descriptors() > before
            assert in_fork(lambda: num_descriptors()) <= before + 1  # the pipe back to us


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_multiprocessing_child(method: str) -> None:
    assert shared_pool().run(TASKS + "echo", 1, timeout_s=LONG_S).value == 1
    script = f"""
        import multiprocessing
        from tests.test_workers_callers import score_and_close
        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(1) as processes:
                print(processes.apply(score_and_close))
    """
    if method == "fork":
        with multiprocessing.get_context("fork").Pool(1) as processes:
            assert processes.apply(score_and_close) == EXPECTED
    else:
        assert python(script).stdout == f"{EXPECTED}\n"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_ray_actor() -> None:
    ray = pytest.importorskip("ray")
    environment = {"env_vars": {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}}
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    try:

        @ray.remote
        class Scorer:
            def score(self) -> list[object]:
                from tests.test_workers_callers import score_some

                return score_some(shared_pool())

        scorer = Scorer.remote()
        assert ray.get(scorer.score.remote(), timeout=120) == EXPECTED
    finally:
        ray.shutdown()


# Scripts.


def python(script: str, *, how: str = "-c", folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs a script from a bare checkout, fed as `-c`, on stdin, or from a file; shows what it printed."""
    script = textwrap.dedent(script)
    arguments = {"-c": ["-c", script], "-": ["-"], "file": [str(folder / "script.py")]}[how]
    if how == "file":
        (folder / "script.py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        input=script if how == "-" else None,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    return done


UNGUARDED = """
    print("main runs")
    from proctor.sandbox.workers import shared_pool
    print(shared_pool().run("tests.worker_tasks:echo", "told", timeout_s=60).value)
    print(shared_pool().run("tests.worker_tasks:main_name", timeout_s=60).value)
"""


@pytest.mark.parametrize("how", ["-c", "-", "file"])
def test_a_script_without_a_guard_is_not_run_again(how: str, tmp_path: Path) -> None:
    assert python(UNGUARDED, how=how, folder=tmp_path).stdout == "main runs\ntold\nNone\n"


def test_modules_beside_a_script_are_found(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def double(n): return 2 * n", encoding="utf-8")
    script = """
        from proctor.sandbox.workers import WorkerPool
        print(WorkerPool(size=1).run("beside:double", 4, timeout_s=60).value)
    """
    assert python(script, how="file", folder=tmp_path).stdout == "8\n"


@pytest.mark.parametrize(
    "ending",
    [
        "pool.submit(TASKS + 'spin', timeout_s=60)",
        "pool.submit(TASKS + 'spin', timeout_s=60); del pool; import gc; gc.collect()",
        "pool.map(TASKS + 'echo', [[0]] * 100, timeout_s=60); sys.exit(3)",
        "threading.Timer(0.2, lambda: pool.run(TASKS + 'echo', 1, timeout_s=60)).start()",
        "threading.Thread(target=lambda: pool.run(TASKS + 'spin', timeout_s=60), daemon=True).start()",
        "import atexit; atexit.register(lambda: pool.run(TASKS + 'echo', 1, timeout_s=60))",
        "import os; os.fork() and os.wait()",
        "WorkerPool(size=1, imports=['sympy']).submit(TASKS + 'echo', 1, timeout_s=60)",
    ],
)
def test_an_interpreter_ends_quickly_and_quietly(ending: str) -> None:
    script = f"""
        import sys, threading, time, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from proctor.sandbox.workers import WorkerPool
        TASKS = {TASKS!r}
        pool = WorkerPool(size=2)
        pool.run(TASKS + "echo", 1, timeout_s=60)
        {ending}
    """
    start = time.monotonic()
    done = python(script)
    assert done.stdout == ""
    assert time.monotonic() - start < 10


# The server's own interpreter.


def test_workers_have_nothing_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    ballast = bytearray(os.urandom(1)) * (300 << 20)
    read, write = os.pipe()
    os.set_inheritable(read, True)  # as C libraries leave theirs
    with WorkerPool(size=1) as pool:
        assert "HF_TOKEN" not in pool.run(TASKS + "environment", timeout_s=LONG_S).value
        assert pool.run(TASKS + "resident_mb", timeout_s=LONG_S).value < len(ballast) / (2 << 20)
        links = pool.run(TASKS + "descriptors", timeout_s=LONG_S).value
    os.close(read)
    os.close(write)
    assert len([link for link in links if link.startswith("socket:")]) == 1
    assert not [link for link in links if link.startswith("pipe:") or "pidfd" in link or "eventpoll" in link]


def test_sets_have_the_same_order_in_every_server() -> None:
    orders = []
    for _ in range(3):
        with WorkerPool(size=1) as pool:
            orders.append(pool.run(TASKS + "set_order", timeout_s=LONG_S).value)
    assert orders == [orders[0]] * 3


def test_what_a_pool_imports_is_there_at_once() -> None:
    with WorkerPool(size=1, imports=["decimal", "sympy"]) as pool:
        assert pool.run(TASKS + "loaded", "sympy", timeout_s=LONG_S).value is True


def test_an_import_that_fails_is_ours_and_said() -> None:
    with WorkerPool(size=1, imports=["no_such_module_here"]) as pool:
        result = pool.run(TASKS + "echo", 1, timeout_s=LONG_S)
        assert result.failure is Failure.POOL
        assert "No module named 'no_such_module_here'" in result.detail


@pytest.mark.parametrize("executable", [None, "", "/bin/sh", "/nowhere/python3"])
def test_an_odd_executable_is_not_run(monkeypatch: pytest.MonkeyPatch, executable: str | None) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    assert score_and_close() == EXPECTED


def test_no_interpreter_at_all_is_ours_and_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(sys, "_base_executable", "")
    monkeypatch.setattr(sys, "exec_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_exec_prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    result = WorkerPool(size=1).run(TASKS + "echo", 1, timeout_s=LONG_S)
    assert result.failure is Failure.POOL
    assert "no python3" in result.detail


def test_a_server_that_cannot_boot_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_launch, "_BOOT", "raise SystemExit('no room')")
    result = WorkerPool(size=1).run(TASKS + "echo", 1, timeout_s=LONG_S)
    assert result.failure is Failure.POOL
    assert "no room" in result.detail
