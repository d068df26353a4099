"""What must hold when processes die: nothing is lost, nothing is left behind."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proctor.sandbox.worker_crew import Crew
from proctor.sandbox.workers import Failure, TaskResult, WorkerPool
from tests.worker_tasks import is_running

ROOT = Path(__file__).parent.parent
TASKS = "tests.worker_tasks:"
LONG_S = 60.0
PIDFD_GETFD = 438  # a system call that Python has no name for


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(size=2, memory_mb=256) as pool:
        yield pool


def run(pool: WorkerPool, function: str, *args: object, timeout_s: float = LONG_S) -> TaskResult:
    return pool.run(TASKS + function, *args, timeout_s=timeout_s)  # type: ignore[arg-type]


def until(claim: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not claim() and time.monotonic() < deadline:
        time.sleep(0.01)
    return claim()


def children(process: int, thread: int | None = None) -> list[int]:
    try:
        listed = Path(f"/proc/{process}/task/{thread or process}/children").read_text(encoding="ascii")
    except FileNotFoundError:
        return []
    return [int(child) for child in listed.split()]


def servers(caller: int) -> list[int]:
    """Fork servers that threads of a process have started."""
    threads = (int(thread.name) for thread in Path(f"/proc/{caller}/task").iterdir())
    return [child for thread in threads for child in children(caller, thread) if is_fork_server(child)]


def is_fork_server(process: int) -> bool:
    return b"worker_server" in Path(f"/proc/{process}/cmdline").read_bytes()


# Workers and the server die.


def test_an_idle_worker_that_is_killed_is_replaced(pool: WorkerPool) -> None:
    for _ in range(8):
        os.kill(run(pool, "process_id").value, signal.SIGKILL)
        assert run(pool, "echo", 1).value == 1


def test_neighbours_of_a_killed_worker_lose_nothing(pool: WorkerPool) -> None:
    server = run(pool, "parent_id").value
    futures = [pool.submit(TASKS + "sleep", 0.005, timeout_s=LONG_S) for _ in range(300)]
    for goal in range(30, 300, 30):  # far enough apart that no task is hit twice
        assert until(lambda goal=goal: sum(future.done() for future in futures) >= goal)  # type: ignore[misc]
        os.kill(children(server)[0], signal.SIGKILL)
    assert [future.result().failure for future in futures] == [None] * 300


def test_the_server_can_be_killed_while_tasks_run(pool: WorkerPool) -> None:
    server = run(pool, "parent_id").value
    futures = [pool.submit(TASKS + "sleep", 0.3, timeout_s=LONG_S) for _ in range(4)]
    time.sleep(0.1)
    os.kill(server, signal.SIGKILL)
    assert [future.result().value for future in futures] == [0.3] * 4
    assert run(pool, "parent_id").value != server


def test_the_server_can_be_killed_while_nothing_runs(pool: WorkerPool) -> None:
    worker, server = run(pool, "process_id").value, run(pool, "parent_id").value
    os.kill(server, signal.SIGKILL)
    assert until(lambda: not is_running(worker))  # by PR_SET_PDEATHSIG
    assert run(pool, "echo", 1).value == 1


def test_a_task_whose_server_dies_twice_is_given_up(pool: WorkerPool) -> None:
    server = run(pool, "parent_id").value
    future = pool.submit(TASKS + "spin", timeout_s=LONG_S)
    others = set(servers(os.getpid())) - {server}
    for _ in range(2):
        time.sleep(0.3)  # for the task to start; were it to start later, it would be tried more often
        (server,) = set(servers(os.getpid())) - others
        assert until(lambda of=server: bool(children(of)))  # type: ignore[misc]
        time.sleep(0.3)
        os.kill(server, signal.SIGKILL)
        assert until(lambda of=server: not is_running(of))  # type: ignore[misc]
    result = future.result()
    assert (result.failure, "code -9" in result.detail) == (Failure.POOL, True)
    assert run(pool, "echo", 1).value == 1


def test_the_end_of_the_server_shows_though_someone_holds_its_connection(pool: WorkerPool) -> None:
    """As a child does that is forked while the server is being started."""
    server = run(pool, "parent_id").value
    held = [copy_descriptor(server, fd) for fd in open_sockets(server)]
    assert held
    os.kill(server, signal.SIGKILL)
    assert run(pool, "echo", 1).value == 1
    for fd in held:
        os.close(fd)


def open_sockets(process: int) -> list[int]:
    entries = Path(f"/proc/{process}/fd").iterdir()
    return [int(entry.name) for entry in entries if str(entry.readlink()).startswith("socket:")]


def copy_descriptor(process: int, fd: int) -> int:
    pidfd = os.pidfd_open(process)
    copied = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, fd, 0)
    os.close(pidfd)
    if copied < 0:
        pytest.skip(f"pidfd_getfd is not allowed here: {os.strerror(ctypes.get_errno())}")
    return int(copied)


def test_a_server_that_is_killed_as_it_starts_is_started_again() -> None:
    with WorkerPool(size=1, imports=["sympy"]) as pool:
        future = pool.submit(TASKS + "echo", 1, timeout_s=LONG_S)
        assert until(lambda: bool(servers(os.getpid())))
        os.kill(servers(os.getpid())[0], signal.SIGKILL)
        assert future.result().value == 1


@pytest.mark.parametrize("seconds", [0.3, 100.0], ids=["exits", "is killed"])
def test_processes_that_a_task_leaves_end_with_its_worker(pool: WorkerPool, seconds: float) -> None:
    server = run(pool, "parent_id").value
    future = pool.submit(TASKS + "leave_child_behind", seconds, timeout_s=1.0)
    assert until(lambda: any(map(children, children(server))))
    (orphan,) = (orphan for worker in children(server) for orphan in children(worker))
    assert future.result().failure in (Failure.CRASH, Failure.TIMEOUT)
    assert until(lambda: not is_running(orphan))


def test_a_failing_dispatcher_leaves_nobody_waiting(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pool, "echo", 1)

    def turn(_: Crew) -> None:
        raise LookupError("a fault of ours")

    monkeypatch.setattr(Crew, "turn", turn)
    result = run(pool, "spin")
    assert (result.failure, "a fault of ours" in result.detail) == (Failure.POOL, True)
    monkeypatch.undo()
    assert run(pool, "echo", 1).value == 1


# What cannot be started.


def patch_of_server(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    """A module that spoils the fork server when it is imported there."""
    name = f"spoil_{abs(hash(source))}"
    (folder / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    return name


FORKS_FAIL = """
    import os
    fork, left = os.fork, [{failures}]
    def failing():
        left[0] -= 1
        if left[0] >= 0:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return fork()
    os.fork = failing
"""


@pytest.mark.parametrize(("failures", "failure"), [(2, None), (100, Failure.POOL)])
def test_forks_that_fail_are_tried_again_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, failure: Failure | None
) -> None:
    spoil = patch_of_server(tmp_path, monkeypatch, FORKS_FAIL.format(failures=failures))
    with WorkerPool(size=1, imports=[spoil]) as pool:
        result = run(pool, "echo", 1)
    assert result.failure is failure
    assert ("temporarily unavailable" in result.detail) is (failure is not None)


def test_workers_that_cannot_be_limited_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        import resource
        def refuse(*_): raise ValueError("not allowed to lower the limit")
        resource.setrlimit = refuse
    """
    with WorkerPool(size=1, imports=[patch_of_server(tmp_path, monkeypatch, source)]) as pool:
        result = run(pool, "echo", 1)
    assert result.failure is Failure.POOL
    assert "not allowed to lower the limit" in result.detail


def test_a_caller_without_descriptors_is_told_and_recovers(pool: WorkerPool) -> None:
    used = len(list(Path("/proc/self/fd").iterdir()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    for spare in (1, 3, 5, 7, 9):
        fillers = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest - used + 1)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + spare, hard))
        try:
            result = run(pool, "echo", spare)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for filler in fillers:
                os.close(filler)
        assert result.failure in (None, Failure.POOL)
    assert run(pool, "echo", 1).value == 1


# The caller dies.


CALLER = f"""
    import ctypes, os, sys, threading, time
    from proctor.sandbox.workers import WorkerPool
    TASKS = {TASKS!r}
    pool = WorkerPool(size=2)
    def start():
        print(pool.run(TASKS + "parent_id", timeout_s=60).value)
        print(pool.run(TASKS + "process_id", timeout_s=60).value)
        for _ in range(2):
            pool.submit(TASKS + "spin_deaf", timeout_s=600)
        time.sleep(0.2)
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
"""
RAW_FORK = """
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        time.sleep(100)
        os._exit(0)
    print(child)
"""
FORK = RAW_FORK.replace("ctypes.PyDLL(None)", "os")


@pytest.mark.parametrize(
    "ending",
    ["", FORK, RAW_FORK],
    ids=["alone", "leaving a forked child", "leaving a child that holds its descriptors"],
)
@pytest.mark.parametrize("kill_server", [False, True], ids=["caller", "caller and server"])
def test_server_and_workers_end_with_their_caller(ending: str, kill_server: bool) -> None:
    script = textwrap.dedent(CALLER) + textwrap.dedent(ending) + "print('there', flush=True)\ntime.sleep(100)"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as caller:
        assert caller.stdout
        server, *others = (int(line) for line in iter(caller.stdout.readline, "there\n"))
        crew = [server, *children(server)]
        assert len(crew) == 3
        if kill_server:
            os.kill(server, signal.SIGSTOP)  # so that it cannot act before it is killed as well
        caller.kill()
        if kill_server:
            os.kill(server, signal.SIGKILL)
        try:
            assert until(lambda: not any(map(is_running, crew)))
        finally:
            for process in filter(is_running, [*crew, *others[1:]]):
                os.kill(process, signal.SIGKILL)


def test_a_server_that_hangs_in_an_import_ends_with_its_caller(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time; time.sleep(100)", encoding="utf-8")
    script = f"""
        import sys, time
        sys.path.insert(0, {str(tmp_path)!r})
        from proctor.sandbox.workers import WorkerPool
        WorkerPool(size=1, imports=["endless"]).submit("endless:f", timeout_s=1)
        time.sleep(100)
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=environment) as caller:
        assert until(lambda: bool(servers(caller.pid)))
        (server,) = servers(caller.pid)
        time.sleep(0.3)
        caller.kill()
        assert until(lambda: not is_running(server))


# Nothing is left behind.


def memory_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def descriptors(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


@pytest.mark.slow
def test_ten_thousand_tasks_leave_nothing_behind(pool: WorkerPool) -> None:
    """5% hang, crash, exit or take all memory; the first fifth warms up, the rest must add nothing."""
    server = run(pool, "parent_id").value

    def round_of(first: int) -> tuple[list[int], float, float]:
        rows = [[index] for index in range(first, first + 2000)]
        results = pool.map(TASKS + "misbehave", rows, timeout_s=0.1)
        wrong = [index for (index,), result in zip(rows, results, strict=True) if result.value != index]
        assert wrong == list(range(first, first + 2000, 20))
        kinds = [results[index - first].failure for index in wrong[:4]]
        assert kinds == [Failure.TIMEOUT, Failure.CRASH, Failure.CRASH, Failure.MEMORY]
        assert until(lambda: len(children(server)) == 2)  # zombies are children too
        assert until(lambda: (descriptors(os.getpid()), descriptors(server)) == open_before)
        return children(server), memory_mb(os.getpid()), memory_mb(server)

    run(pool, "echo", 1)
    pool.map(TASKS + "sleep", [[0.05]] * 2, timeout_s=LONG_S)
    open_before = (descriptors(os.getpid()), descriptors(server))
    _, ours, its = round_of(0)
    for first in range(2000, 10_000, 2000):
        workers, ours_after, its_after = round_of(first)
    assert ours_after - ours < 8.0
    assert its_after - its < 4.0
    pool.close()
    assert not any(map(is_running, [server, *workers]))
