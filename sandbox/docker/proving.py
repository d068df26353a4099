"""Proves from inside a container that the jail there holds, and from outside that the container has its walls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

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


def report_container(details: dict[str, Any], inner: str) -> proof.LayerReport:
    """The outer walls, by the engine's own account; `inner`: the jail's mode within."""
    host = details["HostConfig"]
    user = details["Config"]["User"]
    memory, processes = host["Memory"], host["PidsLimit"] or 0
    walls = {
        "no network": host["NetworkMode"] == "none",
        "read-only root": host["ReadonlyRootfs"],
        "no capability": host["CapDrop"] == ["ALL"] and not host["CapAdd"],
        "no new privileges": "no-new-privileges" in host["SecurityOpt"],
        "nothing of the host mounted": not details["Mounts"] and not host["Binds"],
        f"user {user}": int(user.partition(":")[0]) > 0,
        f"memory {memory >> 20} MB": memory > 0,
        f"{processes} processes": processes > 0,
    }
    missing = [wall for wall, holds in walls.items() if not holds]
    proof_text = f"the engine says: {', '.join(missing or walls)}; jail inside: {inner}"
    remedy = "let the engine use control groups, and Docker 20.10 or later" if missing else ""
    return proof.LayerReport(
        "container", True, not missing, f"missing: {proof_text}" if missing else proof_text, remedy
    )
