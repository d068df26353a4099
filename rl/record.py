"""What a run leaves behind while it goes: metrics and completions as JSON lines, TensorBoard, incidents."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from proctor.rl.experience import Experience
from proctor.sft.config import make_output
from proctor.sft.experiments import open_wandb
from proctor.verifiers.files.scored import dumps


class Recorder:
    """Writes as the run goes; a resumed run cuts off what came after its checkpoint and goes on."""

    def __init__(
        self,
        folder: Path,
        *,
        from_step: int = 0,
        tensorboard: bool = True,
        wandb: str = "",
        is_main: bool = True,
    ) -> None:
        """Keeps the records of steps up to and including `from_step`. Only the main process writes."""
        self.folder = folder
        self._is_main = is_main
        self._tensorboard = tensorboard
        if not is_main:
            nowhere = [Path(os.devnull).open("w") for _ in range(2)]  # noqa: SIM115 - closed on leaving
            self._metrics, self._completions = nowhere
            self._board = self._wandb = None
            return
        make_output(folder)
        self._wandb = open_wandb(wandb, folder) if wandb else None
        self._open(from_step)

    def rewind(self, step: int) -> None:
        """Forgets the steps after that one, which a rollback has undone."""
        if self._is_main:
            self._close()
            self._open(step)

    def _open(self, from_step: int) -> None:
        self._metrics = _reopen(self.folder / "metrics.jsonl", from_step)
        self._completions = _reopen(self.folder / "completions.jsonl", from_step)
        self._board = _board(self.folder / "tensorboard", from_step) if self._tensorboard else None

    def _close(self) -> None:
        for file in (self._metrics, self._completions):
            file.close()
        if self._board is not None:
            self._board.close()

    def step(self, step: int, metrics: Mapping[str, Any]) -> None:
        """One line of metrics; numbers that are not finite are written as null."""
        self._metrics.write(dumps({"step": step, **metrics}) + "\n")
        numbers = {name: value for name, value in metrics.items() if isinstance(value, (int, float))}
        for name, value in numbers.items():
            if self._board is not None and math.isfinite(value):
                self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(numbers, step=step)

    def completions(self, step: int, experiences: Iterable[Experience], *, kind: str = "train") -> None:
        """Every rollout of the step with its verdicts and fate."""
        for experience in experiences:
            row = {
                "step": step,
                "kind": kind,
                "group": experience.group,
                "prompt": experience.prompt,
                "completion": experience.text,
                "tokens": len(experience.completion.token_ids),
                "truncated": experience.completion.is_truncated,
                "reward": experience.score.total,
                "verdicts": {name: v.to_json() for name, v in experience.score.verdicts.items()},
                "advantage": experience.advantage,
                "fate": experience.fate.value if experience.fate else None,
            }
            self._completions.write(dumps(row) + "\n")

    def incident(
        self, number: int, step: int, reason: str, experiences: Iterable[Experience], **facts: Any
    ) -> Path:
        """A file of its own with what tripped the guard and the batch that did. number: of the run, from 1."""
        path = self.folder / f"incident-{number:03d}-step-{step:06d}.json"
        if not self._is_main:
            return path
        batch = [
            {
                "prompt_ids": experience.completion.prompt_ids,
                "token_ids": experience.completion.token_ids,
                "completion": experience.text,
                "score": experience.score.to_json(),
                "advantage": experience.advantage,
                "fate": experience.fate.value if experience.fate else None,
            }
            for experience in experiences
        ]
        path.write_text(dumps({"step": step, "reason": reason, **facts, "batch": batch}), encoding="utf-8")
        return path

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()
        if self._wandb is not None:
            self._wandb.finish()


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of records; none where it is missing, and not a last one that is being written."""
    for _, row in _whole_lines(path):
        yield row


def _whole_lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each line with its row, up to one that a crash tore, perhaps within a character."""
    if not path.is_file():
        return
    with path.open("rb") as file:  # whose lines end at "\n" alone: text has others, str.splitlines many more
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield line, json.loads(line)


def _reopen(path: Path, from_step: int) -> TextIO:
    """Opens for appending, without the lines after `from_step` and without a torn last one."""
    if path.exists():
        aside = path.with_suffix(".tmp")
        with aside.open("wb") as kept:
            kept.writelines(line for line, row in _whole_lines(path) if row["step"] <= from_step)
        aside.replace(path)
    return path.open("a", encoding="utf-8", buffering=1)


def _board(folder: Path, from_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # an extra of ours, and optional
        return None
    return SummaryWriter(str(folder), purge_step=from_step + 1)
