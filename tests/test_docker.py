"""The docker sandbox: what programs get, the walls of the container, order, recycling, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proctor.sandbox.core import IsolationError, Limits, Outcome, Program
from proctor.sandbox.doctor import look_over
from proctor.sandbox.local.host import LocalSandbox
from tests import docker_engine
from tests.cli_session import proctor
from tests.docker_engine import wait_until

docker_engine.needs_engine()

from proctor.sandbox.docker import DockerSandbox, engine  # noqa: E402

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[DockerSandbox]:
    with DockerSandbox(2, docker_engine.image()) as started:
        yield started


def shell(script: str, **fields: Any) -> Program:
    return Program(argv=("/bin/sh", "-c", script), **fields)


def filling(complaint: str) -> str:
    """Takes memory step by step, and does `complaint` where a piece is refused."""
    source = f"import os\nheld = []\ntry:\n while len(held) < 400: held.append(b'1' * 2**20)\nexcept MemoryError: {complaint}"
    return f'python3 -c "{source}"'


def ids() -> set[str]:
    return set(docker_engine.own_containers())


def test_a_command_gets_files_stdin_and_environment(sandbox: DockerSandbox) -> None:
    found = sandbox.run(
        shell('cat; cat dir/a; echo "$X"; exit 7', stdin=b"in ", files={"dir/a": b"file\n"}, env={"X": "x"})
    )
    assert (found.stdout, found.exit_code, found.isolation) == (b"in file\nx\n", 7, "docker")


def test_results_come_in_order_from_several_containers(sandbox: DockerSandbox) -> None:
    programs = [shell(f"sleep 0.0{i % 3}; echo {i}") for i in range(40)]
    assert [int(found.stdout) for found in sandbox.run_many(programs)] == list(range(40))


def test_many_threads_may_ask(sandbox: DockerSandbox) -> None:
    outputs: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda i=i: outputs.update({i: sandbox.run(shell(f"echo {i}")).stdout}))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == {i: f"{i}\n".encode() for i in range(8)}


def test_containers_have_their_walls(sandbox: DockerSandbox) -> None:
    sandbox.run(shell("true"))
    assert ids()
    for container in ids():
        with engine.connection() as api:
            details = api.inspect_container(container)
        host = details["HostConfig"]
        assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
        assert "no-new-privileges" in host["SecurityOpt"]
        assert host["AutoRemove"]
        assert 0 < host["PidsLimit"] <= 1024
        assert 0 < host["Memory"] == host["MemorySwap"]
        assert int(details["Config"]["User"].split(":")[0]) >= 20_000
        assert host["Binds"] is None


def test_every_layer_that_is_asked_holds_without_namespaces_too() -> None:
    with DockerSandbox(1, docker_engine.image(), inner="no-namespaces") as sandbox:
        reports = look_over(sandbox)
    assert not [report for report in reports if report.asked and not report.holds]
    assert {"container", "files", "total memory", "daemons"} <= {report.layer for report in reports}


@pytest.mark.parametrize(
    ("script", "limits", "wanted"),
    [
        ("while :; do :; done", Limits(cpu_s=0.3), Outcome.CPU_LIMIT),
        ("sleep 30", Limits(wall_s=0.3), Outcome.WALL_LIMIT),
        ("yes", Limits(output_bytes=1 << 16), Outcome.OUTPUT_LIMIT),
        (
            "(head -c 120000000 /dev/zero; sleep 20) | tail -c 120000000",
            Limits(memory_mb=96),
            Outcome.MEMORY_LIMIT,
        ),
        (filling("pass"), Limits(memory_mb=96), Outcome.MEMORY_LIMIT),
        (filling("os._exit(3)"), Limits(memory_mb=96), Outcome.MEMORY_LIMIT),
        (filling("os.abort()"), Limits(memory_mb=96), Outcome.MEMORY_LIMIT),
        ("python3 -c 'import os; os.abort()'", Limits(memory_mb=96), Outcome.RUNTIME_ERROR),
        ("python3 -c 'x = bytes(300000000)'", Limits(memory_mb=96), Outcome.OK),  # reserved and not used
        ("for i in $(seq 40); do sleep 20 & done; wait", Limits(processes=8), Outcome.PROCESS_LIMIT),
        ("head -c 9000000 /dev/zero > file", Limits(file_mb=4), Outcome.FILE_LIMIT),
        ("kill -SYS $$", Limits(), Outcome.SECURITY_VIOLATION),
    ],
)
def test_every_limit_has_its_outcome(
    sandbox: DockerSandbox, script: str, limits: Limits, wanted: Outcome
) -> None:
    assert sandbox.run(shell(script, limits=limits)).outcome is wanted


def test_a_program_that_may_use_more_memory_gets_a_container_with_more() -> None:
    before = ids()
    with DockerSandbox(1, docker_engine.image(), memory_mb=1024) as sandbox:
        for memory_mb in (700, 1500, 700):
            assert sandbox.run(shell("true", limits=Limits(memory_mb=memory_mb))).outcome is Outcome.OK
        (container,) = ids() - before
        with engine.connection() as api:
            assert api.inspect_container(container)["HostConfig"]["Memory"] >= 1500 << 20


def test_processes_are_counted_as_in_the_local_jail(sandbox: DockerSandbox) -> None:
    script = (
        "import os, time\nfor n in range(20):\n if not os.fork(): time.sleep(9)\n print(n + 1, flush=True)"
    )
    program = Program(argv=("python3", "-c", script), limits=Limits(processes=9))
    with LocalSandbox(1) as local:
        assert sandbox.run(program).stdout == local.run(program).stdout == b"1\n2\n3\n4\n5\n6\n7\n"


@pytest.mark.parametrize("inner", ["full", "no-namespaces"])
def test_one_run_finds_nothing_of_another(inner: str) -> None:
    before = ids()
    with DockerSandbox(1, docker_engine.image(), inner=inner) as sandbox:
        left = sandbox.run(
            shell(
                'echo x > "$HOME/secret"; (setsid sleep 77 &); (setsid sleep 77 >/dev/null 2>&1 &); sleep 0.1'
            )
        )
        assert left.outcome is Outcome.OK
        again = sandbox.run(shell('ls -A "$HOME"'))
        assert again.stdout == b""
        assert again.isolation == ("docker" if inner == "full" else "docker, no-namespaces within")
        (container,) = ids() - before
        commands = docker_engine.commands_in(container)
    assert commands
    assert not [command for command in commands if "sleep 77" in command]


def test_a_container_is_replaced_after_its_runs() -> None:
    before = ids()
    with DockerSandbox(1, docker_engine.image(), recycle_runs=3) as sandbox:
        sandbox.run(shell("true"))
        (first,) = ids() - before
        for _ in range(4):
            assert sandbox.run(shell("true")).outcome is Outcome.OK
        assert wait_until(lambda: first not in ids())


def test_closing_leaves_no_container() -> None:
    before = ids()
    with DockerSandbox(2, docker_engine.image()) as sandbox:
        sandbox.run_many([shell("true")] * 4)
        mine = ids() - before
        assert mine
    assert wait_until(lambda: not mine & ids())


_HOST = """
import os, signal, sys
from proctor.sandbox.core import Program
from proctor.sandbox.docker import DockerSandbox
sandbox = DockerSandbox(1, sys.argv[1])
print(sandbox.run(Program(argv=("/bin/sh", "-c", "echo ran"))).stdout, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_containers_end_with_a_host_that_is_killed() -> None:
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", _HOST, docker_engine.image()],
        env=os.environ | {"PYTHONPATH": root}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (-9, b"b'ran\\n'\n"), done.stderr

    def left() -> list[str]:
        with engine.connection() as api:
            containers = api.containers(all=True, filters={"label": engine.OWNER})
        owners = [container["Labels"][engine.OWNER] for container in containers]
        return [owner for owner in owners if not Path("/proc", owner.split("|")[2]).exists()]

    assert wait_until(lambda: not left()), left()


def test_leftovers_of_a_process_that_is_gone_are_removed() -> None:
    gone = engine.owner().rpartition("|")[0] + "|1"  # our id, but another start
    labels = {engine.LABEL: "1", engine.OWNER: gone}
    image = docker_engine.image()
    with engine.connection() as api:
        made = api.create_container(image, command=["python3", "-c", "0"], labels=labels)["Id"]
        assert engine.remove_leftovers() >= 1
        assert made not in [each["Id"] for each in api.containers(all=True)]


def test_an_image_is_built_from_a_dockerfile(tmp_path: Path) -> None:
    dockerfile, tag = Path(tmp_path, "Dockerfile"), "localhost:5000/proctor-test:derived"
    dockerfile.write_text(f"FROM {docker_engine.image()}\nENV MARK=derived\n")
    built = proctor("sandbox", "build-image", "--dockerfile", str(dockerfile), "--tag", tag)
    assert (built.exit_code, built.stdout.split()[0]) == (0, tag), built.output
    with DockerSandbox(1, tag) as sandbox:
        assert sandbox.run(shell("echo ran")).stdout == b"ran\n"


def test_a_dockerfile_that_fails_names_the_step(tmp_path: Path) -> None:
    dockerfile = Path(tmp_path, "Dockerfile")
    dockerfile.write_text(f"FROM {docker_engine.image()}\nCOPY absent /\n")
    built = proctor("sandbox", "build-image", "--dockerfile", str(dockerfile), "--tag", "proctor-test:fails")
    assert built.exit_code == 2
    assert "could not be built" in built.stderr
    assert "absent" in built.stderr


def test_the_doctor_looks_the_docker_sandbox_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_SANDBOX_IMAGE", docker_engine.image())
    found = proctor("sandbox", "doctor", "--sandbox", "docker", "--json")
    assert found.exit_code == 0, found.output
    container, *layers = json.loads(found.stdout)
    assert (container["layer"], container["holds"]) == ("container", True)
    assert "no network, read-only root, no capability" in container["proof"]
    assert "jail inside: full" in container["proof"]
    assert [layer["layer"] for layer in layers if not (layer["asked"] and layer["holds"])] == []


def test_an_unknown_inner_jail_is_refused() -> None:
    with pytest.raises(IsolationError, match="known are auto, full, no-namespaces"):
        DockerSandbox(1, inner="none")
