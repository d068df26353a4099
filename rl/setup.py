"""Builds a run from its config, once preflight.py has found nothing wrong with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from proctor.rl.algorithms.kl import AdaptiveKL, FixedKL
from proctor.rl.algorithms.presets import Algorithm
from proctor.rl.collect import Collector
from proctor.rl.learner import CriticLearner, Learner, make_critic
from proctor.rl.preflight import check_config
from proctor.rl.progress import Progress
from proctor.rl.prompts import Deck, Problem, Rendering, Skipped, fingerprint, read_problems
from proctor.rl.reference import Reference
from proctor.rl.rollouts.core import Sampling
from proctor.rl.rollouts.local import LocalEngine
from proctor.rl.rollouts.server_engine import ServerEngine, find_hook
from proctor.rl.settings import RLConfig
from proctor.sft.config import ConfigError
from proctor.sft.learner import make_policy, make_workers
from proctor.sft.model import Policy, load_policy, wants_bfloat16
from proctor.sft.optimizer import make_optimizer
from proctor.sft.parallel import Plain, Workers, Zero
from proctor.sft.pretrained import check_model_name
from proctor.sft.tokenizer import end_ids_of, load_tokenizer


@dataclass(slots=True)
class Run:
    """All the parts of a run."""

    config: RLConfig
    learner: Learner
    collector: Collector
    engine: Any  # a RolloutEngine with `sync`
    sampling: Sampling
    problems: list[Problem]
    evaluation: list[Problem]
    skipped: list[Skipped]
    progress: Progress
    tokenizer: PreTrainedTokenizerBase

    @property
    def policy(self) -> Policy:
        return self.learner.policy

    @property
    def workers(self) -> Workers:
        return self.learner.workers


def set_up(config: RLConfig) -> Run:
    """Loads data, model and engine. Raises ConfigError, InputError."""
    transformers_logging.disable_progress_bar()
    expression, algorithm = check_config(config)
    check_model_name(config.critic.path, "critic.path")
    tokenizer = load_tokenizer(config.model.path, chat_template=config.data.chat_template)
    rendering = Rendering(tokenizer, config.data.template_options, config.data.max_prompt_tokens)
    options: dict[str, Any] = {"needed": expression.columns, "mapping": config.data.map}
    problems, skipped = read_problems(config.data.train, rendering, **options)
    evaluation: list[Problem] = []
    if config.data.evaluation:
        evaluation, more = read_problems(config.data.evaluation, rendering, **options)
        skipped += more
    torch.manual_seed(config.run.seed)
    parallel = config.parallel
    if parallel.zero and config.offload.optimizer:
        parallel = parallel.model_copy(update={"offload": True})
    workers = make_workers(parallel, config.model.precision, clip=config.optimizer.clip)
    policy = make_policy(config.model, workers.device)
    learner = _learner(config, algorithm, policy, workers)
    longest = max(len(problem.prompt_ids) for problem in [*problems, *evaluation])
    _check_length(policy, longest, config.rollouts.max_new_tokens)
    engine = _engine(config, policy, max_length=longest + config.rollouts.max_new_tokens)
    generation = getattr(policy.base, "generation_config", None)
    sampling = Sampling(
        num_samples=config.rollouts.samples,
        max_new_tokens=config.rollouts.max_new_tokens,
        temperature=config.rollouts.temperature,
        top_p=config.rollouts.top_p,
        end_ids=end_ids_of(tokenizer, generation),
    )
    deck = Deck(len(problems), config.run.seed)
    progress = Progress(deck, _kl_controller(algorithm), fingerprint(problems), config.guard)
    return Run(
        config,
        learner,
        Collector(engine, expression, tokenizer, workers.rank, workers.num_processes),
        engine,
        sampling,
        problems,
        evaluation[: config.evaluation.prompts],
        skipped,
        progress,
        tokenizer,
    )


def _check_length(policy: Policy, longest: int, new: int) -> None:
    positions = getattr(policy.base.config.get_text_config(), "max_position_embeddings", None)
    if positions and longest + new > positions:
        raise ConfigError(
            f"a prompt of {longest} tokens and rollouts.max_new_tokens = {new} are more than the model's "
            f"{positions} positions; lower data.max_prompt_tokens or rollouts.max_new_tokens"
        )


def _learner(config: RLConfig, algorithm: Algorithm, policy: Policy, workers: Workers) -> Learner:
    reference = critic = None
    if algorithm.kl_coef > 0:
        reference = _reference(config, policy, workers)
    if algorithm.needs_critic:
        own = load_policy(config.critic.path) if config.critic.path else None
        critic = CriticLearner(
            make_critic(policy, shared=config.critic.shared, own=own),
            learning_rate=config.critic.learning_rate,
            clip=config.optimizer.clip,
            device=workers.device,
            offload=config.offload.critic,
        )
    workers.prepare(policy, make_optimizer(policy, config.optimizer))
    # Dropout would make the log-probs of the update other than the sampler's: RL trains without it.
    policy.eval()
    return Learner(
        policy,
        workers,
        algorithm,
        config.update,
        0,  # what stands in padding is never seen; a pad token that was added has no row in the embedding
        config.rollouts.temperature,
        config.rollouts.max_new_tokens,
        reference,
        critic,
        # DeepSpeed's optimiser holds its state its own way.
        offload_optimizer=config.offload.optimizer and isinstance(workers, Plain),
    )


def _reference(config: RLConfig, policy: Policy, workers: Workers) -> Reference:
    own = None
    if isinstance(workers, Zero) and workers.in_pieces and not config.model.lora:  # pieces cannot be copied
        own = load_policy(config.model.path, attention=config.model.attention)
        workers.hold(own)
    return Reference(policy, device=workers.device, offload=config.offload.reference, own=own)


def _engine(config: RLConfig, policy: Policy, *, max_length: int) -> Any:
    """max_length: of prompt and completion, in tokens; what vLLM must find room for."""
    rollouts = config.rollouts
    if rollouts.engine == "vllm":
        from proctor.rl.rollouts.vllm_engine import VllmEngine

        return VllmEngine(
            Path(config.model.path),
            dtype=torch.bfloat16 if wants_bfloat16(config.model.precision) else torch.float32,
            max_model_len=max_length,
            max_num_seqs=rollouts.max_rows,
            lora_rank=config.model.lora_rank if config.model.lora else None,
            gpu_memory_utilization=rollouts.gpu_memory,
            seed=config.run.seed,
        )
    if rollouts.engine == "server":
        hook = find_hook(rollouts.server_sync)
        key = os.environ.get(rollouts.server_key, "")
        return ServerEngine(rollouts.server_url, model=rollouts.server_model, api_key=key, hook=hook)
    return LocalEngine(policy.model, max_rows=rollouts.max_rows)


def _kl_controller(algorithm: Algorithm) -> FixedKL | AdaptiveKL:
    if algorithm.kl_target is None:
        return FixedKL(algorithm.kl_coef)
    return AdaptiveKL(algorithm.kl_coef, algorithm.kl_target)
