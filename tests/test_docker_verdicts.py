"""`code(sandbox="docker")` gives the verdicts that `code` gives: on honest programs, mutants and attacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proctor.benchmarks.judge_accuracy import describe, judge_set
from proctor.benchmarks.judge_sets import SETS, read_set
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.programs import sandboxes
from proctor.verifiers.programs.part import Code
from proctor.verifiers.programs.sandboxes import SandboxKey
from tests import docker_engine
from tests.attack_canary import Canary, canary, read_attacks
from tests.docker_engine import own_containers, wait_until
from tests.shared_data import FOLDER, needs_shared_data

docker_engine.needs_engine()

from proctor.sandbox.docker import DockerSandbox, engine  # noqa: E402

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

DATA = Path(__file__).parent / "data"
ATTACKS, TASKS = read_attacks(DATA)
OURS = {Status.GRADER_ERROR, Status.MISCONFIGURED, Status.UNAVAILABLE}
IN_IMAGE = ("python", "bash")  # what an image made of the host's interpreter always has
SUM = [{"input": "1 2\n", "output": "3\n"}]


@pytest.fixture(scope="module", autouse=True)
def _image() -> Iterator[None]:
    """The shared docker sandboxes, which parts use, find their image by this variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROCTOR_SANDBOX_IMAGE", docker_engine.image())
        yield
        found = sandboxes.sandbox_for(SandboxKey("docker", "full"))
        assert isinstance(found, DockerSandbox)
        found.close()


def docker_code(**options: Any) -> Code:
    return Code(extraction="raw", sandbox="docker", **options)


def test_every_verdict_of_the_sample_agrees() -> None:
    """Calls, asserts, `check` and standard input; canonical solutions, mutants and models' completions."""
    sets = {name: read_set(DATA / "judged", name) for name in SETS if name != "mbpp+"}
    programs = [program for name in sets for program in sets[name]]
    found = judge_set(programs, docker_code())
    assert (len(programs) > 100, [describe(*each) for each in found.wrong]) == (True, [])


@needs_shared_data
@pytest.mark.slow
def test_all_canonical_solutions_of_humaneval_pass() -> None:
    found = judge_set(read_set(FOLDER, "humaneval"), docker_code())
    assert (found.programs, [describe(*each) for each in found.wrong]) == (164, [])


@needs_shared_data
@pytest.mark.slow
def test_labelled_mutants_get_their_verdict() -> None:
    """Every tenth labelled program."""
    found = judge_set(read_set(FOLDER, "verdicts")[::10], docker_code(timeout=3.0))
    assert (found.programs > 100, [describe(*each) for each in found.wrong]) == (True, [])


def test_a_language_that_the_image_has_is_judged() -> None:
    right, wrong = "read a b; echo $((a + b))", "read a b; echo $((a - b))"
    verdicts = docker_code(language="bash").verify([Rollout(each, tests=SUM) for each in (right, wrong)])
    assert [verdict.value for verdict in verdicts] == [1.0, 0.0]


def test_a_language_that_the_image_lacks_is_no_zero() -> None:
    verdict = docker_code(language="c").verify([Rollout("int main() {}", tests=SUM)])[0]
    assert (verdict.value, verdict.status) == (None, Status.MISCONFIGURED)
    assert "'c' needs gcc, which the sandbox does not have" in verdict.evidence["problem"]


def test_verdicts_while_containers_are_killed() -> None:
    """Whatever is running when its container goes is judged again, or said to be ours: never wrong."""
    programs, part, over = read_set(DATA / "judged", "verdicts") * 3, docker_code(), threading.Event()
    part.verify([programs[0].rollout])
    killed: set[str] = set()

    def kill_three() -> None:
        while len(killed) < 3 and not over.wait(0.3):
            for container in list(own_containers().keys() - killed)[:1]:
                with engine.connection() as api:
                    engine.remove(api, container)
                killed.add(container)

    killer = threading.Thread(target=kill_three)
    killer.start()
    try:
        found = judge_set(programs, part)
    finally:
        over.set()
        killer.join()
    wrong = [describe(*each) for each in found.wrong if each[1].status not in OURS]
    assert (bool(killed), found.programs, wrong) == (True, 90, [])


def rollout_of(attack: dict[str, Any], number: int, code: str) -> Rollout:
    """The attack as a completion for its task, with the task's tests in one of their shapes."""
    task = TASKS[attack["task"]]
    if task["protocol"] == "stdio":
        return Rollout(code, tests=task["tests"])
    shape = ("check", "asserts", "calls")[number % 3]
    tests = {"calls": task["calls"]} if shape == "calls" else task[shape]
    return Rollout(code, tests=tests, fields={"entry_point": task["entry_point"]})


def verdicts_of(attacks: list[dict[str, Any]], made: Canary) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for language in IN_IMAGE:
        part = docker_code(language=language, timeout=1.0, memory_mb=512)
        mine = [attack for attack in attacks if attack["language"] == language]
        rollouts = [rollout_of(each, n, made.localise(each["code"])) for n, each in enumerate(mine)]
        found |= {each["id"]: verdict for each, verdict in zip(mine, part.verify(rollouts), strict=True)}
    return found


def strays() -> list[str]:
    """What runs in our containers, but for the sandbox's own."""
    commands = [row for container in own_containers() for row in docker_engine.commands_in(container)]
    return [row for row in commands if "/proctor/sandbox/" not in row]


@pytest.mark.slow
def test_no_attack_passes_and_canaries_are_untouched(tmp_path: Path) -> None:
    attacks = [attack for attack in ATTACKS if attack["language"] in IN_IMAGE]
    with canary(tmp_path) as made:
        verdicts = verdicts_of(attacks, made)
        assert len(verdicts) > 100
        assert {each["id"] for each in attacks if "pass" in each["must"]} == {
            name for name, verdict in verdicts.items() if verdict.value == 1.0
        }
        assert {name: verdict for name, verdict in verdicts.items() if verdict.status in OURS} == {}
        assert made.visitors() == 0
        assert made.secret not in str(list(verdicts.values()))
        assert made.secret == (tmp_path / "secret.txt").read_text()
        assert [each.name for each in tmp_path.iterdir()] == ["secret.txt"]
        globs = [made.localise(each) for attack in attacks for each in attack["observe"].get("globs", ())]
        assert [path for each in globs for path in Path("/").glob(each.lstrip("/"))] == []
    assert wait_until(lambda: not strays(), 10), strays()
