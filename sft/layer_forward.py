"""Another forward for one layer of a transformers model, kept only where the model's answers stay what they were."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor

LLAMA_PARTS = frozenset(
    {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp"}
)  # Qwen's, Mistral's too


def has_parts(module: Any, parts: frozenset[str]) -> bool:
    """Whether a module is made of these and no others."""
    return {name for name, _ in module.named_children()} == parts


def replace_forward(
    model: Any,
    layer: Any,
    forward: Callable[..., Any],
    options: Callable[[Tensor], dict[str, Any]],
    expected: Callable[[Tensor], Tensor],
) -> bool:
    """Gives `layer` the forward, tries the model once, and takes it back where it is not right. Whether it was.

    Args:
        forward: is called with the layer first; without `options` it must do what the layer did.
        options: what the model's forward is to hand down, for input_ids (B, T).
        expected: the last hidden state that it is then to give, of the one (B, T, H) that it gave without.
    """
    # Bound to the layer, so that a deep copy of the model gets a forward of its own.
    layer.forward = MethodType(forward, layer)
    if not _is_right(model, options, expected):
        del layer.forward
        return False
    return True


@torch.no_grad()
def _is_right(
    model: Any, options: Callable[[Tensor], dict[str, Any]], expected: Callable[[Tensor], Tensor]
) -> bool:
    embedding = model.get_input_embeddings()
    ids = (
        torch.tensor([[0, 1, 2, 1], [2, 2, 0, 3]], device=embedding.weight.device) % embedding.num_embeddings
    )
    was_training = model.training
    model.eval()
    try:
        want = expected(model.base_model(ids, use_cache=False).last_hidden_state)
        got = model.base_model(ids, use_cache=False, **options(ids)).last_hidden_state
    except (TypeError, AttributeError):  # it takes no further arguments, or names its attention otherwise
        return False
    finally:
        model.train(was_training)
    close = 1e-4 if want.dtype in (torch.float32, torch.float64) else 3e-2
    return got.shape == want.shape and torch.allclose(got, want, rtol=close, atol=close)
