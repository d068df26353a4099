"""What can be known of a config before anything is loaded or sampled: the reward, the algorithm, contradictions."""

from __future__ import annotations

import os

from proctor.rl.algorithms.presets import Algorithm
from proctor.rl.choice import choose_algorithm
from proctor.rl.rollouts.server_engine import find_hook
from proctor.rl.settings import RLConfig
from proctor.sft.config import ConfigError, read_reward
from proctor.sft.learner import zero_stage
from proctor.verifiers.expression import Expression


def check_config(config: RLConfig) -> tuple[Expression, Algorithm]:
    """What can be known without loading anything: the reward, the algorithm, what must be set.

    Raises ConfigError.
    """
    for name, value in (
        ("model.path", config.model.path),
        ("data.train", config.data.train),
        ("reward.expression", config.reward.expression),
    ):
        if not value:
            raise ConfigError(f"'{name}' is required and has no value; set it or pass --{name}")
    expression = read_reward("reward.expression", config.reward.expression, config.reward.load)
    algorithm = choose_algorithm(config.algorithm, expression.plan.parts)
    if zero_stage(config.parallel) == 3:
        _check_pieces(config, needs_critic=algorithm.needs_critic)
    if config.model.quantize != "none" and config.rollouts.engine == "vllm":
        raise ConfigError(
            "model.quantize: vLLM would sample from the whole weights, not from the quantised policy; "
            "set rollouts.engine = 'transformers', or quantize = 'none'"
        )
    if config.update.max_staleness is not None and algorithm.by_token:
        raise ConfigError(
            f"update.max_staleness is of completions below average; '{algorithm.advantage}' judges tokens"
        )
    if config.rollouts.samples == 1 and algorithm.within_groups:
        raise ConfigError(
            f"rollouts.samples = 1: '{algorithm.advantage}' compares the completions of a prompt, so with one of "
            "each nothing would ever be trained; take 2 or more, or an advantage such as 'batch_baseline'"
        )
    if config.evaluation.every and not config.data.evaluation:
        raise ConfigError(
            f"evaluation.every = {config.evaluation.every} has no effect; it needs data.evaluation"
        )
    if config.parallel.offload and not config.parallel.zero:
        raise ConfigError("parallel.offload = True has no effect; it needs parallel.zero")
    if config.critic.warmup_steps and not algorithm.needs_critic:
        raise ConfigError(
            f"critic.warmup_steps = {config.critic.warmup_steps}: '{config.algorithm.name}' has no critic, and the "
            "policy would not be trained in these steps; leave it out"
        )
    if config.critic.path and config.critic.shared:
        raise ConfigError(
            f"critic.path = '{config.critic.path}' has no effect with critic.shared; leave one of them out"
        )
    if config.offload.sampler and config.rollouts.engine != "vllm":
        raise ConfigError("offload.sampler is vLLM's sleep mode; it needs rollouts.engine = 'vllm'")
    if config.rollouts.engine == "server":
        for name in ("server_url", "server_sync"):
            if not getattr(config.rollouts, name):
                raise ConfigError(f"training with rollouts.engine = 'server' needs rollouts.{name}")
        find_hook(config.rollouts.server_sync)
        if config.rollouts.server_key and config.rollouts.server_key not in os.environ:
            raise ConfigError(f"rollouts.server_key: the environment has no {config.rollouts.server_key}")
    return expression, algorithm


def _check_pieces(config: RLConfig, *, needs_critic: bool) -> None:
    """What cannot be where ZeRO-3 gives every process a piece of the weights."""
    if config.rollouts.engine == "transformers":
        raise ConfigError("zero = 3 shards the weights, so the policy cannot sample; set engine = 'vllm'")
    if needs_critic and not config.critic.shared:
        raise ConfigError("zero = 3 has no whole policy to copy a critic from; set critic.shared = true")
    if config.offload.reference:
        raise ConfigError(
            "with zero = 3 what waits on the CPU is parallel.offload's, not offload.reference's"
        )
