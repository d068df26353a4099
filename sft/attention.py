"""Attention over a packed row, block by block, for models that run on PyTorch's own attention (sdpa).

transformers builds a mask over the whole row for sdpa and computes what the mask then throws away. A packed row
here is a line of blocks, each of some sequences of one width, so each block is an ordinary causal batch: no mask,
nothing computed across sequences. Layers with a window of their own keep transformers' mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

BLOCK_ATTENTION = "proctor_blocks"

Blocks = Sequence[tuple[int, int]]
"""(sequences, width) of each block of a packed row, in order; they cover the row."""


def attend_in_blocks(model: Any) -> bool:
    """Switches a transformers model from sdpa to attention by blocks; whether it could.

    It is tried on three short sequences first: a model that does not hand the blocks down to its attention, or
    that mixes positions elsewhere, differs, and keeps what it had.
    """
    if model.config._attn_implementation != "sdpa":
        return False
    device = model.get_input_embeddings().weight.device
    ids = torch.arange(11, device=device)[None] % model.get_input_embeddings().num_embeddings
    sequences = (slice(0, 3), slice(3, 6), slice(6, 11))
    positions = torch.cat([torch.arange(part.stop - part.start, device=device) for part in sequences])[None]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        apart = [model.base_model(ids[:, part], use_cache=False).last_hidden_state for part in sequences]
        model.set_attn_implementation(BLOCK_ATTENTION)
        try:
            options = {"position_ids": positions, "blocks": ((2, 3), (1, 5)), "use_cache": False}
            packed = model.base_model(ids, **options).last_hidden_state
            close = 1e-4 if packed.dtype in (torch.float32, torch.float64) else 3e-2
            holds = torch.allclose(packed, torch.cat(apart, 1), rtol=close, atol=close)
        except TypeError:  # a forward that takes no further arguments
            holds = False
    if not holds:
        model.set_attn_implementation("sdpa")
    model.train(was_training)
    return holds


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    blocks: Blocks | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """query (1, heads, T, D), key and value likewise; gives (1, T, heads, D)."""
    if blocks is None or attention_mask is not None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    lengths = [count * width for count, width in blocks]
    split = [each[0].split(lengths, 1) for each in (query, key, value)]
    outputs = []
    for (count, width), *parts in zip(blocks, *split, strict=True):
        cut = [part.unflatten(1, (count, width)).transpose(0, 1) for part in parts]
        outputs.append(sdpa_attention_forward(module, *cut, None, **options)[0].flatten(0, 1))
    return torch.cat(outputs)[None], None


def _mask(*sizes: Any, attention_mask: Tensor | None = None, **options: Any) -> Tensor | None:
    """No mask where only the borders of sequences would be in it; the blocks say those."""
    is_special = options.get("local_size") is not None or options.get("use_vmap")
    starts_anew = options.get("q_length") == options.get("kv_length")
    if attention_mask is None and starts_anew and not is_special:
        return None
    return sdpa_mask(*sizes, attention_mask=attention_mask, **options)


AttentionInterface.register(BLOCK_ATTENTION, _attention)
AttentionMaskInterface.register(BLOCK_ATTENTION, _mask)
