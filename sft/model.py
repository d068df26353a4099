"""Causal models from transformers: loading, adapters, and the split into backbone and vocabulary head.

`Policy` is what SFT and RL train: a module whose forward gives losses or log-probs of chosen tokens, so that
DDP and DeepSpeed wrap the whole of it. What it holds stays a plain transformers (or peft) model.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from proctor.sft.attention import BLOCK_ATTENTION
from proctor.sft.batch import Example, TokenBatch, pad_examples
from proctor.sft.config import ConfigError
from proctor.sft.head import Head, TokenLoss, TokenOutputs, chosen_logprobs, fused_loss
from proctor.sft.outer_layers import OuterLayers
from proctor.sft.pretrained import loading
from proctor.sft.settings import Attention, Precision, Quantize


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank adapters. Defaults: every linear layer but the head, alpha twice the rank."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: str | tuple[str, ...] = "all-linear"  # peft's word for all linear layers but the head


class Batch(Protocol):
    """What a policy can be run on."""

    def rows(self, policy: Policy) -> tuple[Tensor, Tensor]:
        """The hidden states (N, H) that predict the targets (N,), in the order of the targets."""


class Wrapped(Protocol):
    """A module around one transformers model: what checkpoints are made of."""

    model: Any  # transformers model, or peft model around one

    @property
    def base(self) -> Any:
        """The transformers model, without the adapters' wrapper."""


class Policy(nn.Module):
    """A causal model that answers with losses or log-probs of target tokens, never with (B, T, V) logits."""

    def __init__(self, model: PreTrainedModel | nn.Module) -> None:
        super().__init__()
        self.model = model  # transformers model, or peft model around one
        self.outer_layers = OuterLayers()

    @property
    def base(self) -> Any:
        """The transformers model, without the adapters' wrapper (its layers stay adapted)."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def head(self) -> Head:
        """The vocabulary head, with what the config says of softcap and scale."""
        layer = self.base.get_output_embeddings()
        if hasattr(layer, "active_adapter") and hasattr(layer, "modules_to_save"):
            layer = layer.modules_to_save[layer.active_adapter]
        if not isinstance(layer, nn.Linear):
            raise TypeError(
                f"the head is a {type(layer).__name__}, not a plain linear layer; "
                "leave it out of the LoRA targets"
            )
        config = self.base.config.get_text_config()
        return Head(
            layer.weight, layer.bias, getattr(config, "final_logit_softcapping", None), _scale(config)
        )

    def hidden(self, batch: TokenBatch, places: Tensor) -> Tensor:
        """Last hidden states (N, H), after the final norm, at N flat places in (B, T)."""
        backbone = self.base.base_model
        inputs: dict[str, Any] = {"input_ids": batch.input_ids}
        if _takes_positions(type(backbone)):
            inputs["position_ids"] = batch.position_ids
        elif bool((batch.position_ids[:, 1:] == 0).any()):
            raise TypeError(f"{type(backbone).__name__} takes no position ids; it cannot run packed batches")
        if batch.blocks and self.base.config._attn_implementation == BLOCK_ATTENTION:
            inputs["blocks"] = batch.blocks
        inputs |= self.outer_layers.options(batch.input_ids, places)
        states: Tensor = backbone(**inputs, use_cache=False).last_hidden_state
        return states[0] if self.outer_layers.last_chooses else states.flatten(0, 1).index_select(0, places)

    def forward(
        self,
        batch: Batch,
        token_loss: TokenLoss | None = None,
        *,
        temperature: float = 1.0,
        entropy: bool = False,
    ) -> TokenOutputs:
        """Loss and log-probs of the batch's N targets, in its order.

        With `token_loss` the loss is fused into the head (see head.fused_loss); without it the log-probs
        carry the gradient.
        """
        rows, targets = batch.rows(self)
        options: dict[str, Any] = {"temperature": temperature, "entropy": entropy}
        if token_loss is None:
            return chosen_logprobs(rows, targets, self.head, **options)
        return fused_loss(rows, targets, self.head, token_loss, **options)


def load_policy(
    path: str,
    *,
    precision: Precision = "auto",
    attention: Attention = "auto",
    lora: Lora | None = None,
    quantize: Quantize = "none",
    gradient_checkpointing: bool = False,
    device: str | torch.device | None = None,
) -> Policy:
    """Loads a causal model (a folder or a hub name) ready for training.

    Full training keeps float32 weights (autocast does the rest); with adapters the frozen weights are held in
    bfloat16 where the hardware has it. The head is checked against the model's own logits (`check_head`).
    Raises ConfigError for what cannot be loaded.
    """
    dtype = torch.bfloat16 if wants_bfloat16(precision) else torch.float32
    frozen = lora is not None or quantize != "none"
    options: dict[str, Any] = {"dtype": dtype if frozen else torch.float32}
    if quantize != "none":
        options["quantization_config"] = _quantization(quantize, dtype)
    with loading(path, "model"):
        options["attn_implementation"] = choose_attention(attention, path, options["dtype"])
        model = AutoModelForCausalLM.from_pretrained(path, **options)
    if quantize != "none":
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        device = None  # quantised weights lie where they were loaded
    return prepare_policy(model, lora=lora, gradient_checkpointing=gradient_checkpointing, device=device)


def prepare_policy(
    model: PreTrainedModel,
    *,
    lora: Lora | None = None,
    gradient_checkpointing: bool = False,
    device: str | torch.device | None = None,
) -> Policy:
    """Adapters, gradient checkpointing and the head's check for a model already in memory."""
    if device is not None:
        model = model.to(device)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy = Policy(model if lora is None else _with_adapters(model, lora))
    check_head(policy)
    in_pieces = hasattr(next(policy.parameters()), "ds_id")  # by ZeRO-3: it cannot be tried out alone
    if not in_pieces:
        policy.outer_layers = OuterLayers.prepare(policy.base)
    return policy


def fit_vocabulary(policy: Policy, num_tokens: int) -> None:
    """Gives tokens that were added to the tokenizer rows in the embedding and the head."""
    if num_tokens > policy.base.get_input_embeddings().num_embeddings:
        policy.base.resize_token_embeddings(num_tokens, pad_to_multiple_of=8)


@torch.no_grad()
def check_head(policy: Policy, *, tolerance: float | None = None) -> None:
    """Compares our log-probs of four tokens with those of the model's own logits.

    A head with a scale, cap or bias that `Policy.head` does not know would otherwise train wrongly without a
    word. Raises ValueError beyond the tolerance: 1e-3 in float32, in half precision 0.1 and two rounding
    units of the largest logit, in nats.
    """
    base = policy.base
    weight = base.get_output_embeddings().weight
    if weight.numel() == 0:  # sharded by ZeRO-3: there is nothing to compare here
        return
    vocabulary = weight.shape[0]
    ids = [place * (vocabulary // 7) % vocabulary for place in range(5)]
    batch = pad_examples([Example(ids, [True] * 5)], pad_id=0).to(weight.device)
    was_training = base.training
    base.eval()
    ours = policy(batch).logp
    logits = base(input_ids=batch.input_ids, use_cache=False).logits[0].float()
    base.train(was_training)
    theirs = torch.log_softmax(logits, -1).gather(-1, batch.targets.t())[:, 0]
    gap = (ours.float() - theirs).abs().max().item()
    is_whole = weight.dtype in (torch.float32, torch.float64)
    unit = torch.finfo(weight.dtype).eps * logits.abs().max().item()
    limit = tolerance or (1e-3 if is_whole else 0.1 + 2 * unit)
    if not gap <= limit:
        raise ValueError(
            f"log-probs from the head of {type(base).__name__} differ from its own logits by {gap:.3g} "
            f"(at most {limit:g}); its config has a scale or cap that Policy.head does not know"
        )


def wants_bfloat16(precision: Precision) -> bool:
    """Whether to compute in bfloat16; "auto" where the accelerator has it. CPUs are slower for it: no."""
    has_it = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return precision == "bfloat16" or (precision == "auto" and has_it)


def choose_attention(wanted: Attention, path: str, dtype: torch.dtype) -> str:
    """flash_attention_2 where it is installed and there is a GPU, else sdpa, else eager.

    dtype: of the weights; flash_attention_2 takes half precision alone. Raises ConfigError for it in float32.
    """
    is_half = dtype in (torch.bfloat16, torch.float16)
    if wanted == "flash_attention_2" and not is_half:
        raise ConfigError(
            "model.attention: 'flash_attention_2' needs weights in half precision, and without adapters they "
            "are kept in float32; take 'sdpa', whose kernels autocast serves, or model.lora = true"
        )
    if wanted != "auto":
        return wanted
    if is_half and torch.cuda.is_available() and importlib.util.find_spec("flash_attn"):
        return "flash_attention_2"
    architecture = AutoModelForCausalLM._model_mapping.get(type(AutoConfig.from_pretrained(path)), None)
    supports = getattr(architecture, "_supports_sdpa", True)
    return "sdpa" if supports else "eager"


@cache
def _takes_positions(backbone: type[nn.Module]) -> bool:
    return "position_ids" in inspect.signature(backbone.forward).parameters


def weights_of(module: nn.Module) -> Mapping[str, Tensor]:
    """State of the transformers model in `module.model` under its own names, as `save_pretrained` wants it."""
    return {name.removeprefix("model."): value for name, value in module.state_dict().items()}


def _scale(config: Any) -> float:
    """What logits are multiplied by before the cap; configs have five names for it."""
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        if getattr(config, name, None) is not None:
            return float(getattr(config, name))
    scaling = getattr(config, "logits_scaling", None)
    if scaling is None:
        return 1.0
    return float(scaling) if config.model_type == "hyperclovax" else 1.0 / float(scaling)


def _with_adapters(model: PreTrainedModel, lora: Lora) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    if model.is_gradient_checkpointing:
        model.enable_input_require_grads()  # the frozen embedding would cut the checkpoints' graph
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise ConfigError(f"model.lora_targets = {lora.targets!r}: {error}") from error


def _quantization(kind: str, dtype: torch.dtype) -> BitsAndBytesConfig:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ImportError(f"quantize = '{kind}' needs bitsandbytes: pip install bitsandbytes")
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
