"""Looks a sandbox over: which layers were asked for, which hold, how that was proved, what to do if not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from proctor.sandbox.core import Execution, Limits, Outcome, Program, SandboxError
from proctor.sandbox.local.host import LocalSandbox
from proctor.sandbox.local.proof import LAYERS, Layer, LayerReport

_BUG = "report this as a bug, with this table"
_SPIN = "while :; do :; done"
_MEMORY_MB = 96


class Provable(Protocol):
    """A sandbox that can attack its own walls."""

    def prove(self) -> list[LayerReport]: ...
    def run(self, program: Program) -> Execution: ...


def inspect(isolation: str = "full") -> list[LayerReport]:
    """Looks a local sandbox with this isolation over. Never raises for a layer."""
    with LocalSandbox(2, isolation) as sandbox:
        try:
            return look_over(sandbox)
        except SandboxError as error:
            return [_failed(layer, isolation, str(error)) for layer in LAYERS]


def look_over(sandbox: Provable) -> list[LayerReport]:
    """Attacks a sandbox, and reports layer by layer. Raises SandboxError where it does not start.

    Beyond what every start proves, it lets limits be exceeded: processor time, time by the clock, memory of
    several processes together, output, and a daemon that tries to outlive its run.
    """
    reports = sandbox.prove()
    if any(report.asked and not report.holds for report in reports):
        return reports  # such a sandbox refuses to run anything
    return [*reports, *(check(sandbox) for check in _CHECKS)]


def _failed(layer: Layer, isolation: str, reason: str) -> LayerReport:
    return LayerReport(layer.name, isolation in layer.modes, False, reason, layer.remedy)


def _expect(sandbox: Provable, name: str, script: str, limits: Limits, wanted: Outcome) -> LayerReport:
    found = sandbox.run(Program(argv=("/bin/sh", "-c", script), limits=limits))
    return LayerReport(name, True, found.outcome is wanted, f"{script!r} gave {found.outcome.value}", _BUG)


def _processor_time(sandbox: Provable) -> LayerReport:
    limits = Limits(cpu_s=0.3, wall_s=30)
    return _expect(sandbox, "processor time", f"({_SPIN}) & {_SPIN}", limits, Outcome.CPU_LIMIT)


def _clock(sandbox: Provable) -> LayerReport:
    return _expect(sandbox, "time by the clock", "sleep 30", Limits(wall_s=0.3), Outcome.WALL_LIMIT)


def _total_memory(sandbox: Provable) -> LayerReport:
    """Four processes that each stay below the limit, and together pass it."""
    hoard = f"x=$(head -c {_MEMORY_MB // 2}000000 /dev/zero | tr '\\0' x); sleep 20"
    script = f"for i in 1 2 3 4; do ({hoard}) & done; wait"
    limits = Limits(memory_mb=_MEMORY_MB, wall_s=25, cpu_s=25)
    return _expect(sandbox, "total memory", script, limits, Outcome.MEMORY_LIMIT)


def _process_count(sandbox: Provable) -> LayerReport:
    script = "for i in $(seq 40); do sleep 20 & done; wait"
    limits = Limits(processes=10, wall_s=15)
    return _expect(sandbox, "number of processes", script, limits, Outcome.PROCESS_LIMIT)


def _output(sandbox: Provable) -> LayerReport:
    limits = Limits(output_bytes=1 << 16, wall_s=30)
    return _expect(sandbox, "output", "yes", limits, Outcome.OUTPUT_LIMIT)


def _daemons(sandbox: Provable) -> LayerReport:
    """A daemon that keeps standard output open: the run must end at once, with nothing written later."""
    script = "(setsid sh -c 'sleep 1; echo late' &) ; echo early"
    start = time.monotonic()
    found = sandbox.run(Program(argv=("/bin/sh", "-c", script)))
    took = time.monotonic() - start
    held = found.stdout == b"early\n" and took < 1
    return LayerReport("daemons", True, held, f"{script!r} gave {found.stdout!r} in {took:.2f} s", _BUG)


_CHECKS: tuple[Callable[[Provable], LayerReport], ...] = (
    _processor_time, _clock, _total_memory, _process_count, _output, _daemons,
)  # fmt: skip

__all__ = ["LayerReport", "inspect", "look_over"]
