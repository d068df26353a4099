"""The frozen reference policy: the adapter switched off where there is one, else a copy of the weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from proctor.rl.offload import lent
from proctor.sft.model import Policy


class Reference:
    """Gives the policy as it was at the start, for log-probs without gradient."""

    def __init__(
        self, policy: Policy, *, device: torch.device, offload: bool = False, own: Policy | None = None
    ) -> None:
        """With LoRA nothing is copied. Weights a run resumes from are not a reference: make it before.

        own: in place of a copy, where it cannot be made. offload: between uses the copy is on the CPU.
        """
        self._policy = policy
        self._device, self._offload = device, offload
        self._copy: Policy | None = None
        if not hasattr(policy.model, "disable_adapter"):
            if own is None:
                own = copy.deepcopy(policy).to("cpu" if offload else device)
            self._copy = own.eval().requires_grad_(False)

    @contextmanager
    def active(self) -> Iterator[Policy]:
        """The reference, in evaluation mode; the policy is back in its own mode afterwards."""
        if self._copy is not None:
            with lent(self._copy, None, to=self._device, offload=self._offload):
                yield self._copy
            return
        was_training = self._policy.training
        self._policy.eval()
        try:
            with self._policy.model.disable_adapter():
                yield self._policy
        finally:
            self._policy.train(was_training)
