"""What an RL run can be told: every key of `proctor train CONFIG.toml`, its default and its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from proctor.sft.config import Section
from proctor.sft.settings import ModelSettings, OptimizerSettings, ParallelSettings

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class PromptSettings(Section):
    """[data]"""

    train: tuple[str, ...] = Field(
        (), description="Prompt files: JSONL (or .gz), JSON, CSV, Parquet, or a datasets folder; required."
    )
    evaluation: tuple[str, ...] = Field((), description="Prompt files held back for evaluation.")
    map: dict[str, str] = Field(
        default_factory=dict, description="Which column is which where names are unusual: {answer = 'gold'}."
    )
    chat_template: str = Field("", description="File with a chat template; empty uses the tokenizer's own.")
    template_options: dict[str, Any] = Field(
        default_factory=dict, description="Variables for the chat template, enable_thinking for one."
    )
    max_prompt_tokens: Positive = Field(4096, description="Longer prompts are reported and left out.")


class RewardSettings(Section):
    """[reward]"""

    expression: str = Field("", description="The reward, 'math + 0.1 * steps' for one; required.")
    load: tuple[str, ...] = Field(
        (), description="Python files that define reward parts, advantages or losses of yours."
    )


class AlgorithmSettings(Section):
    """[algorithm] A preset, and pieces of it replaced; none keeps the preset's."""

    name: str = Field(
        "grpo",
        description="grpo, dr_grpo, dapo, gspo, cispo, rloo, reinforce_pp, reinforce_pp_baseline or ppo.",
    )
    advantage: str | None = Field(None, description="Advantage estimator; an unknown one lists all.")
    advantage_options: dict[str, Any] = Field(
        default_factory=dict,
        description="Its options: scale, eps ...; gdpo wants weights = {math = 1.0, ...}.",
    )
    loss: str | None = Field(None, description="Policy loss; an unknown one lists all.")
    loss_options: dict[str, Any] = Field(default_factory=dict, description="Its options: clip_low ...")
    aggregation: str | None = Field(
        None, description="token, sequence, constant, sequence_sum, token_sum: the divisor of token losses."
    )
    kl_coef: float | None = Field(None, ge=0, description="Weight of the KL to the reference; 0: none.")
    kl_estimator: str | None = Field(None, description="k1, k2, k3 or abs.")
    kl_placement: Literal["loss", "reward"] | None = Field(None, description="Where the KL stands.")
    kl_gradient: Literal["own", "k2"] | None = Field(None, description="Whose gradient a KL in the loss has.")
    kl_off_policy: bool | None = Field(
        None, description="Weigh a KL in the loss by pi / pi_old, which is right after the first update too."
    )
    kl_target: float | None = Field(None, gt=0, description="Nats per token to steer the coefficient to.")
    entropy_coef: float | None = Field(None, description="Weight of the entropy bonus.")
    gamma: Share | None = Field(None, description="Discount, of gae and discounted_returns.")
    gae_lambda: Share | None = Field(None, description="Lambda of GAE.")
    value_clip: float | None = Field(
        None, gt=0, description="How far one update may move the critic's values."
    )
    refill_zero_variance: bool | None = Field(
        None, description="Dynamic sampling: sample more prompts for groups whose rewards are all equal."
    )
    mask_truncated: bool | None = Field(None, description="Leave truncated completions out of the loss.")


class RolloutSettings(Section):
    """[rollouts]"""

    engine: Literal["transformers", "vllm", "server"] = Field(
        "transformers", description="What samples: the policy itself, vLLM in this process, or a server."
    )
    prompts: Positive = Field(16, description="Prompts per step.")
    samples: Positive = Field(8, description="Completions per prompt.")
    temperature: float = Field(1.0, gt=0, description="Sampling temperature.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling; 1: off, as training wants it.")
    max_new_tokens: Positive = Field(1024, description="Longest completion in tokens.")
    max_rows: Positive = Field(256, description="Completions in flight at once (transformers, vllm).")
    max_refills: Count = Field(2, description="Rounds of refilling zero-variance groups, at most.")
    gpu_memory: Share = Field(0.45, description="Share of the GPU that vLLM may take.")
    server_url: str = Field("", description="OpenAI-compatible endpoint of engine = 'server'.")
    server_model: str = Field("", description="Name it serves; empty: the first that it lists.")
    server_key: str = Field("", description="Environment variable with its API key, where it wants one.")
    server_sync: str = Field(
        "", description="Dotted name of your function (policy, url) that brings it new weights."
    )


class UpdateSettings(Section):
    """[update]"""

    minibatches: Positive = Field(1, description="Optimiser steps per batch of rollouts; 1 is on-policy.")
    epochs: Positive = Field(1, description="Passes over a batch of rollouts.")
    token_budget: Positive = Field(16384, description="Tokens, padding included, of one forward.")
    correction: Literal["none", "token", "sequence", "geometric"] = Field(
        "token", description="Importance weights for the sampler's other probabilities, by this level."
    )
    correction_mode: Literal["truncate", "mask", "binary_kl", "tv"] = Field(
        "truncate",
        description="Clamp them to the ends, drop what lies outside, or drop where the two probabilities differ.",
    )
    correction_low: float | None = Field(None, ge=0, le=1, description="Their lower end; none: 0.")
    correction_high: float = Field(2.0, ge=1, description="Their upper end.")
    correction_limit: float = Field(
        0.02, gt=0, description="Difference from which binary_kl (nats) and tv (probability) drop."
    )
    max_staleness: float | None = Field(
        None,
        gt=0,
        description="Completions below average that the policy finds less likely than the sampler did, by more "
        "nats a token than this, are left out as stale, at the cost of a forward; none: off.",
    )
    top_entropy: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the tokens, those of the highest entropy, that get an advantage, at the cost of "
        "a forward; 1: all.",
    )
    entropy: bool = Field(True, description="Measure the entropy at each step.")


class CriticSettings(Section):
    """[critic] For algorithms with a critic (ppo)."""

    path: str = Field("", description="Model the critic starts from; empty: a copy of the policy.")
    shared: bool = Field(False, description="A value head on the policy's own hidden states instead.")
    learning_rate: float = Field(1e-5, gt=0, description="Learning rate of the critic.")
    warmup_steps: Count = Field(0, description="Steps in which only the critic learns.")


class OffloadSettings(Section):
    """[offload] What waits in the CPU's memory between its uses. Without an accelerator nothing moves."""

    reference: bool = Field(
        False, description="The frozen copy that the KL is taken to; with LoRA there is none."
    )
    critic: bool = Field(False, description="The critic and its optimiser state.")
    optimizer: bool = Field(
        False,
        description="The policy's optimiser state; with ZeRO this is parallel.offload, DeepSpeed's own.",
    )
    sampler: bool = Field(
        False, description="vLLM's weights and cache, while the policy is updated: its sleep mode."
    )


class GuardSettings(Section):
    """[guard] What stops a run from going on broken."""

    enabled: bool = Field(True, description="Watch the run.")
    max_kl: float = Field(10.0, gt=0, description="Mean KL to the reference per token, nats.")
    max_gap: float = Field(0.5, gt=0, description="Mean gap between sampler and trainer, nats.")
    min_entropy: float = Field(0.0, ge=0, description="Mean entropy below this is a collapse; 0: off.")
    max_entropy: float = Field(0.0, ge=0, description="Mean entropy above this is an explosion; 0: off.")
    window: Positive = Field(20, description="Steps that reward trends are taken over.")
    collapse: Share = Field(
        0.5, description="Fall of a window's mean reward, as a share of its best, that trips."
    )
    hacking: Share = Field(
        0.2,
        description="Fall of the correct share within a window, as a share of what it was, while the reward "
        "rises, that trips; 0: off.",
    )
    rate_factor: float = Field(
        0.5, gt=0, le=1, description="The learning rate is multiplied by this after an incident."
    )
    max_incidents: Positive = Field(3, description="Incidents after which the run stops.")


class PolicyOptimizerSettings(OptimizerSettings):
    """[optimizer] As in SFT, with the defaults of RL: a small constant rate and no decay."""

    learning_rate: float = Field(1e-6, gt=0, description="Learning rate of AdamW.")
    min_learning_rate_share: Share = Field(
        1.0, description="Where the cosine ends, as a share of the peak; 1 is a constant rate."
    )
    warmup_steps: Count | None = Field(0, description="Warm-up in steps; none uses warmup_share.")
    weight_decay: float = Field(0.0, ge=0, description="Decoupled decay of matrices.")


class EvaluationSettings(Section):
    """[evaluation]"""

    every: Count = Field(0, description="Steps between evaluations; 0: before and after only.")
    prompts: Count = Field(256, description="Evaluation prompts to use.")
    samples: Positive = Field(4, description="Completions per prompt at the temperature; greedy besides.")


class RunSettings(Section):
    """[run]"""

    output: Path = Field(Path("runs/rl"), description="Folder of checkpoints, metrics, completions, model.")
    steps: Positive = Field(100, description="Steps of sample, score, update.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of prompt order and sampling.")
    resume: bool = Field(
        True,
        description="Go on from the newest checkpoint in the output folder; false sets aside what is there.",
    )
    save_every: Positive = Field(50, description="Steps between checkpoints.")
    keep: Positive = Field(2, description="Newest checkpoints kept; the best by evaluation stays besides.")
    show: Count = Field(2, description="Completions shown at each step.")
    tensorboard: bool = Field(True, description="Write TensorBoard files where it is installed.")
    wandb: str = Field("", description="Project name for Weights & Biases; empty: off.")


class RLConfig(Section):
    """The whole of it."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    data: PromptSettings = Field(default_factory=PromptSettings)
    reward: RewardSettings = Field(default_factory=RewardSettings)
    algorithm: AlgorithmSettings = Field(default_factory=AlgorithmSettings)
    rollouts: RolloutSettings = Field(default_factory=RolloutSettings)
    update: UpdateSettings = Field(default_factory=UpdateSettings)
    critic: CriticSettings = Field(default_factory=CriticSettings)
    optimizer: PolicyOptimizerSettings = Field(default_factory=PolicyOptimizerSettings)
    offload: OffloadSettings = Field(default_factory=OffloadSettings)
    guard: GuardSettings = Field(default_factory=GuardSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)
    run: RunSettings = Field(default_factory=RunSettings)
    parallel: ParallelSettings = Field(default_factory=ParallelSettings)
