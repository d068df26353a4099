"""One optimisation step, and one pass without gradient, over examples shared out to all processes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from proctor.sft.batch import Example, TokenBatch, micro_batches, pack_examples, packed_bins, pad_examples
from proctor.sft.config import ConfigError
from proctor.sft.losses import Loss, divisor, token_loss
from proctor.sft.optimizer import set_learning_rate
from proctor.sft.parallel import Workers


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a set of examples is cut into micro-batches."""

    token_budget: int  # positions, padding included, that one forward may hold
    packing: bool = False
    pad_id: int = 0


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did, summed over all processes."""

    loss: float
    grad_norm: float  # before clipping
    num_tokens: int  # real tokens
    num_trained: int  # targets
    num_positions: int  # tokens and padding

    @property
    def padding_share(self) -> float:
        return 1 - self.num_tokens / self.num_positions

    def require_finite(self, step: int, *, rate: float) -> None:
        """Raises ConfigError where the loss is no finite number: there is nothing left to train."""
        if not math.isfinite(self.loss):
            raise ConfigError(
                f"the loss of step {step} is {self.loss}: optimizer.learning_rate is too high for this model (it "
                f"was {rate:g} there), or a number in the data is; checkpoints from before that step are whole"
            )


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Loss on held-back examples, a mean over all their target tokens."""

    loss: float
    top1: float  # share of targets that the model thinks likeliest
    num_trained: int


def train_step(
    workers: Workers, examples: Sequence[Example], loss: Loss, cutting: Cutting, *, rate: float
) -> StepResult:
    """Forward, backward and update over one global batch, the same list on every process."""
    set_learning_rate(workers.optimizer, rate)
    total = divisor(loss, examples)
    if not workers.module.training:  # to say so to every part of the model costs a millisecond
        workers.module.train()
    batches = list(_own_batches(workers, examples, cutting))
    values = []
    for place, batch in enumerate(batches):
        moved = batch.to(workers.device)
        outputs = workers.module(moved, token_loss(loss, moved, total))
        workers.accumulate(outputs.loss, is_last=place == len(batches) - 1)
        values.append(outputs.loss.detach())  # read after the step: reading waits for an accelerator
    grad_norm = workers.step()
    counts = [(batch.num_tokens, int(batch.target_mask.sum()), batch.input_ids.numel()) for batch in batches]
    sums = [math.fsum(value.item() for value in values), *map(sum, zip(*counts, strict=True))]
    value, *counted = workers.total(sums)
    return StepResult(value, grad_norm, *(int(count) for count in counted))


@torch.no_grad()
def held_back_loss(workers: Workers, examples: Sequence[Example], cutting: Cutting) -> HeldBack:
    """Mean negative log-prob of the targets, in nats per token."""
    workers.module.eval()
    sums = [0.0, 0.0, 0.0]
    for batch in _own_batches(workers, examples, cutting):
        outputs = workers.module(batch.to(workers.device))
        found = (-outputs.logp.double().sum().item(), outputs.is_top1.sum().item(), outputs.logp.numel())
        sums = [old + new for old, new in zip(sums, found, strict=True)]
    nats, top1, count = workers.total(sums)
    if count == 0:
        raise ValueError(f"{len(examples)} held-back examples have no target tokens")
    return HeldBack(nats / count, top1 / count, int(count))


def _own_batches(workers: Workers, examples: Sequence[Example], cutting: Cutting) -> Iterator[TokenBatch]:
    """This process' share of the micro-batches; as many on every process."""
    lengths = [max(1, len(example) - 1) for example in examples]  # a last token takes no position
    if cutting.packing:
        groups = packed_bins(lengths, capacity=cutting.token_budget, multiple_of=workers.num_processes)
    else:
        groups = micro_batches(lengths, token_budget=cutting.token_budget, multiple_of=workers.num_processes)
    for group in groups[workers.rank :: workers.num_processes]:
        members = [examples[index] for index in group]
        cut = pack_examples if cutting.packing else pad_examples
        yield cut(members, pad_id=cutting.pad_id)
