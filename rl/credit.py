"""Advantages per token: rewards land on tokens, flow back in time, and are whitened over the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from proctor.rl.algorithms.kl import kl_estimate
from proctor.rl.algorithms.masked import high_entropy_mask, whiten
from proctor.rl.algorithms.presets import Algorithm
from proctor.rl.algorithms.returns import discounted_returns, gae, token_rewards
from proctor.rl.rows import Row, with_tensors


def with_token_advantages(
    rows: Sequence[Row], rewards: Sequence[float], algorithm: Algorithm, *, kl_coef: float
) -> list[Row]:
    """The rows with advantages of the algorithm's estimator; with `gae`, which reads `values`, with returns too.

    A completion's reward lands on its last token, a KL in the reward on each token's own. What is whitened is
    the batch's advantages, never the returns; where all are equal they are 0.
    """
    found = [_estimate(row, reward, algorithm, kl_coef) for row, reward in zip(rows, rewards, strict=True)]
    flat = torch.cat([advantages for advantages, _ in found])
    # Equal ones differ by rounding alone, which whitening would blow up.
    whitened = torch.zeros_like(flat) if flat.min() == flat.max() else whiten(flat, torch.ones_like(flat))
    rows = with_tensors(rows, "advantages", whitened.split([len(row) for row in rows]))
    return with_tensors(rows, "returns", [returns for _, returns in found])


def _estimate(row: Row, reward: float, algorithm: Algorithm, kl_coef: float) -> tuple[Tensor, Tensor]:
    """Advantages, not whitened, and returns, both (L,)."""
    mask = torch.ones((1, len(row)))
    kl = None
    if algorithm.kl_placement == "reward" and row.ref_logp is not None:
        kl = kl_estimate(row.sampler_logp, row.ref_logp, algorithm.kl_estimator)[None]
    rewards = token_rewards(torch.tensor([reward]), mask, kl=kl, kl_coef=kl_coef)
    if not algorithm.needs_critic:
        returns = discounted_returns(rewards, mask, gamma=algorithm.gamma)
        return returns[0], returns[0]
    assert row.values is not None
    advantages, returns = gae(
        rewards, row.values[None], mask, gamma=algorithm.gamma, lam=algorithm.gae_lambda, whitened=False
    )
    return advantages[0], returns[0]


def at_high_entropy(rows: Sequence[Row], entropies: Sequence[Tensor], *, share: float) -> list[Row]:
    """The rows with advantages on that share of all tokens whose entropy is the highest, and 0 on the others.

    Token losses are proportional to the advantage; what else is in the loss, a KL for one, keeps all tokens.
    """
    flat = torch.cat(list(entropies))
    chosen = high_entropy_mask(flat, torch.ones_like(flat), quantile=1.0 - share)
    parts = chosen.split([len(row) for row in rows])
    return [replace(row, advantages=row.advantages * keep) for row, keep in zip(rows, parts, strict=True)]
