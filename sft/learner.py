"""Who learns: a policy with its tokenizer, and the processes it is spread over."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from proctor.sft.model import (
    Lora,
    Policy,
    fit_vocabulary,
    load_policy,
    prepare_policy,
    wants_bfloat16,
)
from proctor.sft.optimizer import make_optimizer
from proctor.sft.parallel import Plain, Workers, Zero, read_zero_config, stage_of, zero_config
from proctor.sft.settings import ModelSettings, OptimizerSettings, ParallelSettings, Precision
from proctor.sft.tokenizer import end_ids_of, prepare_tokenizer


@dataclass(frozen=True, slots=True)
class Learner:
    """A policy ready to train."""

    policy: Policy
    tokenizer: PreTrainedTokenizerBase
    workers: Workers
    end_ids: tuple[int, ...]  # tokens at which generation stops

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.workers.rank == 0


def make_workers(parallel: ParallelSettings, precision: Precision, *, clip: float) -> Workers:
    """ZeRO where the settings ask for it, else one process or DDP. Comes first: ZeRO-3 changes loading."""
    if parallel.deepspeed_config:
        return Zero(read_zero_config(parallel.deepspeed_config))
    if parallel.zero:
        bf16 = wants_bfloat16(precision)
        return Zero(zero_config(parallel.zero, offload=parallel.offload, clip=clip, bf16=bf16))
    return Plain(precision=precision, clip=clip)


def zero_stage(parallel: ParallelSettings) -> int:
    """Which stage of ZeRO the settings ask for, 0: none. Raises ConfigError where their file cannot be read."""
    if parallel.deepspeed_config:
        return stage_of(read_zero_config(parallel.deepspeed_config))
    return parallel.zero


def make_policy(
    settings: ModelSettings, device: torch.device, model: PreTrainedModel | None = None
) -> Policy:
    """Loads the model of the settings, or takes the one given; with adapters where wanted."""
    lora = None
    if settings.lora:
        lora = Lora(
            rank=settings.lora_rank,
            alpha=settings.lora_alpha,
            dropout=settings.lora_dropout,
            targets=settings.lora_targets,
        )
    checkpointing = settings.gradient_checkpointing
    if model is not None:
        return prepare_policy(model, lora=lora, gradient_checkpointing=checkpointing, device=device)
    return load_policy(
        settings.path,
        precision=settings.precision,
        attention=settings.attention,
        lora=lora,
        quantize=settings.quantize,
        gradient_checkpointing=checkpointing,
        device=device,
    )


def make_learner(
    settings: ModelSettings,
    optimizer: OptimizerSettings,
    workers: Workers,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel | None = None,
) -> Learner:
    """The policy, handed to the workers with its optimiser."""
    prepare_tokenizer(tokenizer)
    policy = make_policy(settings, workers.device, model)
    fit_vocabulary(policy, len(tokenizer))
    workers.prepare(policy, make_optimizer(policy, optimizer))
    return Learner(policy, tokenizer, workers, end_ids_of(tokenizer, policy.base.generation_config))
