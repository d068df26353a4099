"""The last layer, run to its end only at positions whose output is used.

What follows the last attention (norm, feed-forward block, final norm) mixes no positions, so what it computes at
prompts and padding reaches no loss and no gradient. A layer built as Llama's, Qwen's and Mistral's are is left at
those positions after its attention. It saves the untrained share of one feed-forward block: an eighth of a step of
the two-layer demo model, 2% of a model of 24 layers trained on the latter half of its rows.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from proctor.sft.layer_forward import LLAMA_PARTS, has_parts, replace_forward

_TRIED = [1, 3, 6]  # of eight places


def let_last_layer_choose(model: Any) -> bool:
    """Makes the last layer of a transformers model take `rows`; whether it could.

    With `rows` (N,), flat places in (B, T), its output and the model's last hidden state are (1, N, H). It is tried
    once: a model that does not hand `rows` down, or whose layer computes something else, keeps what it had.
    """
    layers = getattr(model.base_model, "layers", None)
    layer: Any = layers[-1] if isinstance(layers, nn.ModuleList) and len(layers) else None
    if layer is None or not has_parts(layer, LLAMA_PARTS):
        return False
    return replace_forward(
        model,
        layer,
        _forward,
        options=lambda ids: {"rows": ids.new_tensor(_TRIED)},
        expected=lambda states: states.flatten(0, 1)[_TRIED][None],
    )


def _forward(layer: Any, hidden_states: Tensor, *, rows: Tensor | None = None, **options: Any) -> Any:
    if rows is None:
        return type(layer).forward(layer, hidden_states, **options)
    attended = layer.self_attn(hidden_states=layer.input_layernorm(hidden_states), **options)[0]
    kept = (hidden_states + attended).flatten(0, 1).index_select(0, rows)[None]
    return kept + layer.mlp(layer.post_attention_layernorm(kept))
