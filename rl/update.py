"""One optimiser step of the policy (and of the critic) from rows: micro-batches in, statistics out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from proctor.rl.algorithms.correction import SamplerGap, sampler_gap
from proctor.rl.algorithms.kl import kl_estimate
from proctor.rl.algorithms.losses import value_loss
from proctor.rl.objective import Objective
from proctor.rl.rows import MicroBatch, Row
from proctor.rl.sharing import gather

Forward = Callable[..., Any]  # of a policy or a critic


@dataclass(frozen=True, slots=True)
class StepStats:
    """What one optimiser step saw, over its sampled tokens."""

    loss: float
    grad_norm: float  # before clipping; NaN or inf where the step was spoilt
    entropy: float  # mean, nats; NaN where it was not asked for
    kl: float  # mean k3 to the reference; NaN without one
    clipped_low: float  # share of tokens that the loss clipped, the ratio too low; NaN without a clip
    clipped_high: float  # the ratio too high
    gap: SamplerGap  # between sampler and trainer
    num_tokens: int  # sampled tokens in the loss


def policy_losses(
    policy: nn.Module,
    objective: Objective,
    micros: Iterable[MicroBatch],
    *,
    temperature: float,
    entropy: bool,
) -> Iterable[tuple[Tensor, MicroBatch, Tensor, Tensor | None]]:
    """For each micro-batch its loss, ready for backward, and its log-probs and entropies (N,) without one."""
    options = {"temperature": temperature, "entropy": entropy}
    for micro in micros:
        if objective.by_sequence:
            out = policy(micro.batch, **options)
            loss = objective.dense(micro, out.logp, out.entropy)
        else:
            out = policy(micro.batch, objective.flat(micro), **options)
            loss = out.loss
        yield loss, micro, out.logp.detach(), None if out.entropy is None else out.entropy.detach()


@torch.no_grad()
def logprobs(policy: Forward, micros: Iterable[MicroBatch], *, temperature: float) -> dict[int, Tensor]:
    """Log-probs of the rows' tokens, by row one (L,) tensor, on the CPU, without gradient."""
    found: dict[int, Tensor] = {}
    for micro in micros:
        _scatter(found, micro, policy(micro.batch, temperature=temperature).logp)
    return found


@torch.no_grad()
def entropies(policy: Forward, micros: Iterable[MicroBatch], *, temperature: float) -> dict[int, Tensor]:
    """Entropies of what the rows' tokens were drawn from, nats, as `logprobs` gives log-probs."""
    found: dict[int, Tensor] = {}
    for micro in micros:
        _scatter(found, micro, policy(micro.batch, temperature=temperature, entropy=True).entropy)
    return found


@torch.no_grad()
def token_values(critic: Forward, micros: Iterable[MicroBatch]) -> dict[int, Tensor]:
    """The critic's values of the rows' tokens, by row one (L,) tensor, on the CPU."""
    found: dict[int, Tensor] = {}
    for micro in micros:
        _scatter(found, micro, critic(micro.batch))
    return found


def critic_losses(
    critic: Forward, rows: Sequence[Row], micros: Iterable[MicroBatch], *, clip: float | None
) -> Iterable[Tensor]:
    """The critic's token-mean loss in parts that add up over the micro-batches."""
    total = sum(len(row) for row in rows)
    for micro in micros:
        values = critic(micro.batch)
        old, returns = (micro.flat([getattr(row, name) for row in rows]) for name in ("values", "returns"))
        yield value_loss(values, old, returns, clip=clip).sum() / total


class Tally:
    """Sums statistics over the micro-batches of a step."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._loss = 0.0
        self._entropy: list[Tensor] = []
        self._logp: list[Tensor] = []
        self._old: list[Tensor] = []
        self._sampler: list[Tensor] = []
        self._ref: list[Tensor] = []
        self._clipped: list[tuple[int, int] | None] = []

    def add(self, loss: Tensor, micro: MicroBatch, logp: Tensor, entropy: Tensor | None) -> None:
        rows = self._objective.rows
        self._loss += float(loss.detach())
        self._logp.append(logp)
        self._sampler.append(micro.flat([row.sampler_logp for row in rows]))
        self._clipped.append(self._objective.clipped(micro, logp))
        if entropy is not None:
            self._entropy.append(entropy)
        if rows[0].old_logp is not None:
            self._old.append(micro.flat([row.old_logp for row in rows]))
        if rows[0].ref_logp is not None:
            self._ref.append(micro.flat([row.ref_logp for row in rows]))

    def merge(self, num_processes: int) -> None:
        """Takes in the other processes' micro-batches, so that all see, and decide on, the same numbers."""
        names = ("_entropy", "_logp", "_old", "_sampler", "_ref")
        own = {name: [part.cpu() for part in getattr(self, name)] for name in names}
        parts = gather((self._loss, self._clipped, own), num_processes)
        self._loss = sum(loss for loss, _, _ in parts)
        self._clipped = [counts for _, clipped, _ in parts for counts in clipped]
        for name in names:
            setattr(self, name, [part for _, _, columns in parts for part in columns[name]])

    def stats(self, grad_norm: float) -> StepStats:
        logp = torch.cat(self._logp)
        old = torch.cat(self._old) if self._old else logp
        nan = float("nan")
        kl = kl_estimate(logp, torch.cat(self._ref), "k3").mean().item() if self._ref else nan
        entropy = torch.cat(self._entropy).mean().item() if self._entropy else nan
        gap = sampler_gap(old, torch.cat(self._sampler), torch.ones_like(logp))
        counts = [each for each in self._clipped if each is not None]
        low, high = (sum(side) / logp.numel() for side in zip(*counts, strict=True)) if counts else (nan, nan)
        return StepStats(self._loss, grad_norm, entropy, kl, low, high, gap, logp.numel())


def _scatter(found: dict[int, Tensor], micro: MicroBatch, flat: Tensor) -> None:
    lengths = micro.mask.sum(-1).tolist()
    for row, part in zip(micro.rows, flat.float().cpu().split(lengths), strict=True):
        found[row] = part
