"""Sums and means over masked (B, T) tensors, and the one place where a loss gets its divisor.

A mask is 1 where a token was sampled by the model and may be trained, 0 elsewhere (prompt, padding, tools).
The loop has rows of sampled tokens alone; `sampled_mask` and `token_weights` are for padded batches of yours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

AGGREGATIONS = ("token", "sequence", "constant", "sequence_sum", "token_sum")

_QUANTILE_TAKES = 2**24  # numbers, torch.quantile at most; a large step has more tokens


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the masked entries; 0 where the mask is empty."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def masked_mean_rows(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of each row over its masked entries, (B,); 0 for an empty row."""
    return (values * mask).sum(-1) / mask.sum(-1).clamp(min=1)


def masked_var(values: Tensor, mask: Tensor, *, unbiased: bool = True) -> Tensor:
    """Variance over the masked entries; divides by n - 1 if `unbiased`, else by n. 0 below two entries."""
    count = mask.sum()
    variance = masked_mean((values - masked_mean(values, mask)) ** 2, mask)
    return variance * count / (count - 1).clamp(min=1) if unbiased else variance


def whiten(
    values: Tensor, mask: Tensor, *, keep_mean: bool = False, unbiased: bool = True, eps: float = 1e-8
) -> Tensor:
    """(x - mean) / sqrt(var + eps) over the masked entries; `keep_mean` adds the mean back.

    The variance divides by n - 1 as in TRL and verl; OpenRLHF's by n: `unbiased=False`.
    """
    mean = masked_mean(values, mask)
    whitened = (values - mean) * torch.rsqrt(masked_var(values, mask, unbiased=unbiased) + eps)
    return whitened + mean if keep_mean else whitened


def sequence_weights(
    lengths: Tensor, how: str, *, constant: float | None = None, count_empty: bool = False, eps: float = 0.0
) -> Tensor:
    """The weight that each token of a sequence has in the loss, (S,) from the sequences' token counts.

    The loss of an optimiser step is the sum over its tokens of weight * token_loss. Weights are computed once
    from *all* sequences of the step, so micro-batches and data-parallel ranks only add up and no divisor can
    be wrong. With L_i tokens in sequence i, N = sum L_i and S sequences:

    | how            | weight of a token | used by |
    |----------------|-------------------|---------|
    | `token`        | 1 / N             | DAPO, CISPO |
    | `sequence`     | 1 / (S L_i)       | GRPO, GSPO |
    | `constant`     | 1 / (S constant)  | Dr. GRPO: constant = the generation limit in tokens |
    | `sequence_sum` | 1 / S             | RLOO, LUSPO |
    | `token_sum`    | 1                 | sums |

    S counts sequences that have a token; `count_empty` counts the others too, as TRL does.

    Args:
        lengths: (S,) trained tokens of each sequence.
        constant: tokens; required by `constant`.
        eps: added to L_i in `sequence`; verl and OpenRLHF have 1e-8, which nothing needs.
    Raises:
        ValueError: unknown `how`, or `constant` is missing.
    Source: DAPO arXiv:2503.14476 eq. 8; GRPO arXiv:2402.03300 eq. 3; Dr. GRPO arXiv:2503.20783.
    """
    lengths = lengths.to(torch.float64)
    sequences = max(float(len(lengths) if count_empty else (lengths > 0).sum()), 1.0)
    ones = torch.ones_like(lengths)
    if how == "token":
        return ones / lengths.sum().clamp(min=1)
    if how == "sequence":
        return ones / ((lengths.clamp(min=1) + eps) * sequences)
    if how == "sequence_sum":
        return ones / sequences
    if how == "token_sum":
        return ones
    if how == "constant":
        if constant is None:
            raise ValueError("aggregation 'constant' needs the constant: the generation limit in tokens")
        return ones / (sequences * constant)
    raise ValueError(f"unknown aggregation '{how}'; known: {', '.join(AGGREGATIONS)}")


def token_weights(
    mask: Tensor, how: str, *, constant: float | None = None, count_empty: bool = False, eps: float = 0.0
) -> Tensor:
    """`sequence_weights` on every token of a (B, T) mask that is a whole step; 0 where the mask is."""
    weights = sequence_weights(mask.sum(-1), how, constant=constant, count_empty=count_empty, eps=eps)
    return mask.to(torch.float64) * weights.unsqueeze(-1)


def sampled_mask(token_ids: Tensor, end_ids: list[int]) -> Tensor:
    """1 up to and including the first end token of each row, (B, T) from (B, T)."""
    is_end = torch.isin(token_ids, torch.tensor(end_ids, device=token_ids.device))
    ends_before = is_end.long().cumsum(-1) - is_end.long()
    return (ends_before == 0).long()


def high_entropy_mask(entropy: Tensor, mask: Tensor, *, quantile: float) -> Tensor:
    """True on masked tokens whose entropy is at or above the quantile of all masked tokens.

    quantile=0.8 keeps the 20% of tokens where the model decides. Source: arXiv:2506.01939.
    """
    chosen = entropy[mask.bool()].float()
    if chosen.numel() == 0:
        return torch.zeros_like(mask, dtype=torch.bool)
    if chosen.numel() <= _QUANTILE_TAKES:
        return (entropy >= torch.quantile(chosen, quantile)) & mask.bool()
    rank = math.ceil(quantile * (chosen.numel() - 1))
    return (entropy >= chosen.kthvalue(rank + 1).values) & mask.bool()
