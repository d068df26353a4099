"""What the update trains on: rows of sampled tokens, and how they are cut into micro-batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from proctor.rl.group_batch import SHARE_ABOVE, GroupBatch, group_batch
from proctor.sft.batch import micro_batches


@dataclass(frozen=True, slots=True)
class Row:
    """One completion in the loss. Every tensor is (L,), one number per sampled token, float32 on the CPU."""

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    advantages: Tensor
    sampler_logp: Tensor  # under the sampler, as it drew them
    old_logp: Tensor | None = None  # under the policy before this batch's updates; None: on-policy
    ref_logp: Tensor | None = None  # under the frozen reference, where a KL is wanted
    values: Tensor | None = None  # of the critic before the update
    returns: Tensor | None = None  # what the critic is to learn

    def __len__(self) -> int:
        """Sampled tokens."""
        return len(self.token_ids)

    @property
    def num_tokens(self) -> int:
        """Prompt and completion."""
        return len(self.prompt_ids) + len(self.token_ids)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows of one forward, as tensors; flat ones are (N,) in the order of the batch's targets."""

    batch: GroupBatch
    rows: tuple[int, ...]  # which rows of the step

    @property
    def mask(self) -> Tensor:
        """(R, C) bool: sampled tokens."""
        return self.batch.mask

    def flat(self, values: Sequence[Tensor]) -> Tensor:
        """(N,) from one (L,) tensor per row of the step."""
        return torch.cat([values[row] for row in self.rows]).to(self.batch.owner.device)

    def padded(self, flat: Tensor) -> Tensor:
        """(R, C) from (N,), 0 outside the mask; carries gradient."""
        dense = flat.new_zeros(self.mask.shape)
        return dense.masked_scatter(self.mask, flat)


def cut(
    rows: Sequence[Row], *, token_budget: int, pad_id: int, device: torch.device, multiple_of: int = 1
) -> list[MicroBatch]:
    """Micro-batches of at most `token_budget` padded tokens, like lengths together.

    Equal rows stay together, so that they are run once; where prompts are long next to their completions, all
    of a prompt's completions do, so that its forward is shared. Raises ValueError for fewer rows than
    `multiple_of` (the processes).
    """
    shared = _units(rows)
    if len(shared) < multiple_of:  # too few to share out whole
        shared = [[index] for index in range(len(rows))]
    lengths = [_padded_tokens(rows, unit) for unit in shared]
    cuts = micro_batches(lengths, token_budget=token_budget, multiple_of=multiple_of)
    made = []
    for units in cuts:
        chosen = tuple(row for unit in units for row in shared[unit])
        batch = group_batch(
            [rows[row].prompt_ids for row in chosen], [rows[row].token_ids for row in chosen], pad_id=pad_id
        )
        made.append(MicroBatch(batch.to(device), chosen))
    return made


def _units(rows: Sequence[Row]) -> list[list[int]]:
    """What must stay together: equal rows, or all the rows of a prompt where sharing it pays."""
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    by_pair: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for index, row in enumerate(rows):
        by_prompt.setdefault(row.prompt_ids, []).append(index)
        by_pair.setdefault((row.prompt_ids, row.token_ids), []).append(index)
    prompt_tokens = sum(len(prompt) for prompt, _ in by_pair)
    repeated = prompt_tokens - sum(map(len, by_prompt))
    shares = repeated > SHARE_ABOVE * sum(len(tokens) for _, tokens in by_pair)
    return list((by_prompt if shares else by_pair).values())


def _padded_tokens(rows: Sequence[Row], unit: Sequence[int]) -> int:
    distinct = {rows[index].token_ids for index in unit}
    return len(rows[unit[0]].prompt_ids) + max(map(len, distinct)) * len(distinct)


def with_tensors(rows: Sequence[Row], name: str, values: Sequence[Tensor]) -> list[Row]:
    """The rows with one of their tensors set."""
    return [replace(row, **{name: value}) for row, value in zip(rows, values, strict=True)]
