"""Every attack of data/attacks.jsonl through the real judge: none is paid, none touches what is outside."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from proctor.sandbox.core import Limits, Program
from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.programs.part import Code
from proctor.verifiers.programs.sandboxes import SandboxKey, sandbox_for
from tests.attack_canary import Canary, canary, read_attacks, watching

ATTACKS, TASKS = read_attacks(Path(__file__).parent / "data")
SCRIPT = "proctor.sandbox.exam.script:run"
LIMITS = Limits(cpu_s=1, wall_s=3, memory_mb=512)
HONEST = "def add(a, b):\n    return a + b\n"
PATIENCE_S = 20.0
_SHAPES = ("check", "asserts", "calls")


def rollout_of(attack: dict[str, Any], code: str, shape: str) -> Rollout:
    """The attack as a completion for its task, with the task's tests in one of their shapes."""
    task = TASKS[attack["task"]]
    if task["protocol"] == "stdio":
        return Rollout(code, tests=task["tests"])
    tests = {"calls": task["calls"]} if shape == "calls" else task[shape]
    return Rollout(code, tests=tests, fields={"entry_point": task["entry_point"]})


def part_of(attack: dict[str, Any]) -> Code:
    return Code(extraction="raw", language=attack["language"], timeout=1.0, memory_mb=512)


def run_as_script(code: str) -> str:
    """All that a Python program prints when it is run by itself, and its function called."""
    sources = {"sources": [f"{code}\nif 'add' in globals():\n    print(add(1, 2))\n"]}
    program = Program(entry=SCRIPT, payload=json.dumps(sources).encode() + b"\n1 2\n", limits=LIMITS)
    found = sandbox_for(SandboxKey("local", "full")).run(program)
    return (found.stdout + found.stderr).decode("utf-8", "replace")


@functools.cache
def warm_up() -> None:
    """Has every slot of the sandbox started, so that a process that is new is an attack's.

    Scripts go first: what they need is loaded by a new zygote, which ends the examiners that there are.
    """
    part = Code(extraction="raw")
    part.verify([Rollout("print(3)", tests=TASKS["sum"]["tests"][:1])] * 8)
    part.verify([Rollout(HONEST, tests=[f"assert add(1, {n}) == {n + 1}"]) for n in range(32)])


@pytest.fixture
def surroundings(tmp_path: Path) -> Any:
    warm_up()
    with canary(tmp_path) as made:
        yield made


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["id"])
def test_attack(attack: dict[str, Any], surroundings: Canary) -> None:
    part, code = part_of(attack), surroundings.localise(attack["code"])
    part.verify([Rollout(HONEST, tests=TASKS["sum"]["tests"])])  # its language's sandbox is at rest too
    shape = _SHAPES[ATTACKS.index(attack) % len(_SHAPES)]
    with watching() as watch:
        verdict = part.verify([rollout_of(attack, code, shape)])[0]
    output = json.dumps(verdict.to_json(), default=str)
    if attack["language"] == "python" and attack["observe"]["kind"] != "verdict":
        output += run_as_script(code)
    assert verdict.status is not Status.GRADER_ERROR, verdict
    assert verdict.status is not Status.UNAVAILABLE, verdict
    if "not_pass" in attack["must"]:
        assert verdict.value in (0.0, None), verdict
    if "pass" in attack["must"]:
        assert verdict.value == 1.0, verdict
    evidence = output.replace(json.dumps(code)[1:-1], "")  # what it would print is no proof that it did
    assert surroundings.harm(attack["observe"], evidence, watch) == ""
    assert_the_next_is_judged_rightly(attack)


def assert_the_next_is_judged_rightly(attack: dict[str, Any]) -> None:
    start = time.monotonic()
    # Tests that differ: an examiner that was kept for the next sample would look like something left behind.
    rows = [
        Rollout(HONEST, tests=["assert add(1, 2) == 3"]),
        Rollout(HONEST.replace("+", "-"), tests=["assert add(2, 2) == 4"]),
    ]
    assert [each.value for each in Code(extraction="raw").verify(rows)] == [1.0, 0.0]
    assert time.monotonic() - start < PATIENCE_S
    if "probe" in attack["observe"]:
        assert run_as_script(attack["observe"]["probe"]).startswith("CLEAN")


@pytest.mark.parametrize("shape", _SHAPES)
def test_no_cheat_is_paid_whatever_shape_the_tests_have(shape: str) -> None:
    cheats = [
        attack
        for attack in ATTACKS
        if attack["class"].startswith("cheat.")
        and attack["protocol"] == "call"
        and "wall_s" not in attack["observe"]
    ]
    verdicts = part_of(cheats[0]).verify([rollout_of(attack, attack["code"], shape) for attack in cheats])
    paid = [attack["id"] for attack, verdict in zip(cheats, verdicts, strict=True) if verdict.value]
    assert (len(cheats) > 40, paid) == (True, [])


def test_the_canary_sees_what_there_is_to_see(surroundings: Canary) -> None:
    """Without a jail: each harm that an attack could do is found."""
    with watching() as watch:
        time.sleep(0.1)
    observe = {"kind": "verdict"}
    assert surroundings.harm(observe, "", watch) == ""
    socket.create_connection(("127.0.0.1", surroundings.port)).close()
    assert "visitor" in surroundings.harm(observe, "", watch)
    assert "secret in" in surroundings.harm(observe, f"x{surroundings.secret}", watch)
    (surroundings.folder / "owned").touch()
    assert "something new" in surroundings.harm(observe, "", watch)
    children = [subprocess.Popen(["sleep", "30"]) for _ in range(2 * len(os.sched_getaffinity(0)) + 2)]
    try:
        assert not watch.ended_clean(0.1)
    finally:
        for child in children:
            child.kill()
            child.wait()
