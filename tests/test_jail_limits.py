"""Each limit of the jail has its own outcome; what exceeds one is ended, and bounded until then."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from proctor.sandbox.core import Limits, Outcome, Program
from proctor.sandbox.local.host import LocalSandbox
from tests.jail_programs import timed

# Limits of one kind; the others are far away, also on a busy machine.
ROOMY = {"cpu_s": 60.0, "wall_s": 60.0, "memory_mb": 512}
SPIN = "while True: pass"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox(2) as started:
        yield started


def python(source: str, **limits: object) -> Program:
    merged: dict[str, object] = ROOMY | limits
    return Program(entry="tests.jail_programs:execute", payload=source.encode(), limits=Limits(**merged))  # type: ignore[arg-type]


def shell(script: str, **limits: object) -> Program:
    merged: dict[str, object] = ROOMY | limits
    return Program(argv=("/bin/sh", "-c", script), limits=Limits(**merged))  # type: ignore[arg-type]


def test_processor_time(sandbox: LocalSandbox) -> None:
    found = sandbox.run(python(SPIN, cpu_s=0.3))
    assert found.outcome is Outcome.CPU_LIMIT
    assert 0.3 <= found.cpu_s < 1


def test_processor_time_of_all_processes_together(sandbox: LocalSandbox) -> None:
    source = f"import os\nfor _ in range(3): os.fork()\n{SPIN}"
    found = sandbox.run(python(source, cpu_s=0.5))
    assert found.outcome is Outcome.CPU_LIMIT
    assert found.cpu_s < 1.5  # eight processes, each of which alone might have used 0.5 s


def test_processor_time_in_one_long_call(sandbox: LocalSandbox) -> None:
    assert sandbox.run(python("sum(range(10**13))", cpu_s=0.3)).outcome is Outcome.CPU_LIMIT


def test_time_by_the_clock(sandbox: LocalSandbox) -> None:
    with timed(10):
        found = sandbox.run(python("import time; time.sleep(50)", wall_s=0.3))
    assert found.outcome is Outcome.WALL_LIMIT
    assert found.cpu_s < 0.3


def test_time_that_others_took_is_given_back(sandbox: LocalSandbox) -> None:
    """0.5 s of work within 1 s by the clock, on processors that each have four other takers."""
    spinners = [
        subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(4 * len(os.sched_getaffinity(0)))
    ]
    source = "import time\nwhile time.process_time() < 0.5: pass"
    try:
        found = sandbox.run(python(source, wall_s=1.0))
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
    assert found.outcome is Outcome.OK


def test_a_program_that_stops_itself(sandbox: LocalSandbox) -> None:
    script = "kill -STOP $$; sleep 50"
    with timed(10):
        assert sandbox.run(shell(script, wall_s=0.3)).outcome is Outcome.WALL_LIMIT


def test_memory_that_python_is_refused(sandbox: LocalSandbox) -> None:
    found = sandbox.run(python("x = bytearray(900 << 20)", memory_mb=64))
    assert (found.outcome, found.exit_code) == (Outcome.MEMORY_LIMIT, 1)
    assert b"MemoryError" in found.stderr


def test_memory_that_python_does_without(sandbox: LocalSandbox) -> None:
    source = "try: x = bytearray(900 << 20)\nexcept MemoryError: print('fine')"
    found = sandbox.run(python(source, memory_mb=64))
    assert (found.outcome, found.stdout) == (Outcome.OK, b"fine\n")


def test_memory_of_several_processes_together(sandbox: LocalSandbox) -> None:
    source = "import os, time\nfor _ in range(3): os.fork()\nx = b'x' * (40 << 20); time.sleep(50)"
    found = sandbox.run(python(source, memory_mb=100))
    assert found.outcome is Outcome.MEMORY_LIMIT
    assert found.peak_memory_mb < 400


def test_shared_memory_counts(sandbox: LocalSandbox) -> None:
    source = "import mmap\nm = mmap.mmap(-1, 300 << 20)\nfor i in range(300): m.write(bytes(1 << 20))"
    assert sandbox.run(python(source, memory_mb=100)).outcome is Outcome.MEMORY_LIMIT


def test_output_is_cut_and_ends_the_run(sandbox: LocalSandbox) -> None:
    with timed(30):
        found = sandbox.run(shell("yes", output_bytes=5000))
    assert found.outcome is Outcome.OUTPUT_LIMIT
    assert found.stdout == b"y\n" * 2500


def test_output_of_just_the_limit_is_fine(sandbox: LocalSandbox) -> None:
    assert sandbox.run(shell("head -c 5000 /dev/zero", output_bytes=5000)).outcome is Outcome.OK
    assert sandbox.run(shell("head -c 5001 /dev/zero", output_bytes=5000)).outcome is Outcome.OUTPUT_LIMIT


def test_errors_beyond_the_limit_are_dropped(sandbox: LocalSandbox) -> None:
    found = sandbox.run(shell("head -c 300000 /dev/zero >&2; echo answer", output_bytes=5000))
    assert (found.outcome, found.stdout, len(found.stderr)) == (Outcome.OK, b"answer\n", 5000)


def test_a_flood_of_errors_ends_the_run(sandbox: LocalSandbox) -> None:
    with timed(30):
        assert sandbox.run(shell("yes >&2", output_bytes=5000)).outcome is Outcome.OUTPUT_LIMIT


def test_a_flood_of_reports_ends_the_run(sandbox: LocalSandbox) -> None:
    source = "while True: channel.report(bytes(1 << 20))"
    with timed(40):
        assert sandbox.run(python(source)).outcome is Outcome.OUTPUT_LIMIT


def test_nonsense_on_the_link_ends_nothing_else(sandbox: LocalSandbox) -> None:
    source = "import os\nfor _ in range(2000): os.write(3, os.urandom(500))"
    assert sandbox.run(python(source)).outcome in (Outcome.OK, Outcome.OUTPUT_LIMIT)
    assert sandbox.run(python("print(1)")).stdout == b"1\n"


def test_a_function_cannot_forge_its_end(sandbox: LocalSandbox) -> None:
    source = """
import os, struct
note = b'{"exit_code": 0, "signal": null}'
os.write(3, struct.pack('<cI', b'E', len(note)) + note)
os._exit(7)
"""
    found = sandbox.run(python(source))
    assert (found.outcome, found.exit_code) == (Outcome.RUNTIME_ERROR, 7)


def test_size_of_a_file(sandbox: LocalSandbox) -> None:
    found = sandbox.run(python("open('f', 'wb').write(bytes(9 << 20))", file_mb=8))
    assert found.outcome is Outcome.FILE_LIMIT


def test_size_of_all_files_together(sandbox: LocalSandbox) -> None:
    source = "for i in range(9): open(f'f{i}', 'wb').write(bytes(1 << 20))"
    assert sandbox.run(python(source, file_mb=8)).outcome is Outcome.FILE_LIMIT


def test_number_of_files(sandbox: LocalSandbox) -> None:
    source = "for i in range(100000): open(f'f{i}', 'w').close()"
    assert sandbox.run(python(source, file_mb=8)).outcome is Outcome.FILE_LIMIT


def test_files_of_a_command(sandbox: LocalSandbox) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do head -c 1048576 /dev/zero > f$i || exit 1; done"
    assert sandbox.run(shell(script, file_mb=8)).outcome is Outcome.FILE_LIMIT


def test_number_of_processes(sandbox: LocalSandbox) -> None:
    source = "import os, time\nfor _ in range(50):\n  if os.fork() == 0: time.sleep(50)"
    assert sandbox.run(python(source, processes=10)).outcome is Outcome.PROCESS_LIMIT


def test_a_fork_bomb_that_waits(sandbox: LocalSandbox) -> None:
    script = "f() { f | f & }; f; sleep 50"
    with timed(20):
        found = sandbox.run(shell(script, processes=20, wall_s=2))
    assert found.outcome is Outcome.PROCESS_LIMIT


def test_threads_count_as_processes(sandbox: LocalSandbox) -> None:
    source = (
        "import threading, time\n"
        "for _ in range(50): threading.Thread(target=time.sleep, args=(50,), daemon=True).start()"
    )
    assert sandbox.run(python(source, processes=10)).outcome is Outcome.PROCESS_LIMIT


def test_open_files(sandbox: LocalSandbox) -> None:
    source = "held = []\nfor _ in range(99): held.append(open('/dev/null'))"
    found = sandbox.run(python(source, open_files=20))
    assert found.outcome is Outcome.RUNTIME_ERROR
    assert b"Too many open files" in found.stderr


def test_a_forbidden_call_is_told(sandbox: LocalSandbox) -> None:
    source = "import ctypes; ctypes.CDLL(None).unshare(0x10000000)"
    found = sandbox.run(python(source))
    assert found.outcome is Outcome.SECURITY_VIOLATION
    assert "system call" in found.detail


@pytest.mark.parametrize(
    ("source", "signal"),
    [("import ctypes; ctypes.string_at(0)", 11), ("import os; os.abort()", None)],
)
def test_a_crash_is_the_programs_own(sandbox: LocalSandbox, source: str, signal: int | None) -> None:
    found = sandbox.run(python(source))
    assert found.outcome is Outcome.RUNTIME_ERROR
    assert signal in (None, found.signal)


def test_a_program_that_exits_while_its_children_go_on(sandbox: LocalSandbox) -> None:
    source = f"import os\nif os.fork() == 0:\n  os.setsid()\n  {SPIN}\nprint('done')"
    with timed(20):
        assert sandbox.run(python(source)).outcome is Outcome.OK
