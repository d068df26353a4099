"""Runs at Weights & Biases: one for each run of ours, which goes on when that is resumed."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from proctor.sft.config import ConfigError

ID_FILE = "wandb-id"  # in a run's folder: two folders of one name are two runs, and a resumed run is the same


def open_wandb(project: str, folder: Path) -> Any:
    """wandb's run of the run in `folder`. Raises ConfigError where wandb is not installed."""
    try:
        import wandb
    except ImportError as error:
        raise ConfigError(
            f"run.wandb = '{project}', but wandb is not installed: pip install wandb"
        ) from error
    path = folder / ID_FILE
    if not path.exists():
        path.write_text(uuid.uuid4().hex[:12], encoding="utf-8")
    identity = path.read_text(encoding="utf-8").strip()
    return wandb.init(project=project, dir=str(folder), name=folder.name, id=identity, resume="allow")
