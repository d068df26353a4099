"""What can be known of a config before anything is loaded or sampled: the reward, the algorithm, contradictions."""

from __future__ import annotations

import os
from collections.abc import Collection

from proctor.rl.algorithms.check import AlgorithmError, check
from proctor.rl.algorithms.presets import Algorithm, preset
from proctor.rl.rollouts.server_engine import find_hook
from proctor.rl.settings import AlgorithmSettings, RLConfig
from proctor.sft.config import ConfigError, read_reward
from proctor.verifiers.expression import Expression
from proctor.verifiers.files.loading import load_parts


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
    load_parts(config.reward.load)
    expression = read_reward("reward.expression", config.reward.expression)
    algorithm = choose_algorithm(config.algorithm, expression.plan.parts)
    if config.parallel.zero == 3 and config.rollouts.engine == "transformers":
        raise ConfigError("zero = 3 shards the weights, so the policy cannot sample; set engine = 'vllm'")
    if config.update.max_staleness is not None and algorithm.by_token:
        raise ConfigError(
            f"update.max_staleness is of completions below average; '{algorithm.advantage}' judges tokens"
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


def choose_algorithm(settings: AlgorithmSettings, parts: Collection[str]) -> Algorithm:
    """The preset with the config's pieces. parts: of the reward.

    Raises ConfigError for what does not exist, does not go together, or would have no effect.
    """
    given = settings.model_dump(exclude={"name"})
    pieces = {name: value for name, value in given.items() if value is not None and value != {}}
    try:
        algorithm = preset(settings.name, **pieces)
        check(algorithm, parts)
    except (KeyError, AlgorithmError) as error:
        raise ConfigError(f"[algorithm]: {error.args[0]}") from error
    needs = {
        "gamma": (algorithm.by_token, "advantage = 'gae' or 'discounted_returns'"),
        "gae_lambda": (algorithm.needs_critic, "advantage = 'gae'"),
        "value_clip": (algorithm.needs_critic, "advantage = 'gae'"),
        "kl_target": (algorithm.kl_coef > 0, "a kl_coef to start from"),
        "kl_gradient": (algorithm.kl_placement == "loss", "kl_placement = 'loss'"),
        "kl_off_policy": (algorithm.kl_placement == "loss", "kl_placement = 'loss'"),
    }
    for name, (is_used, need) in needs.items():
        if name in pieces and not is_used:
            raise ConfigError(f"[algorithm]: {name} = {pieces[name]} has no effect; it needs {need}")
    return algorithm
