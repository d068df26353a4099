"""From the section [algorithm] of a config to the algorithm: a preset, with the pieces that are named."""

from __future__ import annotations

from collections.abc import Collection

from proctor.rl.algorithms.check import AlgorithmError, check
from proctor.rl.algorithms.presets import Algorithm, preset
from proctor.rl.settings import AlgorithmSettings
from proctor.sft.config import ConfigError


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
    in_loss = algorithm.kl_coef > 0 and algorithm.kl_placement == "loss"
    needs = {
        "gamma": (algorithm.by_token, "advantage = 'gae' or 'discounted_returns'"),
        "gae_lambda": (algorithm.needs_critic, "advantage = 'gae'"),
        "value_clip": (algorithm.needs_critic, "advantage = 'gae'"),
        "kl_target": (algorithm.kl_coef > 0, "a kl_coef to start from"),
        "kl_estimator": (algorithm.kl_coef > 0, "a kl_coef"),
        "kl_placement": (algorithm.kl_coef > 0, "a kl_coef"),
        "kl_gradient": (in_loss, "a kl_coef and kl_placement = 'loss'"),
        "kl_off_policy": (in_loss, "a kl_coef and kl_placement = 'loss'"),
    }
    for name, (is_used, need) in needs.items():
        if name in pieces and not is_used:
            raise ConfigError(f"[algorithm]: {name} = {pieces[name]} has no effect; it needs {need}")
    return algorithm
