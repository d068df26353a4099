"""The critic of PPO: a value for every sampled token, from its own model or from the policy's states."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from proctor.rl.group_batch import GroupBatch, distinct_states
from proctor.sft.model import Policy


class Critic(nn.Module):
    """A linear value head over hidden states.

    With a backbone of its own it learns features; over the policy's (`shared`) it is a probe of detached
    states, which costs next to nothing and never disturbs the policy. The value of a token is that of the
    state *before* it: what the state is worth before the token is drawn.
    """

    def __init__(self, policy: Policy, *, shared: bool = False) -> None:
        """`policy`: the model whose states are read; a copy or a smaller model of its own, or the policy."""
        super().__init__()
        size = policy.base.config.get_text_config().hidden_size
        self.shared = shared
        # The policy's parameters must not be optimised twice, so a shared one is not registered.
        self._states = [policy] if shared else []
        self.backbone = None if shared else policy
        self.head = nn.Linear(size, 1)
        nn.init.zeros_(self.head.weight)  # the first values are 0, whatever the features
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: GroupBatch) -> Tensor:
        """Values (N,) of the batch's sampled tokens."""
        if self.shared:
            with torch.no_grad():
                states = distinct_states(self._states[0], batch)
        else:
            states = distinct_states(self.backbone, batch)
        return batch.copied(self.head(states.to(self.head.weight.dtype)).squeeze(-1))
