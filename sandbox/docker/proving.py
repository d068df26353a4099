"""Proves from inside a container that the jail there holds; the canaries are the container's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from proctor.sandbox.core import Execution, Program
from proctor.sandbox.docker.container import CODE
from proctor.sandbox.docker.keeper import CANARY
from proctor.sandbox.local import proof
from proctor.sandbox.local.setting import Setting

_ABSENT = 1 << 20  # no process has this number, in a process namespace of a run's own


def prove(setting: Setting, run: Callable[[Program], Execution]) -> list[proof.LayerReport]:
    """One run that tries to break every layer; a report for each.

    The local proof, told of the container's surroundings in place of the host's. Without namespaces of its own
    a run shares the container's, which has no network but the loop-back: that is not asked of the jail then.
    """

    def run_inside(program: Program) -> Execution:
        host = json.loads(program.payload) | {
            "pid": _ABSENT if setting.uses_namespaces else 1,
            "file": f"{CODE}/{CANARY}",
            "counts_processes": setting.uses_namespaces,
        }
        return run(replace(program, payload=json.dumps(host).encode()))

    return proof.prove(setting, run_inside)
