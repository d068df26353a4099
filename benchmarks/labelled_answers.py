"""Answers whose correctness is recorded: labelled pairs, GSM8K model solutions, MATH-500 model responses.

The files are public data in one folder (`--data`); the repository holds a sample of them for its tests.
Rows that a person has marked as disputed are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from proctor.verifiers.files.sources import read_rows

FILES = (
    "Folder with gsm8k_model_solutions.jsonl (github openai/grade-school-math, example_model_solutions.jsonl), "
    "math500_model_responses.jsonl (github microsoft/rho, rho-1/outputs.zip; labels re-read by hand where "
    "graders disagreed) and math_pairs.jsonl (the test tables of math-verify, lighteval, hendrycks/math and "
    "others, issues, and adversarial rows of ours), each a row an answer: id, gold, response or prediction, "
    "is_correct or expected, category."
)


class Source(str, Enum):
    """The sets, by the name of their file."""

    PAIRS = "math_pairs.jsonl"  # gold and prediction from public test suites, people, and adversaries
    GSM8K = "gsm8k_model_solutions.jsonl"  # four models' solutions, openai/grade-school-math
    MATH500 = "math500_model_responses.jsonl"  # four models' responses, microsoft/rho


@dataclass(frozen=True, slots=True)
class Labelled:
    """One answer with its label."""

    id: str
    gold: str
    response: str  # a bare answer stands in a box, as an adapter would put it there
    expected: bool  # is it right?
    category: str  # kind of the reference: integer, fraction, interval ...
    policy: str = ""  # the stated policy that the label rests on, where it does
    reason: str = ""  # why the label is what it is, where that is debatable


def read_labelled(folder: Path, source: Source) -> list[Labelled]:
    """The scored rows of one file. Raises FileNotFoundError with what to do about it."""
    path = folder / source.value
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; give the folder of the labelled answers with --data")
    rows = (row.data for row in read_rows(path))
    return list(_gsm8k(rows) if source is Source.GSM8K else _pairs(rows))


def _gsm8k(rows: Iterator[dict[str, Any]]) -> Iterator[Labelled]:
    for row in rows:
        yield Labelled(row["id"], row["gold"], row["response"], row["is_correct"], "integer")


def _pairs(rows: Iterator[dict[str, Any]]) -> Iterator[Labelled]:
    for row in rows:
        if row.get("flag") == "disputed":
            continue
        response = row["prediction"]
        if row["kind"] == "answer" and "oxed" not in response:
            response = f"\\boxed{{{response}}}"
        yield Labelled(
            row["id"],
            row["gold"],
            response,
            row["expected"],
            row["category"],
            row.get("policy") or "",
            row.get("reason") or row.get("note") or "",
        )
