"""A Docker engine for tests: the one that DOCKER_HOST names, and one of a test's own that it may kill."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proctor.sandbox.core import PoolError

docker = pytest.importorskip("docker", reason="the docker SDK is not installed: pip install proctor[docker]")

TAG = f"proctor-sandbox:test-{platform.python_version()}"


@contextlib.contextmanager
def forgiving_the_sdk() -> Iterator[None]:
    """Where connecting fails, the SDK leaves its sockets to the garbage collector, which warns of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def why_no_engine() -> str:
    """Why no engine can be used; "" where one can."""
    from proctor.sandbox.docker import engine

    with forgiving_the_sdk():
        try:
            with engine.connection() as api:
                api.ping()
        except (PoolError, *engine.FAILURES) as error:
            return f"no Docker engine answers, start one (.ci/docker.sh does): {error}"
    return ""


def needs_engine() -> None:
    """Skips a module's tests where no engine is reachable. CI starts one."""
    reason = why_no_engine()
    if reason:
        pytest.skip(reason, allow_module_level=True)


def image() -> str:
    """The tag of an image made of this host's interpreter; built once for each engine, by whoever is first."""
    from proctor.sandbox.docker import engine
    from proctor.sandbox.docker.image import build_from_host

    with engine.connection() as api:
        name = f"proctor-test-image-{os.getuid()}-{api.info()['ID'].replace(':', '')}"
        with Path(tempfile.gettempdir(), name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not api.images(TAG):
                build_from_host(TAG)
    return TAG


def own_containers() -> dict[str, dict[str, Any]]:
    """Containers of this process's sandboxes, by id."""
    from proctor.sandbox.docker import engine

    with engine.connection() as api:
        found = api.containers(all=True, filters={"label": engine.LABEL})
    return {each["Id"]: each for each in found if each["Labels"].get(engine.OWNER) == engine.owner()}


def commands_in(container: str) -> list[str]:
    """What runs in a container; nothing where it has gone."""
    from proctor.sandbox.docker import engine

    with engine.connection() as api, contextlib.suppress(docker.errors.APIError):
        return [row[-1] for row in api.top(container)["Processes"]]
    return []


def wait_until(is_true: Callable[[], Any], seconds: float = 30) -> Any:
    """What `is_true` gives in the end."""
    deadline = time.monotonic() + seconds
    while not (found := is_true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


class OwnEngine:
    """A second dockerd with folders and sockets of its own.

    Not below pytest's temporary folder: a socket's path has at most 107 bytes, and containerd's would have more.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dockerd-", dir="/tmp"))
        self.host = f"unix://{self.folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        folder = self.folder
        # Ids of processes that were killed, which a new engine would wait for where nobody reaps them.
        for left in (folder / "pid", folder / "exec/containerd/containerd.pid"):
            left.unlink(missing_ok=True)
        command = [
            "dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "-H", self.host,
            "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "-p", f"{folder}/pid",
        ]  # fmt: skip
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        with forgiving_the_sdk():
            while not self._answers():
                is_there = self._process.poll() is None and time.monotonic() < deadline
                assert is_there, (folder / "log").read_text()[-2000:]
                time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with contextlib.closing(docker.DockerClient(self.host, timeout=5)) as client:
                return bool(client.ping())
        except docker.errors.DockerException:
            return False

    def kill(self) -> None:
        """kill -9, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ends it with all that belongs to it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
        for mount in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (place := mount.split()[1]).startswith(str(self.folder)):
                subprocess.run(["umount", "-l", place], check=False)
        for shim in _shims_of(self.folder):
            os.kill(shim, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def _shims_of(folder: Path) -> list[int]:
    """What a killed engine may have left: containerd and its shims, by the folder in their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{folder}/".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def why_no_own_engine() -> str:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        return "starting a second engine needs root and dockerd"
    return ""
