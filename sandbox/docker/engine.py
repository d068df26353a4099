"""The Docker engine: reaching it, waiting for one that restarts, and removing containers that lost their owner."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from proctor.sandbox.core import PoolError
from proctor.sandbox.languages import MissingToolError

LABEL, OWNER = "proctor.sandbox", "proctor.sandbox.owner"
IMAGE_VARIABLE, IMAGE = "PROCTOR_SANDBOX_IMAGE", "proctor-sandbox:latest"
_TIMEOUT_S = 60
_PAUSE_S = 0.3
FAILURES = (DockerException, requests.exceptions.RequestException, OSError)
# Users that own nothing: one for each container, because the kernel counts processes by user, over all of
# them. Engines that map users, or that run without root, have 65,536 in all.
_FIRST_USER, _FEW_USERS, _MANY = 1_900_000_000, 20_000, 1 << 24

T = TypeVar("T")


class EngineError(PoolError):
    """There is no engine to be had, or no image in it: a matter of set-up, whatever is asked for."""


class ImageError(EngineError, MissingToolError):
    """The engine has no such image, or it lacks what programs were to have."""


@contextlib.contextmanager
def connection() -> Iterator[Any]:
    """The SDK's client for DOCKER_HOST, closed at the end. Raises EngineError that says what to do."""
    api = connect()
    try:
        yield api
    finally:
        api.close()


def connect() -> Any:
    """Such a client for the caller to close. Raises EngineError."""
    try:
        return docker.from_env(timeout=_TIMEOUT_S).api
    except (*FAILURES, ValueError) as error:  # ValueError: DOCKER_HOST is no address
        raise unreachable(error) from error


def default_image() -> str:
    return os.environ.get(IMAGE_VARIABLE) or IMAGE


def unreachable(error: Exception) -> EngineError:
    """Says which engine, and what to do: who may not use one that is there need not start another."""
    host = _host()
    cause = _first_cause(error)
    if isinstance(cause, PermissionError):
        return EngineError(
            f"the Docker engine at {host} is not for this user ({cause}): join the group that owns the socket "
            "('docker' mostly), or set DOCKER_HOST to an engine of your own"
        )
    return EngineError(f"no Docker engine answers at {host} ({cause}); start one, or set DOCKER_HOST")


def _host() -> str:
    return os.environ.get("DOCKER_HOST") or "the default socket"


def _first_cause(error: BaseException) -> BaseException:
    """What the operating system said, where it is at the bottom of the SDK's exceptions."""
    met: list[BaseException] = []  # some of the SDK's are their own cause's context: a ring
    seen: BaseException | None = error
    while seen is not None and seen not in met:
        if isinstance(seen, OSError) and isinstance(seen.errno, int):
            return seen
        met.append(seen)
        seen = seen.__cause__ or seen.__context__
    return error


def unfit(image: str, why: str, *, packages: Sequence[str] = ()) -> ImageError:
    """`packages`: what it should have been built with."""
    options = "".join(f" --package {name}" for name in packages)
    return ImageError(
        f"the image {image} will not do: {why}; make one with 'proctor sandbox build-image{options}', or with "
        "--from-host where there is no registry"
    )


def patiently(action: Callable[[], T], patience_s: float) -> T:
    """Repeats what fails until `patience_s` have passed: an engine may be on its way back. Raises PoolError."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return action()
        except ImageNotFound as error:
            raise ImageError(
                f"the engine has no image for the sandbox ({error.explanation}); make it with "
                "'proctor sandbox build-image', or with --from-host where there is no registry"
            ) from error
        except (PoolError, *FAILURES) as error:
            if time.monotonic() >= deadline:
                raise _as_ours(error) from error
        time.sleep(_PAUSE_S)


def _as_ours(error: Exception) -> PoolError:
    if isinstance(error, PoolError):
        return error
    if isinstance(error, APIError):  # it does answer
        return PoolError(f"the Docker engine at {_host()} refused: {error.explanation or error}")
    return unreachable(error)


def user_for_container(api: Any) -> int:
    """A user and group id for one container, at random: engines are shared, and no one keeps a list."""
    options = " ".join(api.info().get("SecurityOptions") or ())
    number = int.from_bytes(os.urandom(4), "little")
    if "userns" in options or "rootless" in options:
        return _FEW_USERS + number % _FEW_USERS
    return _FIRST_USER + number % _MANY


def owner() -> str:
    """This process, so that nobody takes it for another: boot, process namespace, id, start."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}|{_namespace()}|{os.getpid()}|{_start_of(os.getpid())}"


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def _start_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def remove_leftovers() -> int:
    """Removes containers whose process is gone. Judges only those of processes that it could see."""
    with connection() as api:
        return _remove_leftovers(api)


def _remove_leftovers(api: Any) -> int:
    here = owner().split("|")
    count = 0
    for container in api.containers(all=True, filters={"label": LABEL}):
        found = container["Labels"].get(OWNER, "").split("|")
        if len(found) == 4 and found[:2] == here[:2] and _start_of(int(found[2])) != found[3]:
            remove(api, container["Id"])
            count += 1
    return count


def remove(api: Any, container: str) -> None:
    """Kills and removes a container; quiet where it is going already, or the engine is gone."""
    with contextlib.suppress(*FAILURES):
        api.remove_container(container, force=True, v=True)
