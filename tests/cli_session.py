"""What the tests of the command line share: a folder with rollouts, and the command called in it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from proctor.cli import app
from proctor.verifiers.files.sources import read_rows

ROOT = Path(__file__).parents[1]
ROLLOUTS = Path(__file__).parent / "data" / "rollouts.jsonl"  # 48 solutions of GSM8K by 4 models (MIT)
RIGHT = 17  # of them, by the record that came with them
PARTS = str(Path(__file__).parent / "cli_parts.py")


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the folder the current one, with `rollouts.jsonl` in it."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copy(ROLLOUTS, folder / "rollouts.jsonl")


def proctor(*arguments: str, given: str | bytes = "") -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


def score(*arguments: str, reward: str = "cli_right", given: str = "") -> Result:
    return proctor("score", *arguments, "--reward", reward, "--load", PARTS, given=given)


def lines(path: str) -> list[dict[str, Any]]:
    return [row.data for row in read_rows(Path(path))]
