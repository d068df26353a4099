"""kill -9 of what a docker run stands on: infrastructure, tried again, and never a program's own outcome."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proctor.sandbox.core import Execution, Limits, Outcome, Program
from tests import docker_engine

docker_engine.needs_engine()

from proctor.sandbox.docker import DockerSandbox, engine, pool  # noqa: E402

pytestmark = pytest.mark.docker

SLEEPER = Program(argv=("/bin/sh", "-c", "sleep 1; echo done"))


class InBackground(threading.Thread):
    """Runs programs while the test breaks something."""

    def __init__(self, sandbox: DockerSandbox, programs: list[Program]) -> None:
        super().__init__(daemon=True)
        self.sandbox, self.programs = sandbox, programs
        self.found: list[Execution] = []
        self.start()

    def run(self) -> None:
        self.found = self.sandbox.run_many(self.programs)

    def result(self) -> list[Execution]:
        self.join(150)
        assert not self.is_alive()
        return self.found


def new_containers(before: set[str]) -> list[str]:
    with engine.connection() as api:
        containers = api.containers(filters={"label": engine.LABEL})
    return [
        c["Id"] for c in containers if c["Labels"][engine.OWNER] == engine.owner() and c["Id"] not in before
    ]


def running(before: set[str]) -> list[str]:
    deadline = time.monotonic() + 60
    while not (found := new_containers(before)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _kill_container(container: str) -> None:
    with engine.connection() as api:
        api.kill(container, signal="SIGKILL")


def _kill_runner(container: str) -> None:
    with engine.connection() as api:
        first = api.inspect_container(container)["State"]["Pid"]
    for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="killing a container's processes needs root")


@pytest.mark.parametrize("kill", [_kill_container, pytest.param(_kill_runner, marks=needs_root)])
def test_what_ran_in_a_container_that_died_is_run_again(kill: Any) -> None:
    before = set(new_containers(set()))
    with DockerSandbox(1, docker_engine.image()) as sandbox:
        assert sandbox.run(Program(argv=("/bin/true",))).outcome is Outcome.OK
        work = InBackground(sandbox, [SLEEPER] * 3)
        time.sleep(0.5)
        kill(running(before)[0])
        assert [(found.outcome, found.stdout) for found in work.result()] == [(Outcome.OK, b"done\n")] * 3


def test_a_container_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_SILENCE_S", 1.0)
    before = set(new_containers(set()))
    with DockerSandbox(1, docker_engine.image()) as sandbox:
        assert sandbox.run(Program(argv=("/bin/true",))).outcome is Outcome.OK
        with engine.connection() as api:
            api.pause(running(before)[0])
        found = sandbox.run(Program(argv=("/bin/echo", "done"), limits=Limits(wall_s=1)))
    assert (found.outcome, found.stdout) == (Outcome.OK, b"done\n")


def test_containers_that_die_again_and_again_are_our_fault() -> None:
    before = set(new_containers(set()))
    over = threading.Event()

    def kill_all() -> None:
        while not over.is_set():
            for container in new_containers(before):
                with engine.connection() as api:
                    engine.remove(api, container)
            time.sleep(0.05)

    with DockerSandbox(1, docker_engine.image()) as sandbox:
        assert sandbox.run(Program(argv=("/bin/true",))).outcome is Outcome.OK
        killer = threading.Thread(target=kill_all)
        killer.start()
        try:
            found = sandbox.run(Program(argv=("/bin/sleep", "3")))
        finally:
            over.set()
            killer.join()
        assert (found.outcome, found.isolation) == (Outcome.INTERNAL_ERROR, "docker")
        assert sandbox.run(Program(argv=("/bin/true",))).outcome is Outcome.OK


@pytest.fixture
def own_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[docker_engine.OwnEngine]:
    if reason := docker_engine.why_no_own_engine():
        pytest.skip(reason)
    own = docker_engine.OwnEngine(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", own.host)
    own.start()
    yield own
    own.stop()


@pytest.mark.slow
def test_an_engine_that_is_killed(
    own_engine: docker_engine.OwnEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First it comes back in time, and nothing is lost; then it stays away, and nobody is blamed."""
    with docker_engine.forgiving_the_sdk(), DockerSandbox(1, docker_engine.image()) as sandbox:
        assert sandbox.run(Program(argv=("/bin/true",))).outcome is Outcome.OK
        work = InBackground(sandbox, [SLEEPER] * 2)
        time.sleep(0.5)
        own_engine.kill()
        own_engine.start()
        assert [(found.outcome, found.stdout) for found in work.result()] == [(Outcome.OK, b"done\n")] * 2
        monkeypatch.setattr(pool, "_PATIENCE_S", 1.0)
        work = InBackground(sandbox, [SLEEPER] * 2)
        time.sleep(0.5)
        own_engine.kill()
        found = work.result()
        assert [each.outcome for each in found] == [Outcome.INTERNAL_ERROR] * 2
        assert "no Docker engine answers" in found[0].detail
        own_engine.start()
        assert sandbox.run(Program(argv=("/bin/true",))).outcome is Outcome.OK
