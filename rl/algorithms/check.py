"""Whether an algorithm's pieces exist and take their options: found by trying each on two tokens."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from proctor.rl.algorithms import advantages as _advantages  # noqa: F401 - fills the table
from proctor.rl.algorithms import losses as _losses  # noqa: F401 - fills the table
from proctor.rl.algorithms.kl import ESTIMATORS
from proctor.rl.algorithms.masked import AGGREGATIONS
from proctor.rl.algorithms.presets import BY_TOKEN, Algorithm
from proctor.rl.algorithms.registry import ADVANTAGES, LOSSES, find, options_of
from proctor.verifiers.spelling import did_you_mean

_GIVEN = ("lengths", "weights_K")  # keywords that are not the user's


class AlgorithmError(ValueError):
    """A piece that does not exist, or does not take what it is given."""


def check(algorithm: Algorithm, parts: Collection[str]) -> None:
    """Raises AlgorithmError for the first mistake. parts: those of the reward, which `weights` may name."""
    _known("aggregation", algorithm.aggregation, AGGREGATIONS)
    _known("kl_estimator", algorithm.kl_estimator, ESTIMATORS)
    _known("loss", algorithm.loss, LOSSES)
    _known("advantage", algorithm.advantage, (*ADVANTAGES, *BY_TOKEN))
    for name in ("clip_low", "clip_high"):
        value = algorithm.loss_options.get(name)
        if isinstance(value, (int, float)) and not value >= 0:
            raise AlgorithmError(
                f"loss_options: {name} = {value} must be 0 or more, the distance from a ratio of 1"
            )
    loss = find(LOSSES, algorithm.loss)
    pair, ones = torch.zeros(1, 2), torch.ones(1, 2)
    _try("loss", algorithm.loss, loss, (pair, pair, ones, ones), algorithm.loss_options)
    _check_advantage(algorithm, parts)


def _check_advantage(algorithm: Algorithm, parts: Collection[str]) -> None:
    options = dict(algorithm.advantage_options)
    if algorithm.by_token:
        if options:
            raise AlgorithmError(f"advantage '{algorithm.advantage}' takes no advantage_options")
        return
    rewards = torch.tensor([0.0, 1.0], dtype=torch.float64)
    given: dict[str, Any] = {"lengths": torch.ones(2)}
    if algorithm.by_part:
        if algorithm.kl_coef and algorithm.kl_placement == "reward":
            raise AlgorithmError(f"advantage '{algorithm.advantage}' sees no total to take a KL from")
        weights = _weights(algorithm.advantage, options.pop("weights", None), parts)
        rewards, given["weights_K"] = rewards[:, None].expand(2, len(weights)), weights
    estimate = find(ADVANTAGES, algorithm.advantage)
    groups = torch.zeros(2, dtype=torch.long)
    _try("advantage", algorithm.advantage, estimate, (rewards, groups), options, **given)


def _weights(name: str, given: object, parts: Collection[str]) -> Tensor:
    """(K,) the weights of the parts that the option names."""
    if not isinstance(given, Mapping) or not given:
        raise AlgorithmError(f"advantage '{name}' needs advantage_options.weights: a number for each part")
    for part in given:
        _known("part of the reward in advantage_options.weights:", part, parts)
    try:
        return torch.tensor([float(weight) for weight in given.values()], dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise AlgorithmError(f"advantage_options.weights are numbers, not {dict(given)}") from error


def _known(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        hint = did_you_mean(name, known)
        raise AlgorithmError(f"unknown {what} '{name}'{hint}; known: {', '.join(sorted(known))}")


def _try(
    what: str,
    name: str,
    function: Callable[..., Tensor],
    arguments: tuple[Tensor, ...],
    options: Mapping[str, Any],
    **given: Any,
) -> None:
    takes = {option: default for option, default in options_of(function).items() if option not in _GIVEN}
    for option in options:
        _known(f"option of {what} '{name}':", option, takes)
    missing = [each for each, default in takes.items() if default is inspect.Parameter.empty]
    if set(missing) - set(options):
        raise AlgorithmError(f"{what} '{name}' needs {what}_options: {', '.join(missing)}")
    try:
        function(*arguments, **given, **options)
    except Exception as error:  # the border to a function that may be the user's
        raise AlgorithmError(f"{what} '{name}' does not take {dict(options)}: {error}") from error
