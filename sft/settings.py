"""What an SFT run can be told: every key of `proctor sft CONFIG.toml`, with its default and what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from proctor.sft.config import Section

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Precision = Literal["auto", "float32", "bfloat16"]
Attention = Literal["auto", "flash_attention_2", "sdpa", "eager"]
Quantize = Literal["none", "4bit", "8bit"]
Overlong = Literal["drop", "truncate", "error"]
Filter = Literal["exact_duplicates", "near_duplicates", "wrong", "contaminated", "odd_style"]


class ModelSettings(Section):
    """[model]: what is trained, and how it is held in memory."""

    path: str = Field("", description="Folder or hub name of the base model; required unless given in code.")
    precision: Precision = Field(
        "auto", description="Arithmetic: auto is bfloat16 where the accelerator has it, else float32."
    )
    attention: Attention = Field(
        "auto", description="Attention backend: auto takes flash_attention_2 where installed, then sdpa."
    )
    gradient_checkpointing: bool = Field(
        False, description="Recompute layers in the backward: less memory, about a third more time."
    )
    lora: bool = Field(False, description="Train low-rank adapters instead of all weights.")
    lora_rank: Positive = Field(16, description="Rank of the adapters.")
    lora_alpha: float = Field(32.0, gt=0, description="Adapter scale: the update is alpha / rank * B A.")
    lora_dropout: Share = Field(0.0, description="Dropout on the adapters' input.")
    lora_targets: str | tuple[str, ...] = Field(
        "all-linear", description="Layers that get adapters; all-linear is every linear layer but the head."
    )
    quantize: Quantize = Field(
        "none", description="Hold the frozen weights quantised (QLoRA); needs lora = true and bitsandbytes."
    )

    @model_validator(mode="after")
    def _quantised_weights_need_adapters(self) -> ModelSettings:
        if self.quantize != "none" and not self.lora:
            raise ValueError(f"quantize = '{self.quantize}' freezes the weights; set lora = true as well")
        return self


class DataSettings(Section):
    """[data]: what it is trained on, and what of that is learned."""

    train: tuple[str, ...] = Field(
        (),
        description="Training files (.jsonl, .json, .csv, .parquet, or a folder saved by datasets); required.",
    )
    evaluation: tuple[str, ...] = Field((), description="Files held back for evaluation.")
    evaluation_share: Share = Field(
        0.0, description="Share of the training rows held back where no evaluation files are given."
    )
    chat_template: str = Field("", description="File with a chat template; empty uses the tokenizer's own.")
    template_options: dict[str, Any] = Field(
        default_factory=dict, description="Variables for the chat template, enable_thinking for one."
    )
    turns: Literal["all", "last"] = Field("all", description="Which assistant turns are trained.")
    max_length: Positive = Field(4096, description="Longest sequence in tokens.")
    overlong: Overlong = Field(
        "drop", description="What happens to longer rows. Cut rows lose their end token and are counted."
    )
    weight_column: str = Field(
        "", description="Column with spans and weights for weighted_ce: [[start, end, weight], ...]."
    )
    filters: tuple[Filter, ...] = Field(
        (), description="Findings of the quality report whose rows are left out of training."
    )
    against: tuple[str, ...] = Field(
        (), description="Evaluation sets whose questions must not be in the training rows."
    )
    min_trained_tokens: Positive = Field(1, description="Rows with fewer trained tokens are failures.")


class LossSettings(Section):
    """[loss]: what is minimised."""

    kind: Literal["ce", "weighted_ce", "length_normalized", "sequence"] = Field(
        "ce", description="The loss; the equations are in sft/losses.py."
    )


class BatchSettings(Section):
    """[batch]: how much at a time."""

    batch_size: Positive = Field(64, description="Sequences per optimisation step, over all processes.")
    token_budget: Positive = Field(
        16384, description="Tokens, padding included, that one forward may hold; sets the micro-batches."
    )
    packing: bool = Field(False, description="Pack sequences into rows instead of grouping by length.")


class OptimizerSettings(Section):
    """[optimizer]: AdamW, warm-up and cosine."""

    learning_rate: float = Field(2e-5, gt=0, description="Peak learning rate of AdamW.")
    min_learning_rate_share: Share = Field(0.1, description="Where the cosine ends, as a share of the peak.")
    warmup_share: Share = Field(0.03, description="Share of the steps over which the rate rises linearly.")
    warmup_steps: Count | None = Field(None, description="Warm-up in steps; none uses warmup_share.")
    weight_decay: float = Field(
        0.01, ge=0, description="Decoupled decay of matrices; biases and norms get none."
    )
    beta1: Share = Field(0.9, description="Decay of the first moment.")
    beta2: Share = Field(0.95, description="Decay of the second moment.")
    epsilon: float = Field(1e-8, gt=0, description="AdamW's epsilon.")
    clip: float = Field(1.0, ge=0, description="Largest gradient norm; 0 turns clipping off.")


class EvaluationSettings(Section):
    """[evaluation]: what is measured on the way."""

    every: Count = Field(0, description="Steps between evaluations; 0: only at the end.")
    reward: str = Field("", description="Reward expression for generations, 'math' for one; empty: none.")
    format: str = Field("", description="Expression for format compliance, 'format(\"boxed\")' for one.")
    prompts: Count = Field(64, description="Evaluation rows to generate for.")
    samples: Positive = Field(1, description="Generations per row at the temperature; greedy comes on top.")
    temperature: float = Field(1.0, gt=0, description="Sampling temperature of the generations.")
    max_new_tokens: Positive = Field(512, description="Longest generation in tokens.")
    show: Count = Field(3, description="Generations to print.")


class RunSettings(Section):
    """[run] of any training: how long, and what is kept."""

    output: Path = Field(Path("runs/sft"), description="Folder of checkpoints, metrics and the final model.")
    epochs: float = Field(1.0, gt=0, description="Passes over the data; max_steps overrides it.")
    max_steps: Count = Field(0, description="Optimisation steps; 0: as many as the epochs have.")
    seed: int = Field(0, description="Seed of data order, dropout and sampling.")
    resume: bool = Field(
        True,
        description="Go on from the newest checkpoint in the output folder; false sets aside what is there.",
    )
    save_every: Count = Field(0, description="Steps between checkpoints; 0: only at the end and on Ctrl-C.")
    keep: Positive = Field(2, description="Newest checkpoints kept; the best is kept besides.")
    tensorboard: bool = Field(True, description="Write TensorBoard files where it is installed.")
    wandb: str = Field("", description="Project name for Weights & Biases; empty: off.")


class SFTRunSettings(RunSettings):
    """[run] of the warm start."""

    merge: bool = Field(False, description="Also save a copy with the adapters merged into the weights.")


class ParallelSettings(Section):
    """[parallel]: how it is spread over processes."""

    zero: Literal[0, 1, 2, 3] = Field(0, description="DeepSpeed ZeRO stage; 0: none (DDP under torchrun).")
    offload: bool = Field(
        False, description="ZeRO: hold optimiser state, and at stage 3 weights, on the CPU."
    )
    deepspeed_config: str = Field("", description="DeepSpeed JSON file, used as it is instead of zero.")


class SFTConfig(Section):
    """An SFT run: `proctor sft CONFIG.toml`."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    loss: LossSettings = Field(default_factory=LossSettings)
    batch: BatchSettings = Field(default_factory=BatchSettings)
    optimizer: OptimizerSettings = Field(default_factory=OptimizerSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)
    run: SFTRunSettings = Field(default_factory=SFTRunSettings)
    parallel: ParallelSettings = Field(default_factory=ParallelSettings)
