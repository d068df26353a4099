"""The sandboxes that parts share: one of each kind a process, started when first needed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from proctor.sandbox.core import Exam, Execution, Program, Sandbox
from proctor.sandbox.languages import MissingToolError, Tools, plain_tools, tools_of

_lock = threading.Lock()
_open: dict[SandboxKey, Any] = {}


@dataclass(frozen=True, slots=True)
class SandboxKey:
    """What makes two parts use the same sandbox."""

    kind: str  # "local" or "docker"
    isolation: str
    packages: tuple[str, ...] = ()
    language: str = "python"  # its tools must be readable inside
    readable: tuple[str, ...] = ()  # more paths that must be


def sandbox_for(key: SandboxKey) -> Sandbox:
    """The shared sandbox. Raises MissingToolError, and whatever the sandbox's own constructor raises."""
    if key.kind == "docker":  # its image holds the tools of all languages: one pool serves them
        key = SandboxKey("docker", key.isolation, key.packages)
    with _lock:
        if key not in _open:
            _open[key] = _make(key)
        found: Sandbox = _open[key]
        return found


def _make(key: SandboxKey) -> Sandbox:
    if key.kind == "local":
        from proctor.sandbox.local.host import LocalSandbox

        return LocalSandbox(
            isolation=key.isolation, packages=key.packages, readable=(*key.readable, *_readable(key.language))
        )
    from proctor.sandbox.docker import DockerSandbox  # its SDK is an optional dependency

    return DockerSandbox(packages=key.packages)


def _readable(language: str) -> tuple[str, ...]:
    try:
        return tools_of(language).readable if language != "python" else ()
    except MissingToolError:
        return ()  # said for each row, when its program is to be compiled


def tools_for(kind: str, language: str) -> Tools:
    """Where a language's tools lie for programs in a sandbox of that kind. Raises MissingToolError."""
    return tools_of(language) if kind == "local" else plain_tools(language)


def hold_exams(sandbox: Sandbox, pairs: Iterable[tuple[Program, Program]], threads: int) -> Iterator[Exam]:
    """Exams of (examiner, candidate) in order, as many at once as the sandbox has room for."""
    exams = getattr(sandbox, "exams", None)
    if exams is not None:
        yield from exams(pairs)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda pair: sandbox.exam(*pair), pairs)


def run_programs(sandbox: Sandbox, programs: Sequence[Program], threads: int) -> list[Execution]:
    """Executions in order, as many at once as the sandbox has room for."""
    many = getattr(sandbox, "run_many", None)
    if many is not None:
        executions: list[Execution] = many(programs)
        return executions
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(sandbox.run, programs))
