"""Numbers of a run to JSONL, and to TensorBoard and Weights & Biases where wanted and installed."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from proctor.sft.config import make_output
from proctor.sft.experiments import open_wandb
from proctor.sft.settings import RunSettings

Metrics = Mapping[str, float | int | str | None]


class MetricsLog:
    """Appends to `metrics.jsonl` in a run's folder. A resumed run first drops what lies after its step."""

    def __init__(
        self, folder: Path, *, resume_step: int = 0, tensorboard: bool = False, wandb_project: str = ""
    ) -> None:
        make_output(folder)
        self._wandb: Any = open_wandb(wandb_project, folder) if wandb_project else None
        self.path = folder / "metrics.jsonl"
        _drop_after(self.path, resume_step)
        self._file = self.path.open("a", encoding="utf-8")
        self._board: Any = None
        if tensorboard and importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=resume_step + 1)

    def write(self, step: int, metrics: Metrics, *, kind: str = "train") -> None:
        """One line: {"step", "kind", ...}. Numbers go to the other writers as `kind/name`."""
        line = {"step": step, "kind": kind, **metrics}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        numbers = {
            f"{kind}/{name}": value for name, value in metrics.items() if isinstance(value, (int, float))
        }
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(numbers, step=step)

    def close(self) -> None:
        """Closes all writers."""
        self._file.close()
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


def open_log(run: RunSettings, start: int) -> closing[MetricsLog]:
    """The log of a run that goes on after step `start`, to be closed by leaving it. From 0 it is empty."""
    return closing(
        MetricsLog(run.output, resume_step=start or -1, tensorboard=run.tensorboard, wandb_project=run.wandb)
    )


def _drop_after(path: Path, step: int) -> None:
    """Keeps the lines of steps up to `step`: those after it will be written again."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    aside = path.with_suffix(".tmp")  # a crash while writing must not cost the run's past
    aside.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    aside.replace(path)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except json.JSONDecodeError:  # the line that was being written when the machine or the process died
        return math.inf
