"""The `proctor` command. A new command is one file in `commands/` and one line here."""

from proctor.app import app
from proctor.commands import explain, rewards, score

__all__ = ["app", "explain", "main", "rewards", "score"]


def main() -> None:
    app()
