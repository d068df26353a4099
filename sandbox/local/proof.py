"""Proves, from the host's side, that the layers of a jail hold: canaries outside, attempts from inside."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proctor.sandbox.core import Execution, IsolationError, Limits, Outcome, Program
from proctor.sandbox.local import abilities, probes
from proctor.sandbox.local.setting import MODES, Setting

_NAMESPACES = ("full", "no-landlock")
_KERNEL = ("full", "no-landlock", "no-namespaces")
_LIMITS = Limits(cpu_s=20, wall_s=60, memory_mb=128, processes=12, file_mb=4, open_files=32)
_GIVE_NAMESPACES = (
    "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1; Ubuntu: "
    "kernel.apparmor_restrict_unprivileged_userns=0; Docker: --security-opt seccomp=unconfined "
    "--security-opt systempaths=unconfined), or ask for isolation='no-namespaces' by name"
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One wall of the jail, and the modes that ask for it."""

    name: str
    covers: str
    modes: tuple[str, ...]
    remedy: str


LAYERS = (
    Layer("identity", "unprivileged user, no capability", _KERNEL, "do not run as root without CAP_SETUID"),
    Layer("files", "minimal read-only root, nothing of the host", _KERNEL, _GIVE_NAMESPACES),
    Layer("processes", "own process ids; signals reach no other", _KERNEL, _GIVE_NAMESPACES),
    Layer("network", "own network without interfaces", _NAMESPACES, _GIVE_NAMESPACES),
    Layer("names and IPC", "own host name, System V and POSIX IPC", _NAMESPACES, _GIVE_NAMESPACES),
    Layer("seccomp", "dangerous system calls", _KERNEL, "use a kernel with CONFIG_SECCOMP_FILTER"),
    Layer(
        "landlock",
        "file access once more, by path",
        ("full", "no-namespaces"),
        "use Linux 5.13 or later with landlock in lsm=, or ask for isolation='no-landlock' by name",
    ),
    Layer("limits", "memory, files, processes of each process", MODES, "raise the host's own hard limits"),
    Layer("leftovers", "environment, descriptors, other runs' files", MODES, "report this as a bug"),
)


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One row of `proctor sandbox doctor`."""

    layer: str
    asked: bool  # for the isolation in question
    holds: bool
    proof: str  # what was tried, or what it saw where it did not hold
    remedy: str  # what to do if it does not hold


def prove(setting: Setting, run: Callable[[Program], Execution]) -> list[LayerReport]:
    """One run inside the jail that tries to break every layer; a report for each."""
    with tempfile.TemporaryDirectory(prefix="proctor-canary-") as folder:
        canary = Path(folder, "secret.txt")
        canary.write_text(secrets.token_hex())
        Path(folder).chmod(0o755)
        canary.chmod(0o644)
        host = {
            "pid": os.getpid(),
            "file": str(canary),
            "has_namespaces": setting.uses_namespaces,
            "counts_processes": setting.uses_namespaces or os.geteuid() == 0,
            "limits": dataclasses.asdict(_LIMITS),
            "environment": setting.environment,
        }
        entry = f"{probes.__name__}:attack"
        execution = run(Program(entry=entry, payload=json.dumps(host).encode(), limits=_LIMITS))
    if execution.outcome is not Outcome.OK or not execution.report:
        trouble = f"the probe ended with {execution.outcome.value}: {execution.detail or execution.stderr!r}"
        return [LayerReport(layer.name, setting.isolation in layer.modes, False, trouble, layer.remedy)
                for layer in LAYERS]  # fmt: skip
    findings = [(str(a), str(b), bool(c), str(d)) for a, b, c, d in json.loads(execution.report)]
    return [_report(layer, setting.isolation, findings) for layer in LAYERS]


def _report(layer: Layer, isolation: str, findings: list[probes.Finding]) -> LayerReport:
    own = [finding for finding in findings if finding[0] == layer.name]
    broken = [f"{attempt}: {saw}" for _, attempt, held, saw in own if not held]
    tried = f"attempts from inside: {len(own)}, such as: {'; '.join(attempt for _, attempt, _, _ in own[:3])}"
    proof = "; ".join(broken) if broken else tried
    return LayerReport(layer.name, isolation in layer.modes, bool(own) and not broken, proof, layer.remedy)


def report_totals(group: str) -> LayerReport:
    """How totals over all processes of a run are had; `group`: the control group, or "" where none is."""
    if group:
        return LayerReport("control group", False, True, f"totals are counted by {group}", "")
    remedy = "delegate one (systemd-run --user --scope -p Delegate=yes ..., or start as root)"
    return LayerReport("control group", False, False, "none is delegated; totals are sampled instead", remedy)


def require(setting: Setting, reports: list[LayerReport]) -> None:
    """Raises IsolationError that names every asked layer which does not hold, and what to do."""
    missing = [report for report in reports if report.asked and not report.holds]
    if missing:
        what = "; ".join(f"{report.layer} ({report.proof})" for report in missing)
        remedies = "; ".join(dict.fromkeys(report.remedy for report in missing))
        raise IsolationError(
            f"isolation {setting.isolation!r} does not hold here: {what}. To mend it: {remedies}"
        )


def explain_failure(setting: Setting, package_root: str, complaint: str) -> IsolationError:
    """Why the jail did not even start: the complaint, and what this host refuses when tried one by one."""
    refused = [f"{name} ({why})" for name, why in abilities.probe_host(package_root).items() if why]
    what = "; ".join(refused) or "every single layer can be had, so this is a fault of ours"
    settings = abilities.namespace_settings()
    hint = f" (here: {settings})" if settings else ""
    return IsolationError(
        f"isolation {setting.isolation!r} cannot be set up here: {complaint}. Refused by this host: {what}. "
        f"To mend it: {_GIVE_NAMESPACES}{hint}"
    )
