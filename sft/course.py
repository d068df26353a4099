"""The course of a run: what each step learns from, and at what rate. A function of the step alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, TypeVar

from proctor.sft.batch import global_batches
from proctor.sft.optimizer import learning_rate
from proctor.sft.settings import OptimizerSettings, RunSettings

Example = TypeVar("Example")


class Course(Generic[Example]):
    """The steps of a run over its examples. Being a function of the step, it is all there is to resume."""

    def __init__(
        self,
        examples: Sequence[Example],
        run: RunSettings,
        optimizer: OptimizerSettings,
        *,
        batch_size: int,
        num_processes: int = 1,
    ) -> None:
        self.examples = examples
        self._batch_size, self._seed = batch_size, run.seed
        self._num_processes, self._optimizer = num_processes, optimizer
        self._epochs: dict[int, list[list[int]]] = {}
        self.steps_per_epoch = len(self._epoch(0))
        self.num_steps = run.max_steps or math.ceil(run.epochs * self.steps_per_epoch)

    def batch(self, step: int) -> list[Example]:
        """The global batch of a step, the same on every process."""
        indices = self._epoch(step // self.steps_per_epoch)[step % self.steps_per_epoch]
        return [self.examples[index] for index in indices]

    def learning_rate(self, step: int) -> float:
        """The rate of a step."""
        return learning_rate(step, self.num_steps, self._optimizer)

    def epoch_at(self, step: int) -> float:
        """Passes over the data after `step` steps."""
        return step / self.steps_per_epoch

    def _epoch(self, epoch: int) -> list[list[int]]:
        if epoch not in self._epochs:
            order = global_batches(
                len(self.examples),
                self._batch_size,
                seed=self._seed,
                epoch=epoch,
                at_least=self._num_processes,
            )
            self._epochs = {epoch: order}
        return self._epochs[epoch]
