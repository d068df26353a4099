"""The SFT losses. Each is -sum_n c_n log p_n / D over the target tokens n of one *global* batch.

A loss says its coefficients c and its share of the divisor D for any part of a batch; D is the sum of the
shares over all micro-batches of all processes, known from the data before anything runs. So gradient
accumulation and data parallelism change nothing, and the loss can be fused into the chunked head.

Below, w_n is the weight of token n (1 where the data gives none), s(n) its sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from proctor.sft.batch import Example, TokenBatch
from proctor.sft.head import TokenLoss
from proctor.verifiers.spelling import did_you_mean


class Terms(NamedTuple):
    """What a loss makes of a set of target tokens."""

    coefficients: Tensor  # (N,) c_n
    share: float  # what these tokens add to D


Loss = Callable[[Tensor, Tensor], Terms]
"""(weights (N,), sequence of each token (N,)) -> Terms. Tokens of one sequence must come in one call."""

_LOSSES: dict[str, Loss] = {}


def register(loss: Loss) -> Loss:
    """Decorator: makes a loss known under its function's name."""
    _LOSSES[loss.__name__] = loss
    return loss


def find_loss(name: str) -> Loss:
    """The loss of that name. Raises KeyError with the nearest known name."""
    if name in _LOSSES:
        return _LOSSES[name]
    raise KeyError(f"unknown loss '{name}'{did_you_mean(name, _LOSSES)}; known are {', '.join(_LOSSES)}")


@register
def ce(weights: Tensor, sequences: Tensor) -> Terms:
    """Token mean: L = -(1/N) sum_n log p_n, N the target tokens of the global batch. Weights are not used.

    transformers' ForCausalLMLoss with num_items_in_batch = N.
    """
    return Terms(torch.ones_like(weights), float(weights.numel()))


@register
def weighted_ce(weights: Tensor, sequences: Tensor) -> Terms:
    """Weighted token mean: L = -sum_n w_n log p_n / sum_n w_n. With all weights equal it is ce."""
    return Terms(weights, float(weights.sum()))


@register
def length_normalized(weights: Tensor, sequences: Tensor) -> Terms:
    """Mean per sequence first: L = -(1/S) sum_s (sum_{n in s} w_n log p_n / sum_{n in s} w_n).

    S counts the sequences that have a target. Long answers weigh no more than short ones (OpenRLHF's
    SFTLoss with token_level_loss=False).
    """
    totals = _sums(weights, sequences)
    coefficients = weights / totals[sequences]
    return Terms(torch.where(totals[sequences] > 0, coefficients, 0.0), float((totals > 0).sum()))


@register
def sequence(weights: Tensor, sequences: Tensor) -> Terms:
    """Sum of log-probs per sequence: L = -(1/S) sum_s sum_{n in s} w_n log p_n, the likelihood of answers.

    S counts the sequences that have a target; verl's aggregation "seq-mean-token-sum".
    """
    present = _sums(torch.ones_like(weights), sequences) > 0
    return Terms(weights, float(present.sum()))


def divisor(loss: Loss, examples: Sequence[Example]) -> float:
    """D of a global batch. Raises ValueError where it is zero: nothing could be learned."""
    weights = [example.target_weights for example in examples]
    sequences = torch.arange(len(examples)).repeat_interleave(torch.tensor([len(each) for each in weights]))
    total = loss(torch.tensor([*chain.from_iterable(weights)], dtype=torch.float64), sequences).share
    if total <= 0:
        raise ValueError(f"a global batch of {len(examples)} sequences has no target tokens with weight")
    return total


def token_loss(loss: Loss, batch: TokenBatch, divisor: float) -> TokenLoss:
    """The loss of one micro-batch for the fused head; losses of all micro-batches add up to L."""
    mask = batch.target_mask
    weights = torch.ones_like(batch.targets[mask], dtype=torch.float64)
    if batch.weights is not None:
        weights = batch.weights[mask].double()
    coefficients = loss(weights, batch.sequence_ids[mask]).coefficients / divisor
    return lambda logp, _entropy, rows: -coefficients[rows].to(logp.dtype) * logp


def _sums(values: Tensor, groups: Tensor) -> Tensor:
    """Sum of the values of each group (G,), G one more than the largest group."""
    size = int(groups.max()) + 1 if groups.numel() else 0
    return torch.zeros(size, dtype=values.dtype, device=values.device).index_add_(0, groups, values)
