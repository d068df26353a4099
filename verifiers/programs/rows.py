"""What the parts that run programs have in common: taking the code of a row, limits, and a sandbox to run it in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeAlias

from proctor.sandbox.core import IsolationError, Limits, Sandbox, SandboxError
from proctor.sandbox.languages import MissingToolError, find_language
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import grader_error
from proctor.verifiers.programs.extraction import Extracted, Rule, extract
from proctor.verifiers.programs.sandboxes import SandboxKey, sandbox_for
from proctor.verifiers.thinking import opens_thinking

Where: TypeAlias = Literal["local", "docker"]
Isolation: TypeAlias = Literal["full", "no-landlock", "no-namespaces", "process"]
_THREADS = 8
_WAITING_S = 4.0


def run_limits(timeout: float, memory_mb: int) -> Limits:
    """Processor seconds are the limit; the clock's is wider, for tests that wait a little.

    What a program waits for a processor is not in it: the sandbox gives that back.
    """
    return Limits(cpu_s=timeout, wall_s=timeout + _WAITING_S, memory_mb=memory_mb)


def check_limits(timeout: float, memory_mb: int) -> None:
    """Raises ValueError for limits under which nothing can run: a program must not be blamed for those."""
    if not 0 < timeout < math.inf:
        raise ValueError(f"option 'timeout' must be above 0 and finite, got {timeout:g}")
    if memory_mb < 1:
        raise ValueError(f"option 'memory_mb' must be 1 or more, got {memory_mb}")


def check_language(name: str) -> None:
    """Raises ValueError that lists the known languages."""
    try:
        find_language(name)
    except KeyError as error:
        raise ValueError(str(error.args[0])) from error


def extract_row(
    rollout: Rollout, language: str, rule: Rule, prompt_code: str = "", entry: str = "", tests: bytes = b""
) -> Extracted:
    """The program in a rollout's completion."""
    return extract(
        rollout.completion,
        language=find_language(language).name,
        rule=rule,
        prompt_code=prompt_code,
        entry=entry,
        tests=tests,
        is_thinking=opens_thinking(rollout.prompt),
    )


def sandboxed(
    taken: Sequence[Extracted], key: SandboxKey, judge: Callable[[Extracted, Sandbox], Verdict]
) -> list[Verdict]:
    """A verdict on each program, several at once; what the sandbox lacks is said for all of them."""
    if not taken:
        return []
    try:
        sandbox = sandbox_for(key)
    except Exception as error:
        return [fault(error)] * len(taken)

    def guarded(extracted: Extracted) -> Verdict:
        try:
            return judge(extracted, sandbox)
        except Exception as error:  # the border of a row: the others go on
            return fault(error)

    with ThreadPoolExecutor(min(_THREADS, len(taken))) as pool:
        return list(pool.map(guarded, taken))


def fault(error: Exception) -> Verdict:
    """The verdict where something of ours failed, by whose fault it was."""
    if isinstance(error, MissingToolError | IsolationError | ImportError):
        return Verdict(None, Status.MISCONFIGURED, {"problem": str(error)})
    if isinstance(error, SandboxError):
        return Verdict(None, Status.UNAVAILABLE, {"problem": str(error)})
    return grader_error(error)
