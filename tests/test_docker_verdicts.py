"""`code(sandbox="docker")` gives the verdicts that `code` gives: on honest programs, mutants and attacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.programs import part, sandboxes
from proctor.verifiers.programs.sandboxes import SandboxKey
from tests import docker_engine
from tests.shared_data import FOLDER, needs_shared_data

docker_engine.needs_engine()

from proctor.sandbox.docker import DockerSandbox  # noqa: E402

pytestmark = [pytest.mark.docker, needs_shared_data]

OURS = {Status.GRADER_ERROR, Status.MISCONFIGURED, Status.UNAVAILABLE}


@pytest.fixture(scope="module", autouse=True)
def _image() -> Iterator[None]:
    """The shared docker sandbox, which parts use, finds its image by this variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROCTOR_SANDBOX_IMAGE", docker_engine.image())
        yield
    found = sandboxes.sandbox_for(SandboxKey("docker", "full"))
    assert isinstance(found, DockerSandbox)
    found.close()


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(FOLDER, name).read_text().splitlines()]


def humaneval() -> dict[str, dict[str, Any]]:
    return {row["task_id"]: row for row in rows("humaneval.jsonl")}


def rollout(task: dict[str, Any], program: str) -> Rollout:
    return Rollout(program, "", tests=task["test"], fields={"entry_point": task["entry_point"]})


def docker_code(**options: Any) -> part.Code:
    return part.Code(extraction="raw", sandbox="docker", **options)


@pytest.mark.slow
def test_all_canonical_solutions_of_humaneval_pass() -> None:
    tasks = humaneval()
    verdicts = docker_code().verify(
        [rollout(task, task["prompt"] + task["canonical_solution"]) for task in tasks.values()]
    )
    wrong = {name: v for name, v in zip(tasks, verdicts, strict=True) if v.value != 1.0}
    assert (len(verdicts), wrong) == (164, {})


@pytest.mark.slow
def test_labelled_mutants_get_their_verdict() -> None:
    """Every fifth labelled program that has HumanEval's tests: mutants, and solutions among them."""
    tasks = humaneval()
    sample = [row for row in rows("code_verdicts.jsonl") if row["task_id"] in tasks][::5]
    verdicts = docker_code(timeout=3.0).verify([rollout(tasks[r["task_id"]], r["solution"]) for r in sample])
    got = ["pass" if verdict.value == 1.0 else "fail" for verdict in verdicts]
    assert len(sample) > 50
    assert got == [row["expected"] for row in sample]
    assert not [verdict for verdict in verdicts if verdict.value is None]


def test_programs_on_standard_input_get_their_verdict() -> None:
    programs = [
        (row["tests"], completion["code"], completion["expected"])
        for row in rows("stdio_atcoder.jsonl")[:60:4]
        for completion in row["completions"][:1]
    ]
    verdicts = docker_code().verify([Rollout(code, "", tests=tests) for tests, code, _ in programs])
    assert ["pass" if v.value == 1.0 else "fail" for v in verdicts] == [expected for *_, expected in programs]


def attacks() -> list[dict[str, Any]]:
    return [row for row in rows("attacks.jsonl") if row["language"] == "python"]


def droppings() -> set[Path]:
    """What attacks would leave outside."""
    return {path for folder in ("/tmp", "/dev/shm") for path in Path(folder).glob("*sbx*")}


@pytest.mark.slow
def test_no_attack_passes_and_canaries_are_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = json.loads(Path(FOLDER, "attack_tasks.json").read_text())["tasks"]
    folder = Path("/tmp/sbx_canary")
    folder.mkdir(exist_ok=True)
    canary = folder / "secret.txt"
    canary.write_text("SBXSECRET-5d1")
    monkeypatch.setenv("SBX_HOST_SECRET", "SBXSECRET-5d1")
    before = droppings()
    rollouts = []
    for row in attacks():
        task = tasks[row["task"]]
        tests = task["tests"] if row["task"] == "sum" else task["check"]
        rollouts.append(
            Rollout(row["code"], "", tests=tests, fields={"entry_point": task.get("entry_point")})
        )
    verdicts = docker_code(timeout=2.0, memory_mb=512).verify(rollouts)
    paid = {row["id"] for row, v in zip(attacks(), verdicts, strict=True) if v.value == 1.0}
    assert paid == {row["id"] for row in attacks() if "pass" in row["must"]}
    ours = {row["id"]: v for row, v in zip(attacks(), verdicts, strict=True) if v.status in OURS}
    assert ours == {}
    assert not [v for v in verdicts if "SBXSECRET" in str(v.evidence)]
    assert canary.read_text() == "SBXSECRET-5d1"
    assert droppings() == before
