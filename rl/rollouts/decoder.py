"""A lean decoder for the Llama family (llama, mistral, qwen2, qwen3): what sampling needs and nothing else.

Faster than `transformers.generate` at small sizes because it does less: query, key and value (and gate and
up) are one product each, keys and values live in one tensor that never grows, and there is no cache object or
per-step bookkeeping. It reads its weights from a transformers model; `load` must be called after each update.
It keeps a second copy of the fused weights: for models where that matters, sample with vLLM.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(slots=True)
class Layer:
    """One transformer block's weights; products are fused along the output dimension."""

    qkv: Tensor  # ((heads + 2 kv_heads) * head_dim, hidden)
    qkv_bias: Tensor | None
    out: Tensor  # (hidden, heads * head_dim)
    gate_up: Tensor  # (2 * intermediate, hidden)
    down: Tensor  # (hidden, intermediate)
    attention_norm: Tensor
    mlp_norm: Tensor
    query_norm: Tensor | None  # (head_dim,), Qwen3
    key_norm: Tensor | None


@dataclass(slots=True)
class Cache:
    """Keys and values of all layers, (layers, rows, kv_heads, positions, head_dim), and what is hidden."""

    keys: Tensor
    values: Tensor
    bias: Tensor  # (rows, 1, 1, positions): 0 where a position may be seen, -inf on left padding
    offset: Tensor  # (rows,): padding on the left, to be taken off positions
    length: int  # positions filled

    def select(self, rows: Tensor) -> Cache:
        """The cache of some rows; what is filled is copied, in the order of `rows`."""
        shape = (self.keys.shape[0], len(rows), *self.keys.shape[2:])
        keys, values = self.keys.new_empty(shape), self.values.new_empty(shape)
        filled = slice(0, self.length)
        keys[:, :, :, filled] = self.keys[:, :, :, filled].index_select(1, rows)
        values[:, :, :, filled] = self.values[:, :, :, filled].index_select(1, rows)
        return Cache(keys, values, self.bias[rows], self.offset[rows], self.length)


def is_supported(model: nn.Module) -> bool:
    """Whether the decoder computes what this transformers model computes."""
    config = model.config
    full_attention = all(kind == "full_attention" for kind in getattr(config, "layer_types", None) or ())
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        config.model_type in FAMILIES
        and full_attention
        and rope.get("rope_type", "default") == "default"
        and config.hidden_act == "silu"
        and getattr(config, "sliding_window", None) is None
        and not getattr(config, "attention_bias", False)  # of the output too, which is not added here
        and not getattr(config, "mlp_bias", False)
        and getattr(config, "quantization_config", None) is None  # packed weights cannot be fused
    )


class Decoder:
    """Prefill and single steps over a preallocated cache."""

    def __init__(self, model: nn.Module) -> None:
        config = model.config
        self.num_heads = config.num_attention_heads
        self.num_kv_heads = config.num_key_value_heads
        self.head_dim = getattr(config, "head_dim", None) or config.hidden_size // self.num_heads
        self.eps = config.rms_norm_eps
        theta = config.rope_parameters["rope_theta"]
        exponents = torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim
        self._frequencies = 1.0 / (theta**exponents)
        self.load(model)

    @torch.no_grad()
    def load(self, model: nn.Module) -> None:
        """Takes the weights as they are; adapters are merged into the copy, the model stays as it was.

        A merged copy is in float32: half precision would round away what an adapter has learned in a few steps.
        """
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        dtype = base.dtype if base is model else torch.float32
        self.embedding = effective_weight(base.model.embed_tokens, dtype)
        self.head = effective_weight(base.lm_head, dtype)
        self.final_norm = base.model.norm.weight.detach().to(dtype)
        self.layers = [_fuse(layer, dtype) for layer in base.model.layers]
        self._frequencies = self._frequencies.to(self.embedding.device)

    @torch.no_grad()
    def prefill(self, token_ids: Tensor, mask: Tensor, *, capacity: int) -> tuple[Tensor, Cache]:
        """Runs left-padded prompts (B, P) with their mask; logits of the next token (B, V) and the cache.

        `capacity` is the number of positions the cache will ever need: P plus the tokens to come.
        """
        batch, length = token_ids.shape
        offset = length - mask.sum(-1)
        shape = (len(self.layers), batch, self.num_kv_heads, capacity, self.head_dim)
        hidden_value = torch.finfo(self.embedding.dtype).min
        bias = self.embedding.new_zeros((batch, 1, 1, capacity))
        bias[:, 0, 0, :length] = (1 - mask).to(bias.dtype) * hidden_value
        cache = Cache(self.embedding.new_empty(shape), self.embedding.new_empty(shape), bias, offset, 0)
        causal = torch.full((length, length), hidden_value, dtype=bias.dtype, device=bias.device).triu(1)
        positions = (torch.arange(length, device=offset.device) - offset.unsqueeze(-1)).clamp(min=0)
        attend = (bias[..., :length] + causal).clamp(min=hidden_value)
        hidden = self._run(token_ids, positions, cache, attend)
        return F.linear(hidden[:, -1], self.head), cache

    @torch.no_grad()
    def step(self, token_ids: Tensor, cache: Cache) -> Tensor:
        """Feeds one token a row, (rows,), and returns the next token's logits (rows, V)."""
        positions = (cache.length - cache.offset).unsqueeze(-1)
        attend = cache.bias[..., : cache.length + 1]
        hidden = self._run(token_ids.unsqueeze(-1), positions, cache, attend)
        return F.linear(hidden[:, 0], self.head)

    def _run(self, token_ids: Tensor, positions: Tensor, cache: Cache, attend: Tensor) -> Tensor:
        hidden = F.embedding(token_ids, self.embedding)
        cos, sin = self._rotation(positions, hidden.dtype)
        for index, layer in enumerate(self.layers):
            normed = F.rms_norm(hidden, hidden.shape[-1:], layer.attention_norm, self.eps)
            hidden = hidden + self._attention(normed, layer, index, cache, cos, sin, attend)
            normed = F.rms_norm(hidden, hidden.shape[-1:], layer.mlp_norm, self.eps)
            gate, up = F.linear(normed, layer.gate_up).chunk(2, -1)
            hidden = hidden + F.linear(F.silu(gate).mul_(up), layer.down)
        cache.length += token_ids.shape[1]
        return F.rms_norm(hidden, hidden.shape[-1:], self.final_norm, self.eps)

    def _attention(
        self, hidden: Tensor, layer: Layer, index: int, cache: Cache, cos: Tensor, sin: Tensor, attend: Tensor
    ) -> Tensor:
        rows, new = hidden.shape[:2]
        heads = F.linear(hidden, layer.qkv, layer.qkv_bias).view(rows, new, -1, self.head_dim)
        turned, value = heads.split((self.num_heads + self.num_kv_heads, self.num_kv_heads), dim=2)
        if layer.query_norm is not None:
            turned = self._normed(turned, layer)
        turned = torch.addcmul(turned * cos, turned.roll(self.head_dim // 2, -1), sin).transpose(1, 2)
        query, key = turned.split((self.num_heads, self.num_kv_heads), dim=1)
        start, end = cache.length, cache.length + new
        cache.keys[index, :, :, start:end] = key
        cache.values[index, :, :, start:end] = value.transpose(1, 2)
        keys, values = cache.keys[index, :, :, :end], cache.values[index, :, :, :end]
        if new == 1:
            return F.linear(self._mix_one(query, keys, values, attend), layer.out)
        mixed = F.scaled_dot_product_attention(
            query, keys, values, attn_mask=attend, enable_gqa=self.num_heads != self.num_kv_heads
        )
        return F.linear(mixed.transpose(1, 2).reshape(rows, new, -1), layer.out)

    def _mix_one(self, query: Tensor, keys: Tensor, values: Tensor, attend: Tensor) -> Tensor:
        """Attention of one position a row: two plain products, a third faster here than the flash kernel.

        The heads that share keys stand as positions of one query, so the keys are not copied.
        """
        rows = len(query)
        query = query.reshape(rows, self.num_kv_heads, -1, self.head_dim)
        scores = torch.add(attend, query @ keys.transpose(-1, -2), alpha=self.head_dim**-0.5)
        return (torch.softmax(scores, -1) @ values).view(rows, 1, -1)

    def _normed(self, turned: Tensor, layer: Layer) -> Tensor:
        query, key = turned.split((self.num_heads, self.num_kv_heads), dim=2)
        query = F.rms_norm(query, (self.head_dim,), layer.query_norm, self.eps)
        return torch.cat((query, F.rms_norm(key, (self.head_dim,), layer.key_norm, self.eps)), dim=2)

    def _rotation(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines, (rows, new, 1, head_dim): x cos + roll(x, half) sin is the rotation."""
        angles = (positions.unsqueeze(-1).float() * self._frequencies).unsqueeze(2)
        cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
        return torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)


def effective_weight(module: nn.Module, dtype: torch.dtype) -> Tensor:
    """The weight of a linear layer or embedding with its active LoRA adapters added, detached; it is left alone."""
    if not hasattr(module, "get_delta_weight"):
        return module.weight.detach().to(dtype)
    weight = module.get_base_layer().weight.detach().to(dtype)
    if module.disable_adapters or module.merged:
        return weight
    return weight + sum(module.get_delta_weight(name).detach().to(dtype) for name in module.active_adapters)


def _fuse(layer: nn.Module, dtype: torch.dtype) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    inputs = [attention.q_proj, attention.k_proj, attention.v_proj]
    has_bias = inputs[0].bias is not None
    query_norm, key_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)

    def fused(*modules: nn.Module) -> Tensor:
        return torch.cat([effective_weight(module, dtype) for module in modules])

    def plain(tensor: Tensor) -> Tensor:
        return tensor.detach().to(dtype)

    return Layer(
        qkv=fused(*inputs),
        qkv_bias=plain(torch.cat([module.bias for module in inputs])) if has_bias else None,
        out=effective_weight(attention.o_proj, dtype),
        gate_up=fused(mlp.gate_proj, mlp.up_proj),
        down=effective_weight(mlp.down_proj, dtype),
        attention_norm=plain(layer.input_layernorm.weight),
        mlp_norm=plain(layer.post_attention_layernorm.weight),
        query_norm=None if query_norm is None else plain(query_norm.weight),
        key_norm=None if key_norm is None else plain(key_norm.weight),
    )
