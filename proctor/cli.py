"""The `proctor` command. A new command is one file in `commands/` and one line here."""

import sys

from proctor import console
from proctor.app import Exit, app
from proctor.commands import evaluate, explain, report, rewards, rm, sandbox, score, sft, train

__all__ = [
    "app",
    "evaluate",
    "explain",
    "main",
    "report",
    "rewards",
    "rm",
    "sandbox",
    "score",
    "sft",
    "train",
]


def main() -> None:
    try:
        app()
    except Exception:  # a bug of ours: Python's own exit code for it, 1, would say "done, with failures"
        console.crash()
        sys.exit(Exit.UNUSABLE)
