"""kill -9 of what a docker run stands on: infrastructure, tried again, and never a program's own outcome."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proctor.sandbox.core import Execution, Limits, Outcome, Program
from tests import docker_engine
from tests.docker_engine import commands_in, own_containers, wait_until

docker_engine.needs_engine()

from proctor.sandbox.docker import DockerSandbox, engine, pool  # noqa: E402

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker-faults")]

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


def container_that_runs(command: str, before: set[str]) -> str:
    """The container, of those that were not there before, in which a program has begun."""

    def look() -> str:
        new = own_containers().keys() - before
        return next((each for each in new if any(command in row for row in commands_in(each))), "")

    found: str = wait_until(look)
    assert found
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
    before = set(own_containers())
    with DockerSandbox(1, docker_engine.image()) as sandbox:
        work = InBackground(sandbox, [SLEEPER] * 2)
        kill(container_that_runs("sleep 1", before))
        assert [(found.outcome, found.stdout) for found in work.result()] == [(Outcome.OK, b"done\n")] * 2


def test_a_container_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_SILENCE_S", 1.0)  # what is waited for is the same, for less long
    before = set(own_containers())
    with DockerSandbox(1, docker_engine.image()) as sandbox:
        assert sandbox.run(Program(argv=("/bin/true",))).outcome is Outcome.OK
        with engine.connection() as api:
            (container,) = own_containers().keys() - before
            api.pause(container)
        found = sandbox.run(Program(argv=("/bin/echo", "done"), limits=Limits(wall_s=0.5)))
    assert (found.outcome, found.stdout) == (Outcome.OK, b"done\n")


def test_containers_that_die_again_and_again_are_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_PATIENCE_S", 1.0)
    before = set(own_containers())
    over = threading.Event()

    def kill_all() -> None:
        while not over.wait(0.05):
            for container in own_containers().keys() - before:
                with engine.connection() as api:
                    engine.remove(api, container)

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
def own_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[docker_engine.OwnEngine]:
    if reason := docker_engine.why_no_own_engine():
        pytest.skip(reason)
    own = docker_engine.OwnEngine()
    monkeypatch.setenv("DOCKER_HOST", own.host)
    try:
        own.start()
        yield own
    finally:
        own.stop()


def mixed(count: int) -> list[Program]:
    """Programs that each end in a way of their own."""
    return [
        Program(argv=("/bin/sh", "-c", f"sleep 0.3; echo {number}; exit {number % 3}"))
        for number in range(count)
    ]


def ends(found: list[Execution]) -> list[tuple[Outcome, int | None, bytes]]:
    return [(each.outcome, each.exit_code, each.stdout) for each in found]


def end_of(number: int) -> tuple[Outcome, int, bytes]:
    code = number % 3
    return Outcome.RUNTIME_ERROR if code else Outcome.OK, code, f"{number}\n".encode()


@pytest.mark.slow
def test_an_engine_that_is_killed(
    own_engine: docker_engine.OwnEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First it comes back in time, and nothing is lost; then it stays away, and nobody is blamed."""
    image, count = docker_engine.image(), 16
    with docker_engine.forgiving_the_sdk(), DockerSandbox(2, image) as sandbox:
        work = InBackground(sandbox, mixed(count))
        container_that_runs("sleep 0.3", set())
        own_engine.kill()
        own_engine.start()
        assert ends(work.result()) == [end_of(number) for number in range(count)]
        monkeypatch.setattr(pool, "_PATIENCE_S", 1.0)
        work = InBackground(sandbox, mixed(count))
        container_that_runs("sleep 0.3", set())
        own_engine.kill()
        found = work.result()
        lost = {place for place, each in enumerate(found) if each.outcome is Outcome.INTERNAL_ERROR}
        assert "no Docker engine answers" in found[max(lost)].detail
        assert {*range(count)} - lost == {n for n, end in enumerate(ends(found)) if end == end_of(n)}
        assert len(found) == count
        own_engine.start()
        assert sandbox.run(Program(argv=("/bin/true",))).outcome is Outcome.OK
