"""Atomic checkpoint folders: written aside, synced, renamed; the newest few and the best are kept.

A folder `step-000120` is whole or not there: a crash while writing leaves only a `.writing-*` folder, which
the next save removes. What is in it is the caller's (`write`); this file knows names, order and durability.
Under several processes each calls `save`, and only the first one creates, renames and removes.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch

_META = "checkpoint.json"
_WRITING = ".writing-"
_RECORDS = (
    "metrics.jsonl",
    "completions.jsonl",
    "incident-*.json",
    "tensorboard",
)  # of a run, beside its root
_PREFIX = "step-"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One complete checkpoint on disk."""

    path: Path
    step: int  # optimisation steps done when it was written
    metric: float | None  # what `best` is chosen by; None where it was not measured
    state: Mapping[str, Any]  # the caller's JSON: data position, counters


class CheckpointFolder:
    """The checkpoints of one run under `root`.

    keep: how many of the newest stay; the best by `metric` stays besides, whatever its age.
    `higher_is_better` says which way the metric points. `is_main` and `wait` are for several processes: who
    touches the names, and the barrier between them.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        keep: int = 2,
        higher_is_better: bool = False,
        is_main: bool = True,
        wait: Callable[[], None] = lambda: None,
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        self.root = Path(root)
        self.keep = keep
        self.sign = 1 if higher_is_better else -1
        self.is_main, self.wait = is_main, wait

    def save(
        self,
        step: int,
        write: Callable[[Path], None],
        *,
        metric: float | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """Calls `write` with a fresh folder on every process, then makes it the checkpoint of `step`.

        A checkpoint of the same step is replaced. An exception in `write` leaves the earlier ones untouched.
        """
        final = self.root / f"{_PREFIX}{step:06d}"
        aside = self.root / f"{_WRITING}{final.name}"
        if self.is_main:
            self._clear_unfinished()
            aside.mkdir(parents=True)
        self.wait()
        write(aside)
        self.wait()
        checkpoint = Checkpoint(final, step, metric, dict(state or {}))
        if self.is_main:
            meta = {"step": step, "metric": metric, "state": checkpoint.state}
            (aside / _META).write_text(json.dumps(meta), encoding="utf-8")
            _sync_tree(aside)
            _replace(aside, final)
            self._remove_old()
        self.wait()
        return checkpoint

    def all(self) -> list[Checkpoint]:
        """Complete checkpoints, oldest first."""
        found = [_read(path) for path in self.root.glob(f"{_PREFIX}*") if (path / _META).is_file()]
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    def latest(self) -> Checkpoint | None:
        """The one to resume from; None where there is none."""
        return max(self.all(), key=lambda checkpoint: checkpoint.step, default=None)

    def best(self) -> Checkpoint | None:
        """The best by metric, the newest of equals; None where no checkpoint has a metric.

        NaN, an evaluation without a verdict for one, measures nothing: no number is greater.
        """
        measured = [
            (self.sign * checkpoint.metric, checkpoint.step, checkpoint)
            for checkpoint in self.all()
            if checkpoint.metric is not None and not math.isnan(checkpoint.metric)
        ]
        return max(measured, key=lambda each: each[:2])[-1] if measured else None

    def set_aside(self) -> None:
        """Makes room for a run that begins anew: what an earlier one left is kept, in `earlier-1` beside the root.

        Among the new ones its checkpoints would be taken for the newest, gone back to, and outlive them; its
        records would be cut, and its incidents taken for the new run's.
        """
        output = self.root.parent
        found = [self.root] if self.all() else []
        found += [path for pattern in _RECORDS for path in output.glob(pattern)]
        if self.is_main and found:
            names = (output / f"earlier-{number}" for number in count(1))
            earlier = next(name for name in names if not name.exists())
            earlier.mkdir()
            for path in found:
                path.rename(earlier / path.name)
        self.wait()

    def _remove_old(self) -> None:
        checkpoints, best = self.all(), self.best()
        for checkpoint in checkpoints[: -self.keep]:
            if best is None or checkpoint.path != best.path:
                shutil.rmtree(checkpoint.path)

    def _clear_unfinished(self) -> None:
        for path in self.root.glob(f"{_WRITING}*"):
            shutil.rmtree(path)


@contextmanager
def replacing(folder: Path, *, is_main: bool = True) -> Iterator[Path]:
    """A folder to write, which then takes the place of `folder`: never half of it, and no file of what was there.

    Under several processes all of them may write, and the first one makes the change.
    """
    aside = folder.with_name(f"{_WRITING}{folder.name}")
    if is_main:
        shutil.rmtree(aside, ignore_errors=True)  # of a crash
    yield aside
    if is_main:
        _sync_tree(aside)
        _replace(aside, folder)


def random_states() -> dict[str, Any]:
    """The states of all random number generators of this process, for `torch.save`."""
    states: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Puts back what `random_states` took."""
    random.setstate(states["python"])
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


def _read(path: Path) -> Checkpoint:
    meta = json.loads((path / _META).read_text(encoding="utf-8"))
    return Checkpoint(path, meta["step"], meta["metric"], meta["state"])


def _replace(aside: Path, final: Path) -> None:
    """Renames; a folder cannot replace another, so one of the same name is moved away first."""
    if final.exists():
        old = final.with_name(f"{_WRITING}old-{final.name}")
        shutil.rmtree(old, ignore_errors=True)  # of a crash while it was being removed
        final.rename(old)
        aside.rename(final)
        shutil.rmtree(old)
    else:
        aside.rename(final)
    _sync(final.parent)


def _sync_tree(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
