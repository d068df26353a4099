"""The first layer's projections, run once for each distinct token of a batch.

What comes before the first attention (embedding, norm, queries, keys, values) looks at one token alone, so equal
tokens have equal rows there, and their gradients add up. A layer built as Llama's, Qwen2's and Mistral's are
computes those rows once and hands copies to its positions. It saves a twentieth to a tenth of a step of the
two-layer demo model, whose batches hold some twenty distinct tokens; a thousandth or two of a model of 24 layers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, eager_attention_forward

from proctor.sft.layer_forward import LLAMA_PARTS, has_parts, replace_forward

_ATTENTION_PARTS = frozenset({"q_proj", "k_proj", "v_proj", "o_proj"})


class DistinctTokens(NamedTuple):
    """Which positions of a batch hold the same token."""

    places: Tensor  # (U,) a flat place in (B, T) of each distinct token
    inverse: Tensor  # (B, T) which of them each position holds

    @classmethod
    def of(cls, input_ids: Tensor) -> DistinctTokens:
        """Those of input_ids (B, T)."""
        distinct, inverse = torch.unique(input_ids, return_inverse=True)
        order = torch.arange(inverse.numel(), device=inverse.device)
        return cls(torch.empty_like(distinct).scatter_(0, inverse.flatten(), order), inverse)


def let_first_layer_share(model: Any) -> bool:
    """Makes the first layer of a transformers model take `tokens` (DistinctTokens); whether it could.

    It is tried once: a model that does not hand `tokens` down, whose layer computes something else, or whose rows
    differ by position before it, keeps what it had. Dropout before the attention (of adapters) must differ by
    position too, and finding the distinct tokens makes an accelerator wait: both keep what they had, untried.
    """
    layers = getattr(model.base_model, "layers", None)
    layer: Any = layers[0] if isinstance(layers, nn.ModuleList) and len(layers) > 1 else None
    if layer is None or not has_parts(layer, LLAMA_PARTS):
        return False
    attention = layer.self_attn
    if not has_parts(attention, _ATTENTION_PARTS):
        return False
    drops = any(isinstance(part, nn.Dropout) and part.p > 0 for part in attention.modules())
    if drops or attention.q_proj.weight.device.type != "cpu":
        return False
    return replace_forward(
        model,
        layer,
        _forward,
        options=lambda ids: {"tokens": DistinctTokens.of(ids)},
        expected=lambda states: states,
    )


def _forward(
    layer: Any, hidden_states: Tensor, *, tokens: DistinctTokens | None = None, **options: Any
) -> Any:
    if tokens is None:
        return type(layer).forward(layer, hidden_states, **options)
    attended = hidden_states + _attention(layer, hidden_states, tokens, **options)
    return attended + layer.mlp(layer.post_attention_layernorm(attended))


def _attention(
    layer: Any,
    hidden_states: Tensor,
    tokens: DistinctTokens,
    *,
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None = None,
    past_key_values: None = None,
    **options: Any,
) -> Tensor:
    """What the layer's norm and attention give, (B, T, H), from projections of the distinct rows."""
    module = layer.self_attn
    rows = layer.input_layernorm(hidden_states.flatten(0, 1).index_select(0, tokens.places))
    query, key, value = (
        nn.functional.embedding(tokens.inverse, project(rows))
        .unflatten(-1, (-1, module.head_dim))
        .transpose(1, 2)
        for project in (module.q_proj, module.k_proj, module.v_proj)
    )
    query, key = apply_rotary_pos_emb(query, key, *position_embeddings)
    attend = ALL_ATTENTION_FUNCTIONS.get_interface(
        module.config._attn_implementation, eager_attention_forward
    )
    options |= {"dropout": module.attention_dropout if module.training else 0.0, "scaling": module.scaling}
    options["sliding_window"] = getattr(module, "sliding_window", None)
    attended = attend(module, query, key, value, attention_mask, **options)[0]
    return module.o_proj(attended.flatten(-2))
