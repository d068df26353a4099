"""Token sequences to tensors: length-grouped micro-batches, padding, packing, and the order of an epoch.

An optimisation step works on one *global* batch, the same on every process. It is cut into micro-batches
whose number is a multiple of the processes, so that collective calls stay in step; loss divisors are taken
over the global batch (see losses.py), so that how it was cut never shows in the gradient.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
import torch
from torch import Tensor

if TYPE_CHECKING:
    from proctor.sft.model import Policy

# What one more forward and backward costs beside its positions, as a number of positions: on the demo model on
# CPU about 5 ms of Python and dispatch. Positions of a larger model cost more, so it is no more there.
_GROUP_COST = 100
_BLOCK_COST = 10  # what one more block of a packed row costs: only attention is called again

Array = numpy.ndarray[Any, Any]

IGNORED = -100  # the target of a position that nothing is learned at; the field's convention


@dataclass(frozen=True, slots=True)
class Example:
    """One token sequence, and what is learned of it."""

    token_ids: Sequence[int]
    trained: Sequence[int]  # as long as token_ids: true (or 1) where the token is a target
    weights: Sequence[float] | None = None  # as long as token_ids: weight of the token's loss; None: all 1

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def num_trained(self) -> int:
        """Tokens that are targets; the first token of a sequence never is: nothing stands before it."""
        return sum(self.trained[1:])

    @property
    def target_weights(self) -> list[float]:
        """The weight of each of them."""
        if self.weights is None:
            return [1.0] * self.num_trained
        pairs = zip(self.weights[1:], self.trained[1:], strict=True)
        return [weight for weight, trained in pairs if trained]


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """One micro-batch. Position t holds the input token t and, as its target, the token at t + 1.

    The last token of a sequence is a target only: nothing is learned from what would follow it, so no position
    is spent on it.
    """

    input_ids: Tensor  # (B, T)
    position_ids: Tensor  # (B, T) counted from each sequence's first token, on over padding to its right
    targets: Tensor  # (B, T) the next token, IGNORED where it is not trained
    sequence_ids: Tensor  # (B, T) which example a position belongs to, in the order given; -1 = padding
    weights: Tensor | None = None  # (B, T) weight of the target at each position; None: all 1
    blocks: tuple[tuple[int, int], ...] = ()  # of a packed row: (sequences, width) of each, see attention.py

    @property
    def target_mask(self) -> Tensor:
        """(B, T) bool: positions with a target. Selecting with it gives the N rows of the head, in order."""
        return self.targets != IGNORED

    def rows(self, policy: Policy) -> tuple[Tensor, Tensor]:
        """The hidden states (N, H) before the targets, and the targets (N,), in order of `target_mask`."""
        targets = self.targets.flatten()
        places = (targets != IGNORED).nonzero()[:, 0]
        return policy.hidden(self, places), targets.index_select(0, places)

    @property
    def num_tokens(self) -> int:
        """Positions that are not padding."""
        return int((self.sequence_ids >= 0).sum())

    @property
    def padding_share(self) -> float:
        """Share of positions that are padding, 0 to 1."""
        return 1 - self.num_tokens / self.input_ids.numel()

    def to(self, device: torch.device | str) -> TokenBatch:
        moved = {
            name: value.to(device, non_blocking=True)
            for name in self.__slots__
            if isinstance(value := getattr(self, name), Tensor)
        }
        return replace(self, **moved)


def pad_examples(examples: Sequence[Example], *, pad_id: int) -> TokenBatch:
    """One row each, padded on the right to the longest. Raises ValueError for no examples.

    Padding on the right needs no mask: no real token looks ahead, and what padding computes is not used. That
    leaves attention its plain causal path (on CPU 10% of a small model's step).
    """
    return _padded(_rows_of(examples), pad_id)


def pack_examples(examples: Sequence[Example], *, pad_id: int = 0) -> TokenBatch:
    """All examples in one row (1, T), longest first, kept apart by position ids that start again at 0.

    The row is a line of blocks of sequences about as long as each other, padded to one width on the right where
    that is cheaper than another block. There is no mask, on purpose: attention goes block by block, or
    transformers builds a block-diagonal mask (or calls a variable-length kernel) from the position ids.
    """
    rows = _rows_of(examples)
    lengths = [len(row.input_ids) for row in rows]
    groups = micro_batches(lengths, token_budget=sum(lengths), group_cost=_BLOCK_COST)
    blocks = [_padded([rows[index] for index in group], pad_id) for group in groups]

    def joined(name: str) -> Tensor:
        return torch.cat([getattr(block, name).flatten() for block in blocks])[None]

    return TokenBatch(
        joined("input_ids"),
        joined("position_ids"),
        joined("targets"),
        joined("sequence_ids"),
        None if blocks[0].weights is None else joined("weights"),
        tuple((len(block.input_ids), block.input_ids.shape[1]) for block in blocks),
    )


def micro_batches(
    lengths: Sequence[int], *, token_budget: int, multiple_of: int = 1, group_cost: int = _GROUP_COST
) -> list[list[int]]:
    """Indices grouped by length: each group's rows * longest stays within the budget, longest groups first.

    Of all ways to cut the sorted lengths it takes the one with the fewest positions, a group counted as
    `group_cost` more: filling each group to the budget would pad short rows to long ones. A sequence longer
    than the budget gets a group of its own. The number of groups is raised to a multiple of `multiple_of`
    (the processes) by halving the largest; where the sequences do not suffice for that, the shortest are
    joined, over the budget. Raises ValueError for fewer sequences than processes.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    ends = _piece_ends([lengths[index] for index in order], token_budget)
    best, previous = [0.0], [0]  # cheapest way to cut the first pieces, and where its last group begins
    for last, end in enumerate(ends):
        choices = []
        for first in range(last, -1, -1):
            start = ends[first - 1] if first else 0
            positions = (end - start) * lengths[order[start]]
            if positions > token_budget and choices:
                break
            choices.append((best[first] + positions + group_cost, first))
        cost, first = min(choices)
        best.append(cost)
        previous.append(first)
    groups = []
    last = len(ends)
    while last:
        first = previous[last]
        groups.append(order[ends[first - 1] if first else 0 : ends[last - 1]])
        last = first
    return _to_multiple(groups[::-1], lengths, multiple_of)


def _piece_ends(descending: Sequence[int], token_budget: int) -> list[int]:
    """Where sorted lengths may be cut: at a change of length, and where equal ones fill the budget."""
    ends, start = [], 0
    for place in range(1, len(descending) + 1):
        is_full = (place - start + 1) * descending[start] > token_budget
        if place == len(descending) or is_full or descending[place] != descending[start]:
            ends.append(place)
            start = place
    return ends


def packed_bins(lengths: Sequence[int], *, capacity: int, multiple_of: int = 1) -> list[list[int]]:
    """Indices per packed row of at most `capacity` tokens, by best fit, longest first.

    A sequence longer than the capacity gets a row of its own. `multiple_of` as in `micro_batches`.
    """
    bins: list[list[int]] = []
    space: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        fitting = [place for place, left in enumerate(space) if left >= lengths[index]]
        if fitting:
            best = min(fitting, key=space.__getitem__)
            bins[best].append(index)
            space[best] -= lengths[index]
        else:
            bins.append([index])
            space.append(capacity - lengths[index])
    return _to_multiple(bins, lengths, multiple_of)


def global_batches(
    num_examples: int, batch_size: int, *, seed: int, epoch: int, at_least: int = 1
) -> list[list[int]]:
    """The steps of one epoch: example indices, shuffled by (seed, epoch), the same on every process.

    The last batch may be smaller; below `at_least` (the processes) it is joined to the one before.
    """
    order = list(range(num_examples))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    steps = [order[start : start + batch_size] for start in range(0, num_examples, batch_size)]
    if len(steps) > 1 and len(steps[-1]) < at_least:
        steps[-2:] = [steps[-2] + steps[-1]]
    return steps


def _to_multiple(groups: list[list[int]], lengths: Sequence[int], multiple_of: int) -> list[list[int]]:
    """Halves the largest groups up to the next multiple, or joins the shortest down to the last one."""
    if len(lengths) < multiple_of:
        raise ValueError(f"{len(lengths)} sequences cannot be shared out to {multiple_of} processes")
    groups = list(groups)
    above = -(-len(groups) // multiple_of) * multiple_of
    while len(groups) < above <= len(lengths):
        largest = max(range(len(groups)), key=lambda place: len(groups[place]))
        half = len(groups[largest]) // 2
        groups[largest : largest + 1] = [groups[largest][:half], groups[largest][half:]]
    while len(groups) % multiple_of:
        groups.sort(key=lambda group: -sum(lengths[index] for index in group))
        groups[-2:] = [groups[-2] + groups[-1]]
    return groups


class _Row(NamedTuple):
    """What one example puts at its positions."""

    input_ids: Array
    targets: Array
    weights: Array | None  # None: no example of the batch has weights
    index: int  # of the example


def _rows_of(examples: Sequence[Example]) -> list[_Row]:
    is_weighted = any(example.weights is not None for example in examples)
    rows = []
    for index, example in enumerate(examples):
        size = len(example)
        if not size == len(example.trained) == len(example.weights or example.trained):
            raise ValueError(f"example {index}: token_ids, trained and weights differ in length")
        token_ids = numpy.fromiter(example.token_ids, numpy.int64, size)
        if size == 1:  # nothing stands after it; the position is kept, so that no sequence is empty
            rows.append(
                _Row(token_ids, numpy.array([IGNORED]), numpy.zeros(1) if is_weighted else None, index)
            )
            continue
        trained = numpy.fromiter(example.trained, bool, size)
        weights = None
        if is_weighted:
            weights = numpy.fromiter(example.weights or repeat(1.0), numpy.float32, size)[1:]
        rows.append(_Row(token_ids[:-1], numpy.where(trained, token_ids, IGNORED)[1:], weights, index))
    return rows


def _padded(rows: Sequence[_Row], pad_id: int) -> TokenBatch:
    shape = len(rows), max(len(row.input_ids) for row in rows)
    input_ids, targets = numpy.full(shape, pad_id), numpy.full(shape, IGNORED)
    sequence_ids = numpy.full(shape, -1)
    weights = None if rows[0].weights is None else numpy.zeros(shape, numpy.float32)
    for place, row in enumerate(rows):
        size = len(row.input_ids)
        input_ids[place, :size] = row.input_ids
        targets[place, :size] = row.targets
        sequence_ids[place, :size] = row.index
        if weights is not None:
            weights[place, :size] = row.weights
    return TokenBatch(
        torch.from_numpy(input_ids),
        torch.arange(shape[1]).repeat(len(rows), 1),
        torch.from_numpy(targets),
        torch.from_numpy(sequence_ids),
        None if weights is None else torch.from_numpy(weights),
    )
