"""Measures one contender once, in a fresh process of its own: reads jobs from standard input, prints JSON.

    python -m proctor.benchmarks.sandbox_measure NAME WORKERS SHARE < jobs.json

With one worker everything is held on one processor. SHARE is how many samples of each task come together, in
one call. The processor's time is that of this process and all that came from it, which as a subreaper it also
inherits; a daemon's is not in it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from proctor.benchmarks.sandbox_contenders import CONTENDERS, Calls, Job

_SET_CHILD_SUBREAPER = 36
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run showed."""

    executions: int
    wall_s: float  # of all together
    cpu_s: float  # of all together, daemons apart
    latencies_s: list[float]  # of one at a time
    failed: int  # canonical solutions that did not pass: a contender's false verdicts


def processor_seconds(root: int) -> float:
    """User and system time of a process, of those it has waited for, and of all below it, so far."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
        used[int(entry.name)] = sum(map(int, fields[11:15])) / _TICKS
    total, waiting = 0.0, [root]
    while waiting:
        process = waiting.pop()
        total += used.get(process, 0.0)
        waiting += parents.get(process, [])
    return total


def measure(calls: Calls, jobs: list[Job], share: int) -> Measured:
    """Throughput of all jobs together, then the latency of each alone (not where samples come together)."""
    calls.many(jobs[:4] * share)  # starts what it starts
    together = [job for job in jobs for _ in range(share)]
    cpu, start = processor_seconds(os.getpid()), time.perf_counter()
    passed = calls.many(together)
    wall, cpu = time.perf_counter() - start, processor_seconds(os.getpid()) - cpu
    latencies = []
    for job in jobs if share == 1 else []:
        start = time.perf_counter()
        calls.one(job)
        latencies.append(time.perf_counter() - start)
    return Measured(len(together), wall, cpu, latencies, passed.count(False))


def main(name: str, workers: int, share: int) -> None:
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    jobs = [Job(**fields) for fields in json.load(sys.stdin)]
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[-workers:])
    contender = next(each for each in CONTENDERS if each.name == name)
    with contender.open(workers) as calls:
        measured = measure(calls, jobs, share)
    print("\n" + json.dumps(asdict(measured)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
