"""Measures one contender once, in a fresh process of its own: reads jobs from standard input, prints JSON.

    python -m proctor.benchmarks.sandbox_measure NAME WORKERS PROCESSORS SHARE < jobs.json

Everything is held on as many processors as PROCESSORS says. SHARE is how many samples of each task come together,
in one call. The processor's time is that of this process and all that came from it, which as a subreaper it also
inherits; a daemon's is not in it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass

from proctor.benchmarks.process_tree import adopt_orphans, look_at
from proctor.benchmarks.sandbox_contenders import CONTENDERS, Calls, Job


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run showed."""

    executions: int
    wall_s: float  # of all together
    cpu_s: float  # of all together, daemons apart
    latencies_s: list[float]  # of one at a time
    failed: int  # canonical solutions that did not pass: a contender's false verdicts


def measure(calls: Calls, jobs: list[Job], share: int) -> Measured:
    """Throughput of all jobs together, then the latency of each alone (not where samples come together)."""
    calls.many(jobs[:4] * share)  # starts what it starts
    together = [job for job in jobs for _ in range(share)]
    cpu, start = look_at(os.getpid()).cpu_s, time.perf_counter()
    passed = calls.many(together)
    wall, cpu = time.perf_counter() - start, look_at(os.getpid()).cpu_s - cpu
    latencies = []
    for job in jobs if share == 1 else []:
        start = time.perf_counter()
        calls.one(job)
        latencies.append(time.perf_counter() - start)
    return Measured(len(together), wall, cpu, latencies, passed.count(False))


def main(name: str, workers: int, processors: int, share: int) -> None:
    adopt_orphans()
    jobs = [Job(**fields) for fields in json.load(sys.stdin)]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-processors:])
    contender = next(each for each in CONTENDERS if each.name == name)
    with contender.open(workers) as calls:
        measured = measure(calls, jobs, share)
    print("\n" + json.dumps(asdict(measured)))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
