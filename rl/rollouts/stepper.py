"""One way to step a batch of rows, over the lean decoder or over any transformers causal model."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from proctor.rl.rollouts.decoder import Cache, Decoder


class Stepper(Protocol):
    """A batch being decoded: prompts in, logits of the next token out, rows dropped or split on the way."""

    def start(self, token_ids: Tensor, mask: Tensor, *, capacity_for: int) -> Tensor: ...

    def step(self, token_ids: Tensor) -> Tensor: ...

    def keep(self, rows: Tensor) -> None: ...


class DecoderStepper:
    """Over the lean decoder."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._cache: Cache | None = None

    def start(self, token_ids: Tensor, mask: Tensor, *, capacity_for: int) -> Tensor:
        """Prefills left-padded prompts (B, P) with room for `capacity_for` tokens more; logits (B, V)."""
        capacity = token_ids.shape[1] + capacity_for
        logits, self._cache = self._decoder.prefill(token_ids, mask, capacity=capacity)
        return logits

    def step(self, token_ids: Tensor) -> Tensor:
        """Feeds one token a row, (R,); logits (R, V)."""
        assert self._cache is not None
        return self._decoder.step(token_ids, self._cache)

    def keep(self, rows: Tensor) -> None:
        """Goes on with these rows alone, in this order; a row named twice is copied."""
        assert self._cache is not None
        self._cache = self._cache.select(rows)


class ModelStepper:
    """Over a transformers model's own forward and cache, for the architectures the decoder does not know."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._cache = None
        self._mask = torch.empty(0)

    @torch.no_grad()
    def start(self, token_ids: Tensor, mask: Tensor, *, capacity_for: int) -> Tensor:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        return self._forward(token_ids, mask, positions)

    @torch.no_grad()
    def step(self, token_ids: Tensor) -> Tensor:
        positions = self._mask.sum(-1, keepdim=True)
        mask = torch.cat([self._mask, torch.ones_like(positions)], dim=-1)
        return self._forward(token_ids.unsqueeze(-1), mask, positions)

    def keep(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]

    def _forward(self, token_ids: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        self._mask = mask
        out = self._model(
            input_ids=token_ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache = out.past_key_values
        return out.logits[:, -1]
