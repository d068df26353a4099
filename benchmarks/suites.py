"""The evaluation suites: where their tasks lie, and what a sample of each is judged by."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proctor.verifiers.core import Rollout
from proctor.verifiers.files.sources import InputError, read_rows
from proctor.verifiers.spelling import did_you_mean

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a suite."""

    task_id: str
    rollout: Rollout  # with an empty completion
    aliases: tuple[str, ...] = ()  # what others' samples call it

    @property
    def prompt(self) -> str:
        return str(self.rollout.prompt)


@dataclass(frozen=True, slots=True)
class Suite:
    """An evaluation set."""

    name: str
    files: tuple[str, ...]  # names it goes by, best first
    hub: str  # where the `datasets` hub has it: "path" or "path:config:split"; empty: not in a form that is read
    reward: str  # what a sample is judged by
    read: Callable[[Row, int], Task]
    page: str = ""  # where else to download it

    @property
    def origin(self) -> str:
        """Where to download it."""
        return self.page or f"https://huggingface.co/datasets/{self.hub.partition(':')[0]}"

    def tasks(self, data: Path | None) -> dict[str, Task]:
        """All tasks by id, from a file, a folder with one, $PROCTOR_DATA, or the hub.

        Raises InputError that says where to get them, or names file, row and field of one that is not of the
        suite.
        """
        tasks = {}
        if data or os.environ.get("PROCTOR_DATA"):
            path = _find(self, data)
            rows = [(f"{path}, row {row.number}", row.data) for row in read_rows(path)]
        else:
            hub = self.hub.partition(":")[0]
            rows = [(f"{hub}, row {number}", row) for number, row in enumerate(_from_hub(self), start=1)]
        for number, (place, row) in enumerate(rows):
            task = self._task(row, number, place)
            tasks[task.task_id] = task
        if not tasks:
            raise InputError(
                f"{data or os.environ.get('PROCTOR_DATA') or self.hub}: no task of {self.name} in it"
            )
        return tasks

    def _task(self, row: Row, number: int, place: str) -> Task:
        try:
            return self.read(row, number)
        except KeyError as error:
            problem = f"no field {error}"
        except (AttributeError, TypeError) as error:
            problem = str(error)
        raise InputError(
            f"{place}: not a task of {self.name}: {problem}; pass its file, such as {self.files[0]}, with --data "
            f"(from {self.origin})"
        )


def _humaneval(row: Row, number: int) -> Task:
    fields = {"entry_point": row["entry_point"]}
    return Task(row["task_id"], Rollout("", row["prompt"], tests=row["test"], task="code", fields=fields))


def _mbpp(row: Row, number: int) -> Task:
    tests = {
        "test_list": row["test_list"],
        "test_setup_code": row.get("test_setup_code") or "",
        "test_imports": row.get("test_imports") or [],
    }
    text = row.get("text") or row.get("prompt") or ""
    name = str(row["task_id"])
    return Task(f"MBPP/{name}", Rollout("", text, tests=tests, task="code"), aliases=(name,))


def _plus(row: Row, number: int) -> Task:
    """HumanEval+ and MBPP+: inputs, and the canonical solution that says what is expected."""
    solution = row["canonical_solution"]
    if row["task_id"].startswith("HumanEval"):
        solution = row["prompt"] + solution
    tests = {
        "inputs": [*row["base_input"], *row["plus_input"]],
        "reference": solution,
        "examples": row.get("assertion") or "",
        "entry_point": row["entry_point"],
        "tolerance": row.get("atol") or 0,
    }
    fields = {"entry_point": row["entry_point"]}
    return Task(row["task_id"], Rollout("", row["prompt"], tests=tests, task="code", fields=fields))


def _gsm8k(row: Row, number: int) -> Task:
    answer = row["answer"].rpartition("####")[2].strip()
    return Task(f"GSM8K/{number}", Rollout("", row["question"], answer=answer, task="math"))


def _math500(row: Row, number: int) -> Task:
    name = str(row.get("unique_id") or f"MATH500/{number}")
    return Task(name, Rollout("", row["problem"], answer=row["answer"], task="math"))


_ALL = (
    Suite(
        name="humaneval",
        files=("HumanEval.jsonl", "humaneval.jsonl"),
        hub="openai/openai_humaneval::test",
        reward="code",
        read=_humaneval,
    ),
    Suite(
        name="mbpp",
        files=("mbpp.jsonl", "sanitized_mbpp.json"),
        hub="google-research-datasets/mbpp:full:test",
        reward="code",
        read=_mbpp,
    ),
    Suite(
        name="humaneval+",
        files=("HumanEvalPlus.jsonl", "humanevalplus.jsonl"),
        hub="",  # its copy has programs with the inputs inside, not the inputs
        reward="code",
        read=_plus,
        page="https://github.com/evalplus/humanevalplus_release/releases",
    ),
    Suite(
        name="mbpp+",
        files=("MbppPlus.jsonl", "mbppplus.jsonl"),
        hub="",  # its copy has programs with the inputs inside, not the inputs
        reward="code",
        read=_plus,
        page="https://github.com/evalplus/mbppplus_release/releases",
    ),
    Suite(
        name="gsm8k",
        files=("gsm8k_test.jsonl",),
        hub="openai/gsm8k:main:test",
        reward="math",
        read=_gsm8k,
    ),
    Suite(
        name="math500",
        files=("math500_test.jsonl",),
        hub="HuggingFaceH4/MATH-500::test",
        reward="math",
        read=_math500,
    ),
)
SUITES: dict[str, Suite] = {suite.name: suite for suite in _ALL}


def find_suite(name: str) -> Suite:
    """The suite of that name. Raises InputError with the known names."""
    if name not in SUITES:
        raise InputError(f"unknown suite '{name}'{did_you_mean(name, SUITES)}; known: {', '.join(SUITES)}")
    return SUITES[name]


def _find(suite: Suite, data: Path | None) -> Path:
    place = data or Path(os.environ["PROCTOR_DATA"])
    if place.is_file():
        return place
    if not place.is_dir():
        raise InputError(f"{'--data' if data else '$PROCTOR_DATA'}: no file or folder {place}")
    for name in suite.files:
        for path in (place / name, place / f"{name}.gz"):
            if path.is_file():
                return path
    raise InputError(
        f"no tasks of {suite.name} in {place}: looked for {', '.join(suite.files)} (or .gz). Download them "
        f"from {suite.origin} and pass --data FILE"
    )


def _from_hub(suite: Suite) -> list[Row]:
    if not suite.hub:
        raise InputError(f"the tasks of {suite.name} need --data FILE, from {suite.origin}, or $PROCTOR_DATA")
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise InputError(
            f"the tasks of {suite.name} need --data FILE, $PROCTOR_DATA, or: pip install 'proctor[data]'"
        ) from error
    path, config, split = [*suite.hub.split(":"), "", ""][:3]
    try:
        return list(load_dataset(path, config or None, split=split or "test"))
    except Exception as error:  # the hub's client raises what its many parts raise; all mean: not to be had
        raise InputError(
            f"the tasks of {suite.name} could not be loaded from the hub ({path}): {error}; "
            "download them elsewhere and pass --data FILE"
        ) from error
