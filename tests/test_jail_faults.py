"""What of ours is killed is replaced; no run is lost, none gets a wrong outcome; nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proctor.benchmarks.process_tree import look_at
from proctor.sandbox.core import IsolationError, Limits, Outcome, PoolError, Program
from proctor.sandbox.encoding import executions_of, request_run
from proctor.sandbox.local.host import LocalSandbox

ROOT = Path(__file__).parents[1]
SLOW = "import time; time.sleep(0.05); print('done')"


def python(source: str, **limits: object) -> Program:
    return Program(
        entry="tests.jail_programs:execute",
        payload=source.encode(),
        limits=Limits(**{"cpu_s": 60, "wall_s": 60, **limits}),  # type: ignore[arg-type]
    )


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


_OF_OTHER_TESTS: list[int] = []  # runners that were there before, of sandboxes that other tests share


@pytest.fixture(autouse=True)
def _note_runners() -> None:
    _OF_OTHER_TESTS[:] = runners_of(os.getpid())


def runners_of(parent: int) -> list[int]:
    return [pid for pid in children(parent) if "sandbox/runner.py" in command_line(pid)]


def of_sandbox(parent: int) -> dict[str, list[int]]:
    """Process ids of a host's runners, of their zygotes and of their slots."""
    runners = [pid for pid in runners_of(parent) if pid not in _OF_OTHER_TESTS]
    zygotes = [pid for runner in runners for pid in children(runner)]
    return {"runner": runners, "zygote": zygotes, "slot": [pid for z in zygotes for pid in children(z)]}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def eventually(claim: Callable[[], bool], within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_runner_waits_quietly_for_a_host_that_is_slow_to_read() -> None:
    program = python("print('x' * 900_000)")
    with LocalSandbox(1) as sandbox:
        sandbox.run(program)
        client = sandbox._clients[0]
        requests = [request_run([program]) for _ in range(6)]
        client.begin(requests)
        runner = of_sandbox(os.getpid())["runner"][0]
        time.sleep(1.0)  # by now all have ended, and the link is full
        before = look_at(runner).cpu_s
        time.sleep(1.0)
        assert look_at(runner).cpu_s - before < 0.3
        for request in requests:
            client.finish(request)
            assert len(executions_of(request, 1)[0].stdout) == 900_001


@pytest.mark.parametrize("part", ["slot", "zygote", "runner"])
def test_runs_survive_the_death_of(part: str) -> None:
    with LocalSandbox(2) as sandbox:
        sandbox.run(python("pass"))
        killed = threading.Thread(target=_kill_one, args=(part,))
        killed.start()
        found = sandbox.run_many([python(SLOW)] * 20)
        killed.join()
        assert [run.outcome for run in found] == [Outcome.OK] * 20
        assert {run.stdout for run in found} == {b"done\n"}


def _kill_one(part: str) -> None:
    time.sleep(0.2)
    os.kill(of_sandbox(os.getpid())[part][0], signal.SIGKILL)


def test_a_run_whose_slots_always_die_is_reported_as_ours() -> None:
    with LocalSandbox(1) as sandbox:
        sandbox.run(python("pass"))
        stop = threading.Event()
        killer = threading.Thread(target=_kill_slots_until, args=(stop,))
        killer.start()
        found = sandbox.run(python("import time; time.sleep(30)"))
        stop.set()
        killer.join()
        assert found.outcome is Outcome.INTERNAL_ERROR
        assert "slot ended" in found.detail
        assert sandbox.run(python(SLOW)).outcome is Outcome.OK


def _kill_slots_until(stop: threading.Event) -> None:
    while not stop.wait(0.2):
        for pid in of_sandbox(os.getpid())["slot"]:
            os.kill(pid, signal.SIGKILL)


def test_exams_survive_the_death_of_a_slot() -> None:
    examiner = Program(entry="tests.jail_programs:examine", payload=b"T", keep="T")
    candidate = Program(entry="tests.jail_programs:add", payload=SLOW.encode())
    with LocalSandbox(2) as sandbox:
        sandbox.exam(examiner, candidate)
        killed = threading.Thread(target=_kill_one, args=("slot",))
        killed.start()
        exams = sandbox.exam_many([(examiner, candidate)] * 20)
        killed.join()
        assert {exam.examiner.report.split()[0] for exam in exams} == {b"right"}


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_everything_ends_with_its_host(signal_number: int) -> None:
    script = """
        import threading
        from proctor.sandbox.local.host import LocalSandbox
        from proctor.sandbox.core import Program
        sandbox = LocalSandbox(2)
        sleeper = Program(argv=("/bin/sleep", "300"))
        threading.Thread(target=sandbox.run, args=(sleeper,)).start()
        sandbox.run(Program(argv=("/bin/true",)))
        print("ready", flush=True)
    """
    host = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert host.stdout is not None
    assert host.stdout.readline() == b"ready\n"
    parts = [pid for pids in of_sandbox(host.pid).values() for pid in pids]
    assert len(parts) >= 3
    host.send_signal(signal_number)
    host.wait()
    host.stdout.close()
    assert eventually(lambda: not any(is_running(pid) for pid in parts))


def test_a_fork_of_the_host_has_a_sandbox_of_its_own() -> None:
    with LocalSandbox(1) as sandbox:
        assert sandbox.run(python(SLOW)).stdout == b"done\n"
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if sandbox.run(python("print('child')")).stdout == b"child\n" else 2
                sandbox.close()
            finally:
                os._exit(status)
        assert sandbox.run(python(SLOW)).stdout == b"done\n"
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert sandbox.run(python(SLOW)).stdout == b"done\n"


def test_closing_leaves_nothing() -> None:
    descriptors = open_descriptors(os.getpid())
    with LocalSandbox(2) as sandbox:
        sandbox.run_many([python(SLOW)] * 4)
        parts = of_sandbox(os.getpid())
    assert all(parts.values())
    assert not any(is_running(pid) for pids in parts.values() for pid in pids)
    assert [
        path for pid in parts["runner"] for path in Path("/sys/fs/cgroup").glob(f"**/proctor-{pid}")
    ] == []
    assert open_descriptors(os.getpid()) <= descriptors


def test_a_closed_sandbox_starts_again() -> None:
    sandbox = LocalSandbox(1)
    assert sandbox.run(python(SLOW)).stdout == b"done\n"
    sandbox.close()
    assert sandbox.run(python(SLOW)).stdout == b"done\n"
    sandbox.close()


def test_a_module_that_cannot_be_imported_is_told_and_harms_no_other() -> None:
    with LocalSandbox(1) as sandbox:
        with pytest.raises(PoolError, match="no_such_module"):
            sandbox.run(Program(entry="no_such_module:f"))
        assert sandbox.run(python(SLOW)).stdout == b"done\n"
        with pytest.raises(PoolError, match="no_such_module"):
            sandbox.run(Program(entry="no_such_module:f"))
        assert sandbox.run(python(SLOW)).stdout == b"done\n"


def test_an_unknown_isolation_is_refused() -> None:
    with pytest.raises(IsolationError, match="known are full, no-landlock, no-namespaces, process"):
        LocalSandbox(isolation="none")


@pytest.mark.parametrize("isolation", ["no-landlock", "no-namespaces", "process"])
def test_a_weaker_isolation_is_recorded(isolation: str) -> None:
    queues = _message_queues()
    with LocalSandbox(1, isolation) as sandbox:
        found = sandbox.run(python(SLOW))
        assert (found.stdout, found.isolation) == (b"done\n", isolation)
        command = sandbox.run(Program(argv=("/bin/sh", "-c", "cat; echo x > f; cat f"), stdin=b"in "))
        assert (command.stdout, command.isolation) == (b"in x\n", isolation)
        daemon = "(setsid sleep 987 &); echo started"
        assert sandbox.run(Program(argv=("/bin/sh", "-c", daemon))).stdout == b"started\n"
    assert not [line for line in _command_lines() if "sleep 987" in line]
    assert _message_queues() == queues  # the probes made one where no filter holds, and it stayed


def _message_queues() -> list[str]:
    lines = Path("/proc/sysvipc/msg").read_text().splitlines()
    return [line.split()[1] for line in lines[1:]]


def _command_lines() -> list[str]:
    lines = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return lines


def test_memory_and_descriptors_stay_flat() -> None:
    programs = [python("print('x' * 1000)"), python("import os; os._exit(3)"), python("open('f', 'w')")]
    programs.append(Program(argv=("/bin/true",)))
    with LocalSandbox(2) as sandbox:
        sandbox.run_many(programs * 25)
        before = _weights()
        for _ in range(5):
            sandbox.run_many(programs * 50)
        time.sleep(0.2)  # the last results are told before their descriptors are closed
        after = _weights()
    assert after["descriptors"] <= before["descriptors"] + 2
    assert after["resident_kb"] <= before["resident_kb"] + 2048


def test_a_program_that_ends_as_it_is_killed_leaves_no_descriptor() -> None:
    """The kill comes too late: its process is gone between our last look and the signal."""
    script = """
        import os, socket
        from proctor.sandbox.local import slots, watch

        class Reaped(watch.Children):
            looks = 0

            def now(self):
                found = super().now()
                self.looks += 1
                if self.looks == 2:
                    os.waitpid(found[0], 0)
                return found

        if os.fork() == 0:
            os._exit(0)
        control, _ = socket.socketpair()
        children = Reaped(os.getpid())
        before = os.listdir("/proc/self/fd")
        slots.Slot(0, os.getpid(), -1, control, None, children).end_submission()
        print(children.looks, len(os.listdir("/proc/self/fd")) - len(before))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "2 0\n", done.stderr


def _weights() -> dict[str, int]:
    """Summed over the runner, its zygote and its slots."""
    pids = [pid for pids in of_sandbox(os.getpid()).values() for pid in pids]
    status = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    resident = [int(line.split()[1]) for text in status for line in text.splitlines() if "VmRSS" in line]
    descriptors = [open_descriptors(pid) for pid in pids]
    return {"resident_kb": sum(resident), "descriptors": sum(descriptors)}


def test_closing_leaves_no_zombie_to_whoever_adopts_orphans() -> None:
    """A container's number 1 often reaps nothing."""
    script = """
        import os
        from proctor.benchmarks.process_tree import adopt_orphans
        from proctor.sandbox.core import Program
        from proctor.sandbox.local.host import LocalSandbox

        adopt_orphans()
        for _ in range(3):
            with LocalSandbox(slots=4) as sandbox:
                programs = [Program(entry="tests.jail_programs:execute", payload=b"print(1)")] * 8
                assert {run.outcome.value for run in sandbox.run_many(programs)} == {"ok"}
        try:
            print("left:", os.waitpid(-1, os.WNOHANG))
        except ChildProcessError:
            print("none")
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "none\n", done.stderr


def test_memory_that_others_have_used_up_is_ours() -> None:
    """As in a container that has met its own limit, or on a machine that is full: the kernel kills us first."""
    take = "x = b'x' * (300 << 20)"
    with LocalSandbox(1) as sandbox:
        assert sandbox.run(python("pass")).outcome is Outcome.OK
        (runner,) = of_sandbox(os.getpid())["runner"]
        above = [
            path
            for name in ("memory.limit_in_bytes", "memory.max")
            for path in Path("/sys/fs/cgroup").glob(f"**/proctor-{runner}/{name}")
        ]
        if not above:
            pytest.skip("this host delegates no control group")
        above[0].write_text(str(100 << 20))
        found = sandbox.run(python(take, memory_mb=512))
        assert found.outcome is Outcome.INTERNAL_ERROR
        assert "ran out of memory" in found.detail
        assert sandbox.run(python(take, memory_mb=64)).outcome is Outcome.MEMORY_LIMIT
        above[0].write_text(str(2000 << 20))
        assert sandbox.run(python(take, memory_mb=512)).outcome is Outcome.OK
