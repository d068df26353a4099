"""Programs that try to get out: nothing they do reaches the host, the next run, or another's result."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from proctor.sandbox.core import Exam, Limits, Outcome, Program
from proctor.sandbox.local.host import LocalSandbox
from tests.jail_attacks import ATTACKS
from tests.jail_programs import timed

NAME = f"proctor-canary-{os.getpid()}"  # abstract sockets of parallel test processes must not collide
LIMITS = Limits(cpu_s=20, wall_s=30, memory_mb=256, processes=32)


@dataclass
class Canaries:
    """What stands outside and must not be touched."""

    file: Path
    process: subprocess.Popen[bytes]
    listener: socket.socket
    touched: list[str]

    @property
    def names(self) -> dict[str, str]:
        port = self.listener.getsockname()[1]
        return {"{name}": NAME, "{file}": str(self.file), "{pid}": str(self.process.pid), "{port}": str(port)}


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canaries]:
    file = tmp_path_factory.mktemp("canary") / "secret.txt"
    file.write_text("SECRET")
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    touched: list[str] = []
    with contextlib.ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.socket(family)) for family in (socket.AF_INET, socket.AF_UNIX)
        ]
        datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        listeners[0].bind(("127.0.0.1", 0))
        listeners[1].bind(f"\0{NAME}")
        datagrams.bind(f"\0{NAME}-dgram")
        for listener in listeners:
            listener.listen()
            threading.Thread(target=_note_callers, args=(listener, touched), daemon=True).start()
        yield Canaries(file, process, listeners[0], touched)
    process.kill()
    process.wait()


def _note_callers(listener: socket.socket, touched: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()
            touched.append("a connection")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox(1) as started:
        yield started


def python(source: str) -> Program:
    return Program(entry="tests.jail_programs:execute", payload=source.encode(), limits=LIMITS)


def exam(sandbox: LocalSandbox, source: str) -> Exam:
    candidate = Program(entry="tests.jail_programs:add", payload=source.encode(), limits=LIMITS)
    return sandbox.exam(Program(entry="tests.jail_programs:examine", payload=b"T"), candidate)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(sandbox: LocalSandbox, canaries: Canaries, name: str) -> None:
    source = ATTACKS[name]
    for placeholder, value in canaries.names.items():
        source = source.replace(placeholder, value)
    sandbox.run(python("x = 'SECRET-OF-ANOTHER-RUN'"))
    with timed(40):
        found = sandbox.run(python(source))
    assert b"ESCAPED" not in found.stdout + found.stderr
    assert found.outcome is not Outcome.INTERNAL_ERROR, found.detail
    assert (canaries.process.poll(), canaries.touched) == (None, [])
    assert canaries.file.read_text() == "SECRET"
    after = sandbox.run(python("import os; print(os.listdir('.'), os.getpid())"))
    assert after.stdout == b"[] 1\n", after


@pytest.mark.parametrize(
    "name", ["close everything", "forge an end", "reconnect standard streams", "kill all"]
)
def test_attack_within_an_exam(sandbox: LocalSandbox, canaries: Canaries, name: str) -> None:
    source = ATTACKS[name].replace("{pid}", str(canaries.process.pid))
    assert exam(sandbox, source).examiner.report in (
        b"wrong payload=T sitting=1",
        b"right payload=T sitting=1",  # it went on to answer after its attempt
    )
    assert exam(sandbox, "pass").examiner.report == b"right payload=T sitting=1"


def test_the_hosts_environment_is_not_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_TEST_SECRET", "SECRET-VALUE")
    source = "import os; print(dict(os.environ)); print(open('/proc/self/environ').read())"
    with LocalSandbox(1) as fresh:
        command = Program(argv=("/bin/sh", "-c", "env; cat /proc/*/environ /proc/*/cmdline"))
        seen = b"".join(f.stdout + f.stderr for f in fresh.run_many([python(source), command]))
    assert b"SECRET-VALUE" not in seen


def test_a_commands_proc_shows_its_own_processes_only(sandbox: LocalSandbox) -> None:
    script = "cd /proc; ls -d [0-9]* | wc -l; cat 1/mem 1/environ sys/kernel/hostname meminfo"
    found = sandbox.run(Program(argv=("/bin/sh", "-c", script)))
    assert found.stdout.split() in (
        [b"2"],
        [b"3"],
    )  # the shell, ls and wc; never number 1, which holds our link
    assert found.stderr.count(b"No such file") == 4


def test_no_home_project_or_temporary_folder_is_there(sandbox: LocalSandbox) -> None:
    hidden = [
        str(Path.home()),
        str(Path(__file__).parents[1]),
        "/home",
        "/sys",
        "/run",
        "/var/log",
        "/proc/1",
    ]
    python_prefix = os.path.realpath(sys.base_prefix)
    source = f"import os\nfor path in {hidden!r}:\n  print(os.listdir(path) if os.path.isdir(path) else [])"
    found = sandbox.run(python(source))
    for path, line in zip(hidden, found.stdout.decode().splitlines(), strict=True):
        # Where the interpreter itself lies in the home folder, its own branch is there and nothing else.
        allowed = (
            {Path(python_prefix).relative_to(path).parts[0]} if python_prefix.startswith(path) else set()
        )
        assert set(eval(line)) <= allowed
