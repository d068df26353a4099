"""What a training checkpoint holds: a model that transformers loads, optimiser and random states."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from proctor.sft.checkpoint import CheckpointFolder, random_states, replacing, restore_random_states
from proctor.sft.config import ConfigError
from proctor.sft.learner import Learner
from proctor.sft.model import Wrapped
from proctor.sft.parallel import Workers, Zero
from proctor.sft.settings import RunSettings


class Saver:
    """Writes and resumes the checkpoints of one run.

    data: fingerprint of the data; a run goes on only with the data it began with.
    """

    def __init__(
        self,
        run: RunSettings,
        model: Wrapped,
        workers: Workers,
        tokenizer: PreTrainedTokenizerBase,
        *,
        data: str,
    ) -> None:
        self.checkpoints = CheckpointFolder(
            run.output / "checkpoints", keep=run.keep, is_main=workers.rank == 0, wait=workers.wait
        )
        self.model, self.workers, self.tokenizer = model, workers, tokenizer
        self.resumes, self.data = run.resume, data

    def save(self, step: int, *, metric: float | None) -> Path:
        """A checkpoint after `step` steps; the best is the one with the least metric. Collective."""

        def write(folder: Path) -> None:
            self.workers.save(folder)
            torch.save(random_states(), folder / f"random-{self.workers.rank}.pt")
            write_model(folder / "model", self.model, self.workers, self.tokenizer)

        state = {"data": self.data}
        return self.checkpoints.save(step, write, metric=metric, state=state).path

    def resume(self) -> int:
        """Goes on from the newest checkpoint: the number of steps done, 0 where there is none or none is wanted.

        Raises ConfigError where the data is another, or the run does not fit what wrote the checkpoint.
        """
        if not self.resumes:
            self.checkpoints.set_aside()
        latest = self.checkpoints.latest()
        if latest is None:
            return 0
        if latest.state["data"] != self.data:
            raise ConfigError(
                f"{latest.path} was trained on other data; set run.resume = false or another run.output"
            )
        with fitting(latest.path):
            read_weights(latest.path, self.model, self.workers)
            states = torch.load(latest.path / f"random-{self.workers.rank}.pt", weights_only=False)
            restore_random_states(states)
        return latest.step


@contextmanager
def fitting(checkpoint: Path) -> Iterator[None]:
    """Around reading it: tells in a line where a run does not fit what another wrote. Raises ConfigError."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # a file that is not there, weights of other shapes
        said = str(error).strip().split("\n")[0].strip(" .:")
        raise ConfigError(
            f"{checkpoint} was written by a run of another kind ({said}); go on with its model, adapters, "
            "algorithm and number of processes, or set run.resume = false or another run.output"
        ) from error


def write_model(folder: Path, model: Wrapped, workers: Workers, tokenizer: PreTrainedTokenizerBase) -> None:
    """Weights (or adapters), config and tokenizer. Collective: ZeRO-3 gathers the weights."""
    weights = workers.weights()
    if workers.rank == 0:
        model.model.save_pretrained(folder, state_dict=dict(weights))
        tokenizer.save_pretrained(folder)
    workers.wait()


def write_result(folder: Path, model: Wrapped, workers: Workers, tokenizer: PreTrainedTokenizerBase) -> None:
    """The model that a run comes to, in place of an earlier run's. Collective.

    Adapters left beside whole weights would be loaded over them.
    """
    with replacing(folder, is_main=workers.rank == 0) as aside:
        write_model(aside, model, workers, tokenizer)


def write_merged(folder: Path, learner: Learner) -> None:
    """A copy with the adapters merged into the weights. The policy itself stays as it is."""
    merged = copy.deepcopy(learner.policy.model).merge_and_unload()
    with replacing(folder) as aside:
        merged.save_pretrained(aside)
        learner.tokenizer.save_pretrained(aside)


def read_weights(folder: Path, model: Wrapped, workers: Workers) -> None:
    """Weights and optimiser state from a checkpoint, into a model of the same shape. Collective."""
    if not isinstance(workers, Zero):  # DeepSpeed's own files hold both
        _load_weights(model, folder / "model")
    workers.load(folder)


def _load_weights(model: Wrapped, folder: Path) -> None:
    if hasattr(model.model, "peft_config"):
        from peft import LoraConfig, load_peft_weights, set_peft_model_state_dict

        scale, own = LoraConfig.from_pretrained(str(folder)).lora_alpha, model.model.peft_config["default"]
        if scale != own.lora_alpha:  # shapes fit, and the policy would be another from one step to the next
            raise ValueError(f"its adapters have lora_alpha = {scale:g}")
        set_peft_model_state_dict(model.model, load_peft_weights(str(folder), device="cpu"))
        return
    saved: Any = type(model.base).from_pretrained(folder, dtype=model.base.dtype)
    model.base.load_state_dict(saved.state_dict())
