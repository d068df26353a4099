"""Proves from inside a container that the jail there holds; the canaries are the container's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from proctor.sandbox.core import Execution, Program
from proctor.sandbox.docker.container import CODE
from proctor.sandbox.docker.keeper import CANARY
from proctor.sandbox.local import proof
from proctor.sandbox.local.setting import Setting


def prove(setting: Setting, run: Callable[[Program], Execution]) -> list[proof.LayerReport]:
    """One run that tries to break every layer; a report for each.

    Without namespaces of its own a run shares those of the container, whose network has no interface up but
    the loop-back: that layer is not asked of the jail. Processes are counted by sampling there.
    """
    host: dict[str, object] = {
        "pid": 1 << 20 if setting.uses_namespaces else 1,
        "file": f"{CODE}/{CANARY}",
        "has_namespaces": setting.uses_namespaces,
        "counts_processes": setting.uses_namespaces,
        "limits": dataclasses.asdict(proof.LIMITS),
    }
    return proof.attack(setting.isolation, run, host)
