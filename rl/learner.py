"""Turns settled experiences into updates of the policy and the critic."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from proctor.rl.algorithms.correction import stale_sequence_mask
from proctor.rl.algorithms.kl import kl_estimate
from proctor.rl.algorithms.presets import Algorithm
from proctor.rl.credit import at_high_entropy, with_token_advantages
from proctor.rl.critic import Critic
from proctor.rl.experience import Experience
from proctor.rl.ledger import Fate
from proctor.rl.objective import Correction, Objective
from proctor.rl.offload import lent
from proctor.rl.recompute import recomputing
from proctor.rl.reference import Reference
from proctor.rl.rows import MicroBatch, Row, cut, with_tensors
from proctor.rl.settings import UpdateSettings
from proctor.rl.sharing import gather, share, sum_gradients
from proctor.rl.update import (
    StepStats,
    Tally,
    critic_losses,
    entropies,
    logprobs,
    policy_losses,
    token_values,
)
from proctor.sft.model import Policy
from proctor.sft.optimizer import own_settings
from proctor.sft.parallel import Workers


class CriticLearner:
    """A critic with its optimiser."""

    def __init__(
        self,
        critic: Critic,
        *,
        learning_rate: float,
        clip: float,
        device: torch.device,
        offload: bool = False,
    ) -> None:
        """clip: largest gradient norm, 0: none. offload: between uses critic and optimiser state are on the CPU."""
        self.critic = critic.to("cpu" if offload else device)
        self.clip = clip
        self._device, self._offload = device, offload
        parameters = [parameter for parameter in critic.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)

    def at_hand(self) -> AbstractContextManager[None]:
        """Inside, the critic is on the device; reading values and `step` want it there."""
        return lent(self.critic, self._optimizer, to=self._device, offload=self._offload)

    def step(
        self, rows: Sequence[Row], micros: Sequence[MicroBatch], *, value_clip: float | None, workers: Workers
    ) -> None:
        """One optimiser step, each process on its micro-batches."""
        own = micros[workers.rank :: workers.num_processes]
        with recomputing(self.critic):
            for loss in critic_losses(workers.autocast(self.critic), rows, own, clip=value_clip):
                loss.backward()
        sum_gradients(self.critic.parameters(), workers.num_processes)
        torch.nn.utils.clip_grad_norm_(self.critic.parameters(), self.clip or float("inf"))
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        return {"critic": self.critic.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.critic.load_state_dict(state["critic"])
        with own_settings(self._optimizer):
            self._optimizer.load_state_dict(state["optimizer"])


@dataclass(slots=True)
class Learner:
    """Everything that learns, and how."""

    policy: Policy
    workers: Workers
    algorithm: Algorithm
    settings: UpdateSettings
    pad_id: int
    temperature: float
    max_new_tokens: int
    reference: Reference | None = None
    critic: CriticLearner | None = None
    offload_optimizer: bool = False  # between updates its state is on the CPU

    @property
    def _kl_in_reward(self) -> bool:
        """Whether a KL is taken from each completion's reward, and not from its tokens'."""
        in_reward = self.algorithm.kl_placement == "reward" and not self.algorithm.by_token
        return in_reward and self.reference is not None

    def with_reference(self, experiences: Sequence[Experience]) -> list[Experience]:
        """The experiences with the reference's log-probs, where a KL in the reward needs them before settling."""
        if not self._kl_in_reward:
            return list(experiences)
        found = self._with_reference(_plain_rows(experiences))
        return [
            replace(each, ref_logp=tuple(row.ref_logp.tolist()))
            for each, row in zip(experiences, found, strict=True)
            if row.ref_logp is not None
        ]

    def kl_penalties(self, experiences: Sequence[Experience], *, kl_coef: float) -> list[float] | None:
        """What a KL in the reward takes from each completion; None where the KL stands elsewhere.

        kl_coef times the KL summed over the tokens, from the sampler's log-probs.
        """
        if not self._kl_in_reward or kl_coef == 0:
            return None
        kind = self.algorithm.kl_estimator
        return [
            kl_coef * float(kl_estimate(row.sampler_logp, row.ref_logp, kind).sum())
            for row in _plain_rows(experiences)
        ]

    def rows(self, experiences: Sequence[Experience], *, kl_coef: float) -> list[Row]:
        """One row per experience, with what the update needs of reference, old policy and critic."""
        rows = self._with_reference(_plain_rows(experiences))
        if not self.is_on_policy:
            rows = with_tensors(rows, "old_logp", self._whole(self._logprobs(self.policy, rows)))
        if self.critic is not None:
            with self.critic.at_hand():
                critic = self.workers.autocast(self.critic.critic)
                values = self._whole(token_values(critic, self._own(rows)))
            rows = with_tensors(rows, "values", values)
        if self.algorithm.by_token:
            rewards = [each.reward for each in experiences]
            rows = with_token_advantages(rows, rewards, self.algorithm, kl_coef=kl_coef)
        if self.settings.top_entropy < 1:
            policy = self.workers.autocast(self.policy)
            found = entropies(policy, self._own(rows), temperature=self.temperature)
            rows = at_high_entropy(rows, self._whole(found), share=self.settings.top_entropy)
        return rows

    def with_stale(self, experiences: Sequence[Experience]) -> list[Experience]:
        """The experiences, with the fate of those that the policy has moved too far away from. Collective."""
        limit = self.settings.max_staleness
        kept = list(experiences)
        below = [
            place
            for place, each in enumerate(kept)
            if each.fate is Fate.TRAINED and each.advantage < 0  # the others are never stale
        ]
        if limit is None or not below:
            return kept
        rows = _plain_rows([kept[place] for place in below])
        found = self._whole(self._logprobs(self.policy, rows))
        for place, row, logp in zip(below, rows, found, strict=True):
            columns = (logp[None], row.sampler_logp[None], row.advantages[None], torch.ones(1, len(row)))
            if not stale_sequence_mask(*columns, limit=limit).item():
                kept[place] = replace(kept[place], fate=Fate.STALE)
        return kept

    @property
    def is_on_policy(self) -> bool:
        """One step per batch of rollouts: the old log-probs are the current ones and need no pass."""
        return self.settings.minibatches == 1 and self.settings.epochs == 1

    def update(self, rows: Sequence[Row], *, kl_coef: float, train_policy: bool = True) -> list[StepStats]:
        """One optimiser step per minibatch and epoch, in order. Collective; at least a row per process."""
        found = []
        count = min(self.settings.minibatches, len(rows) // self.workers.num_processes)
        parts = [
            share(len(rows), number, count) for _ in range(self.settings.epochs) for number in range(count)
        ]
        with ExitStack() as stack:
            if train_policy:
                optimizer, device = self.workers.optimizer, self.workers.device
                stack.enter_context(lent(None, optimizer, to=device, offload=self.offload_optimizer))
            if self.critic is not None:
                stack.enter_context(self.critic.at_hand())
            for chosen in parts:
                part = rows[chosen.start : chosen.stop]
                micros = self._cut(part)
                if self.critic is not None:
                    clip = self.algorithm.value_clip
                    self.critic.step(part, micros, value_clip=clip, workers=self.workers)
                if train_policy:
                    found.append(self._policy_step(part, micros, kl_coef=kl_coef))
        return found

    def _with_reference(self, rows: list[Row]) -> list[Row]:
        if self.reference is None or all(row.ref_logp is not None for row in rows):
            return rows
        with self.reference.active() as reference:
            found = self._logprobs(reference, rows)
        return with_tensors(rows, "ref_logp", self._whole(found))

    def _policy_step(self, rows: Sequence[Row], micros: Sequence[MicroBatch], *, kl_coef: float) -> StepStats:
        correction = None
        if self.settings.correction != "none":
            correction = Correction(
                self.settings.correction,
                self.settings.correction_mode,
                self.settings.correction_low,
                self.settings.correction_high,
                self.settings.correction_limit,
            )
        objective = Objective(self.algorithm, rows, self.max_new_tokens, kl_coef, correction)
        tally = Tally(objective)
        entropy = self.settings.entropy or bool(self.algorithm.entropy_coef)
        own = micros[self.workers.rank :: self.workers.num_processes]
        losses = policy_losses(
            self.workers.module, objective, own, temperature=self.temperature, entropy=entropy
        )
        with recomputing(self.policy):
            for number, (loss, micro, logp, each_entropy) in enumerate(losses, start=1):
                self.workers.accumulate(loss, is_last=number == len(own))
                tally.add(loss, micro, logp, each_entropy)
        tally.merge(self.workers.num_processes)
        return tally.stats(self.workers.step())

    def _logprobs(self, policy: Policy, rows: Sequence[Row]) -> dict[int, Tensor]:
        """Of this process' rows."""
        return logprobs(self.workers.autocast(policy), self._own(rows), temperature=self.temperature)

    def _own(self, rows: Sequence[Row]) -> list[MicroBatch]:
        """This process' micro-batches; all of them where there are too few rows to share out."""
        if len(rows) < self.workers.num_processes:
            return self._cut(rows, multiple_of=1)
        return self._cut(rows)[self.workers.rank :: self.workers.num_processes]

    def _whole(self, found: dict[int, Tensor]) -> list[Tensor]:
        """All rows' tensors in order, from what the processes found. Collective."""
        parts = gather(found, self.workers.num_processes)
        merged = {row: value for part in parts for row, value in part.items()}
        return [merged[row] for row in range(len(merged))]

    def _cut(self, rows: Sequence[Row], *, multiple_of: int | None = None) -> list[MicroBatch]:
        return cut(
            rows,
            token_budget=self.settings.token_budget,
            pad_id=self.pad_id,
            device=self.workers.device,
            multiple_of=multiple_of or self.workers.num_processes,
        )


def _plain_rows(experiences: Sequence[Experience]) -> list[Row]:
    return [
        Row(
            each.completion.prompt_ids,
            each.completion.token_ids,
            torch.full((len(each.completion.token_ids),), each.advantage),
            torch.tensor(each.completion.logprobs),
            ref_logp=None if each.ref_logp is None else torch.tensor(each.ref_logp),
        )
        for each in experiences
    ]


def make_critic(policy: Policy, *, shared: bool, own: Policy | None = None) -> Critic:
    """A critic over the policy's states (`shared`), over `own`, or over a copy of the policy."""
    if shared:
        return Critic(policy, shared=True)
    return Critic(copy.deepcopy(policy) if own is None else own)
