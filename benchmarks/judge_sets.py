"""Programs whose right verdict is known: canonical solutions, mutants, real completions, contest programs.

The files are public data in one folder (`--data`). Of CodeContests there are tests and no programs: there a
table of the answers stands in, once whole and once with the last answer spoilt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from proctor.benchmarks.suites import find_suite
from proctor.verifiers.core import Rollout
from proctor.verifiers.files.sources import read_rows

Row = Mapping[str, Any]


FILES = (
    "Folder with humaneval.jsonl (github openai/human-eval), mbpp.jsonl and sanitized_mbpp.json (google-research/"
    "mbpp), humanevalplus.jsonl.gz and mbppplus.jsonl.gz (releases of github evalplus/humanevalplus_release and "
    "mbppplus_release), code_verdicts.jsonl (mutants of the first three, made by us), code_completions.jsonl "
    "(github FloridSleeves/LLMDebugger, noahshinn/reflexion), calls_leetcode.jsonl and stdio_atcoder.jsonl "
    "(github deepseek-ai/DeepSeek-Coder, LiveCodeBench/submissions), stdio_codecontests_sample.jsonl (github "
    "bytedance/SandboxFusion); a row a task or program, as tests/data/judged shows them."
)

HUMANEVAL_FILES = (
    "Folder with humaneval.jsonl (github openai/human-eval) and humanevalplus.jsonl.gz (a release of github "
    "evalplus/humanevalplus_release)."
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One program with its label."""

    id: str
    rollout: Rollout  # with the whole program as its completion
    passes: bool


@dataclass(frozen=True, slots=True)
class Inputs:
    """A folder with the files."""

    folder: Path

    def rows(self, name: str) -> list[Row]:
        """Rows of a file of JSON lines or of one array, packed or not. Raises FileNotFoundError."""
        for path in (self.folder / name, self.folder / f"{name}.gz"):
            if path.is_file():
                return [row.data for row in read_rows(path)]
        raise FileNotFoundError(f"{self.folder / name} is missing; give the folder of the data with --data")

    def tasks(self, suite: str, name: str) -> dict[str, Rollout]:
        """The rows of a file as rollouts without a completion, by task."""
        tasks = [find_suite(suite).read(row, number) for number, row in enumerate(self.rows(name))]
        return {task.task_id: task.rollout for task in tasks}


Reader = Callable[[Inputs], Iterator[Labelled]]


def _canonical(suite: str, name: str) -> Reader:
    """Canonical solutions, which pass."""

    def read(inputs: Inputs) -> Iterator[Labelled]:
        rows, tasks = inputs.rows(name), inputs.tasks(suite, name)
        for row, (task_id, rollout) in zip(rows, tasks.items(), strict=True):
            code = row.get("code") or row["canonical_solution"]
            if task_id.startswith("HumanEval"):
                code = row["prompt"] + code
            yield Labelled(task_id, replace(rollout, completion=code), True)

    return read


def _verdicts(inputs: Inputs) -> Iterator[Labelled]:
    """Canonical solutions and mutants of HumanEval and of the sanitized MBPP."""
    tasks = inputs.tasks("humaneval", "humaneval.jsonl") | inputs.tasks("mbpp", "sanitized_mbpp.json")
    for number, row in enumerate(inputs.rows("code_verdicts.jsonl"), start=1):
        rollout = replace(tasks[row["task_id"]], completion=row["solution"])
        yield Labelled(f"{row['task_id']} {row['kind']} line {number}", rollout, row["expected"] == "pass")


def _completions(inputs: Inputs) -> Iterator[Labelled]:
    """Models' completions; those of HumanEval stand behind the prompt, with an empty body."""
    tasks = inputs.tasks("humaneval", "humaneval.jsonl") | inputs.tasks("mbpp", "mbpp.jsonl")
    for number, row in enumerate(inputs.rows("code_completions.jsonl"), start=1):
        rollout, code = tasks[row["task_id"]], row["solution"]
        if row["task_id"].startswith("HumanEval"):
            code = f"{rollout.prompt}    pass\n\n{code}"
        labelled = replace(rollout, completion=code)
        yield Labelled(f"{row['task_id']} {row['kind']} line {number}", labelled, row["expected"] == "pass")


def _leetcode(inputs: Inputs) -> Iterator[Labelled]:
    for row in inputs.rows("calls_leetcode.jsonl"):
        tests = {"calls": row["calls"], "entry_point": row["entry_point"]}
        yield from _models(row, tests)


def _atcoder(inputs: Inputs) -> Iterator[Labelled]:
    for row in inputs.rows("stdio_atcoder.jsonl"):
        yield from _models(row, row["tests"])


def _models(row: Row, tests: Any) -> Iterator[Labelled]:
    for each in row["completions"]:
        rollout = Rollout(each["code"], tests=tests, task="code")
        yield Labelled(f"{row['task_id']} {each['model']}", rollout, each["expected"] == "pass")


def _codecontests(inputs: Inputs) -> Iterator[Labelled]:
    for row in inputs.rows("stdio_codecontests_sample.jsonl"):
        answers = {test["input"]: test["output"] for test in row["tests"]}
        spoilt = answers | {row["tests"][-1]["input"]: "no such answer\n"}
        for kind, table in (("right", answers), ("one spoilt", spoilt)):
            program = f"import sys\nprint({table!r}[sys.stdin.read()], end='')\n"
            rollout = Rollout(program, tests=row["tests"], task="code")
            yield Labelled(f"{row['task_id']} {kind}", rollout, table is answers)


SETS: dict[str, Reader] = {
    "humaneval": _canonical("humaneval", "humaneval.jsonl"),
    "mbpp": _canonical("mbpp", "mbpp.jsonl"),
    "mbpp sanitized": _canonical("mbpp", "sanitized_mbpp.json"),
    "humaneval+": _canonical("humaneval+", "humanevalplus.jsonl"),
    "mbpp+": _canonical("mbpp+", "mbppplus.jsonl"),
    "verdicts": _verdicts,
    "completions": _completions,
    "leetcode": _leetcode,
    "atcoder": _atcoder,
    "codecontests": _codecontests,
}


def read_set(folder: Path, name: str) -> list[Labelled]:
    """The programs of one set. Raises FileNotFoundError with what to do, KeyError for an unknown name."""
    return list(SETS[name](Inputs(folder)))
