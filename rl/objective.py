"""The loss of a micro-batch: policy loss, sampler correction, KL and entropy, already weighted to add up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from proctor.rl.algorithms import losses as _losses  # noqa: F401 - fills the table
from proctor.rl.algorithms.correction import divergence_mask, importance_weights
from proctor.rl.algorithms.kl import kl_estimate, off_policy_kl
from proctor.rl.algorithms.masked import sequence_weights
from proctor.rl.algorithms.presets import Algorithm
from proctor.rl.algorithms.registry import BY_SEQUENCE, LOSSES, clipped, find
from proctor.rl.rows import MicroBatch, Row


@dataclass(frozen=True, slots=True)
class Correction:
    """How the sampler's other probabilities are made up for; see algorithms/correction.py."""

    level: str = "token"
    mode: str = "truncate"  # or mask; or a measure of divergence_mask
    low: float | None = None
    high: float = 2.0
    limit: float = 0.02  # of the divergence

    def weights(self, old_logp: Tensor, sampler_logp: Tensor, mask: Tensor) -> Tensor:
        """What token losses are multiplied with, (B, T) or (B, 1)."""
        given = (old_logp, sampler_logp, mask)
        if self.mode in ("truncate", "mask"):
            bounds = (self.low, self.high)
            return importance_weights(*given, level=self.level, mode=self.mode, bounds=bounds)
        level = "token" if self.level == "token" else "sequence"
        agrees = divergence_mask(*given, measure=self.mode, limit=self.limit, level=level)
        return importance_weights(*given, bounds=(None, math.inf)) * agrees


@dataclass(frozen=True, slots=True)
class Objective:
    """An algorithm's loss over the rows of one optimiser step.

    Divisors count these rows. Groups of equal rewards are not among them, as under dynamic sampling (DAPO,
    arXiv:2503.14476): the papers of GRPO and Dr. GRPO, and TRL, count such rows too and have smaller gradients
    where there are many.
    """

    algorithm: Algorithm
    rows: Sequence[Row]
    max_new_tokens: int  # the constant of Dr. GRPO
    kl_coef: float = 0.0
    correction: Correction | None = None
    weights: list[Tensor] = field(init=False)  # of each row's tokens, (L,)

    def __post_init__(self) -> None:
        lengths = torch.tensor([len(row) for row in self.rows])
        per_row = sequence_weights(lengths, self.algorithm.aggregation, constant=self.max_new_tokens)
        weights = [torch.full((len(row),), float(w)) for row, w in zip(self.rows, per_row, strict=True)]
        object.__setattr__(self, "weights", weights)

    @property
    def by_sequence(self) -> bool:
        """Whether the loss needs whole rows at once, and cannot be fused into the head."""
        by_sequence = self.correction is not None and self.correction.level != "token"
        return self.algorithm.loss in BY_SEQUENCE or by_sequence

    @property
    def kl_in_loss(self) -> bool:
        return self.kl_coef > 0 and self.algorithm.kl_placement == "loss"

    def flat(self, micro: MicroBatch) -> Callable[[Tensor, Tensor | None, slice], Tensor]:
        """For the fused head: weighted losses of any slice of the micro-batch's N tokens."""
        columns = self._columns(micro)

        def token_loss(logp: Tensor, entropy: Tensor | None, tokens: slice) -> Tensor:
            part = {name: column[tokens].unsqueeze(0) for name, column in columns.items()}
            entropies = None if entropy is None else entropy.unsqueeze(0)
            ones = torch.ones_like(logp).unsqueeze(0)
            return self._token_losses(logp.unsqueeze(0), entropies, part, ones)[0]

        return token_loss

    def dense(self, micro: MicroBatch, logp: Tensor, entropy: Tensor | None) -> Tensor:
        """The micro-batch's loss, a scalar, from log-probs (N,) that carry the gradient."""
        columns = {name: micro.padded(column) for name, column in self._columns(micro).items()}
        entropies = None if entropy is None else micro.padded(entropy)
        mask = micro.mask.to(logp.dtype)
        return (self._token_losses(micro.padded(logp), entropies, columns, mask) * mask).sum()

    def clipped(self, micro: MicroBatch, logp: Tensor) -> tuple[int, int] | None:
        """Tokens (N,) that the loss clips, from below and from above; None where it has no clip."""
        columns = {name: micro.padded(column) for name, column in self._columns(micro).items()}
        logp = micro.padded(logp)
        old_logp, mask = columns.get("old_logp", logp), micro.mask.to(logp.dtype)
        options = self.algorithm.loss_options
        found = clipped(self.algorithm.loss, logp, old_logp, columns["advantages"], mask, **options)
        return None if found is None else (int(found[0].sum()), int(found[1].sum()))

    def _token_losses(
        self, logp: Tensor, entropy: Tensor | None, columns: Mapping[str, Tensor], mask: Tensor
    ) -> Tensor:
        """(B, T) losses with their weights; they are summed and never divided again."""
        algorithm = self.algorithm
        old_logp = columns["old_logp"] if "old_logp" in columns else logp.detach()
        loss_of = find(LOSSES, algorithm.loss)
        losses = loss_of(logp, old_logp, columns["advantages"], mask, **algorithm.loss_options)
        if self.correction is not None:
            losses = losses * self.correction.weights(old_logp, columns["sampler_logp"], mask)
        if self.kl_in_loss:
            kl = kl_estimate(
                logp, columns["ref_logp"], algorithm.kl_estimator, gradient=algorithm.kl_gradient
            )
            if algorithm.kl_off_policy:
                kl = off_policy_kl(kl, logp, old_logp, gradient=algorithm.kl_gradient)
            losses = losses + self.kl_coef * kl
        if entropy is not None and algorithm.entropy_coef:
            losses = losses - algorithm.entropy_coef * entropy
        return losses * columns["weights"]

    def _columns(self, micro: MicroBatch) -> dict[str, Tensor]:
        columns = {
            "advantages": micro.flat([row.advantages for row in self.rows]),
            "sampler_logp": micro.flat([row.sampler_logp for row in self.rows]),
            "weights": micro.flat(self.weights),
        }
        for name in ("old_logp", "ref_logp"):
            values = [getattr(row, name) for row in self.rows]
            if values and values[0] is not None:
                columns[name] = micro.flat(values)
        return columns
