"""What is said where the docker sandbox cannot run: no SDK, no engine, no right to it, no image, a wrong one."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from proctor.sandbox.core import IsolationError, PoolError, Program
from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.programs import sandboxes
from proctor.verifiers.programs.part import Code
from proctor.verifiers.programs.rows import fault
from tests import docker_engine
from tests.cli_session import proctor

needs_engine = pytest.mark.skipif(bool(docker_engine.why_no_engine()), reason="no Docker engine answers")

from proctor.sandbox.docker import DockerSandbox, engine  # noqa: E402 -- not before it is known to be there

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


def complaint_at(host: str) -> str:
    os.environ["DOCKER_HOST"] = host
    try:
        engine.connect()
    except PoolError as error:
        return str(error)
    return ""


def complaint_about(image: str | None, packages: Sequence[str] = ()) -> Exception:
    """Without its frames, which would keep sockets."""
    try:
        with DockerSandbox(1, image, packages=packages) as sandbox:
            sandbox.run(Program(argv=("/bin/true",)))
    except (PoolError, IsolationError) as error:
        return error.with_traceback(None)
    raise AssertionError("it ran")


def test_without_the_sdk_it_is_said_what_to_install() -> None:
    script = "import sys; sys.modules['docker'] = None\nfrom proctor.cli import app\napp(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", script, "sandbox", "build-image", "--from-host"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs the docker SDK: pip install 'proctor[docker]'" in done.stderr


@pytest.mark.parametrize(
    "host", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:9", "nonsense", "http://127.0.0.1:5:6"]
)
def test_a_missing_engine_says_where_it_was_looked_for(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with docker_engine.forgiving_the_sdk():
        complaint = str(complaint_about(None))
    assert f"no Docker engine answers at {host} (" in complaint
    assert "start one, or set DOCKER_HOST" in complaint


def test_an_engine_that_is_missing_is_nobodys_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setattr(sandboxes, "_open", {})  # not the sandbox that other tests share
    with docker_engine.forgiving_the_sdk():
        verdict = Code(sandbox="docker").verify([Rollout("```python\n1\n```", tests="assert True")])[0]
    assert (verdict.value, verdict.status) == (None, Status.UNAVAILABLE)
    assert "no Docker engine answers" in verdict.evidence["problem"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming a user without rights needs root")
def test_who_may_not_use_the_engine_is_told_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    closed = Path(tmp_path, "docker.sock")
    with socket.socket(socket.AF_UNIX) as listener, multiprocessing.Pool(1, os.setuid, (65_534,)) as other:
        listener.bind(str(closed))
        closed.chmod(0o600)
        complaint = other.apply(complaint_at, (f"unix://{closed}",))
    assert "not for this user ([Errno 13] Permission denied): join the group" in complaint


@needs_engine
def test_a_missing_image_says_how_to_make_it() -> None:
    complaint = complaint_about("proctor-test:absent")
    assert "No such image: proctor-test:absent" in str(complaint)
    assert "'proctor sandbox build-image'" in str(complaint)
    assert fault(complaint).status is Status.MISCONFIGURED


@needs_engine
def test_an_image_without_python_will_not_do() -> None:
    with engine.connection() as api, io.BytesIO() as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("nothing"))
        api.import_image_from_data(packed.getvalue(), "proctor-test", "no-python")
    complaint = complaint_about("proctor-test:no-python")
    assert "the image proctor-test:no-python will not do: it has no python3 on its PATH; make" in str(
        complaint
    )
    assert fault(complaint).status is Status.MISCONFIGURED


@needs_engine
def test_an_image_whose_python_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody takes the program that is sent to it, and the engine does not say so."""
    dockerfile, tag = Path(tmp_path, "Dockerfile"), "proctor-test:no-such-option"
    swap = "mkdir -p /usr/local/bin && rm -f /usr/local/bin/python3 && cp /bin/cat /usr/local/bin/python3"
    dockerfile.write_text(
        f"FROM {docker_engine.image()}\nENV PATH=/usr/local/bin:/usr/bin:/bin\nRUN {swap}\n"
    )
    assert proctor("sandbox", "build-image", "--dockerfile", str(dockerfile), "--tag", tag).exit_code == 0
    start = time.monotonic()
    complaint = str(complaint_about(tag))
    assert time.monotonic() - start < 30
    assert f"a container of {tag} ended before it was ready: python3: invalid option -- 'I'" in complaint


@needs_engine
def test_packages_that_the_image_lacks_are_named() -> None:
    complaint = complaint_about(docker_engine.image(), ("numpy", "no-such-package"))
    assert "programs were to import numpy, no-such-package, which it lacks" in str(complaint)
    assert "'proctor sandbox build-image --package numpy --package no-such-package'" in str(complaint)
    assert fault(complaint).status is Status.MISCONFIGURED


@needs_engine
def test_packages_are_built_in_and_chosen_by_name() -> None:
    tag, source = "proctor-test:with-numpy", "import numpy; print(numpy.arange(3).sum())"
    built = proctor("sandbox", "build-image", "--from-host", "--package", "numpy", "--tag", tag)
    assert built.exit_code == 0, built.output
    payload = json.dumps({"sources": [source]}).encode() + b"\n"
    program = Program(entry="proctor.sandbox.exam.script:run", payload=payload)
    with DockerSandbox(1, tag, packages=("numpy",)) as sandbox:
        assert sandbox.run(program).stdout == b"3\n"
    with DockerSandbox(1, tag) as sandbox:
        assert b"No module named 'numpy'" in sandbox.run(program).stderr


@needs_engine
def test_a_package_that_is_not_installed_here_cannot_be_built_in() -> None:
    built = proctor("sandbox", "build-image", "--from-host", "--package", "no-such-package")
    assert (built.exit_code, "pip install no-such-package" in built.stderr) == (2, True)
