"""Completions in groups, as tensors: hidden states of the sampled tokens, nothing run twice that is the same.

A sure policy says the same thing again and again: equal completions of a prompt are run once, and their states
copied. And with a long prompt and many completions most of a plain forward is the same prompt again and again:
there it runs once, its keys and values (with their gradients) are handed to all its completions, and only the
completions' own tokens run per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from proctor.sft.model import Policy

# Repeated prompt tokens per completion token from which a second forward pays: at 0.9 it is 1.6 times faster
# than repeating, at 0.15 not slower; the margin is for kernels that like one large batch.
SHARE_ABOVE = 0.25


@dataclass(frozen=True, slots=True)
class GroupBatch:
    """A micro-batch of completions and the prompts they share.

    R completions, of which U are distinct, of up to C tokens; Bp prompts of up to P tokens. The sampled tokens
    of the R completions, one after the other, are the batch's N targets.
    """

    prompt_ids: Tensor  # (Bp, P) left-padded
    prompt_mask: Tensor  # (Bp, P) 1 = real token
    owner: Tensor  # (U,) which prompt a distinct completion belongs to
    completion_ids: Tensor  # (U, C) right-padded
    completion_mask: Tensor  # (U, C) 1 = sampled token
    copies: Tensor  # (R,) which of the distinct ones a completion is

    @property
    def mask(self) -> Tensor:
        """(R, C) bool: sampled tokens."""
        return self.completion_mask.bool()[self.copies]

    @property
    def targets(self) -> Tensor:
        """(N,) the sampled tokens."""
        return self.completion_ids[self.copies][self.mask]

    def copied(self, values: Tensor) -> Tensor:
        """(N, ...) from values of the distinct completions' tokens, in row-major order; carries gradient."""
        if len(self.copies) == len(self.owner):
            return values
        place = (self.completion_mask.flatten().cumsum(0) - 1).view_as(self.completion_mask)
        return values.index_select(0, place[self.copies][self.mask])

    def rows(self, policy: Policy) -> tuple[Tensor, Tensor]:
        """The hidden states (N, H) before the sampled tokens, and the tokens (N,)."""
        return self.copied(distinct_states(policy, self)), self.targets

    def to(self, device: torch.device | str) -> GroupBatch:
        return replace(self, **{name: getattr(self, name).to(device) for name in self.__slots__})


def group_batch(
    prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], *, pad_id: int
) -> GroupBatch:
    """One row per completion; `prompts[i]` belongs to `completions[i]`. Equal pairs are run once."""
    pairs = [(tuple(prompt), tuple(tokens)) for prompt, tokens in zip(prompts, completions, strict=True)]
    place_of_pair = {pair: place for place, pair in enumerate(dict.fromkeys(pairs))}
    place_of_prompt = {prompt: place for place, prompt in enumerate(dict.fromkeys(p for p, _ in pairs))}
    width = max(map(len, place_of_prompt))
    length = max(map(len, completions))
    return GroupBatch(
        torch.tensor([[pad_id] * (width - len(prompt)) + list(prompt) for prompt in place_of_prompt]),
        torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in place_of_prompt]),
        torch.tensor([place_of_prompt[prompt] for prompt, _ in place_of_pair]),
        torch.tensor([list(tokens) + [pad_id] * (length - len(tokens)) for _, tokens in place_of_pair]),
        torch.tensor([[1] * len(tokens) + [0] * (length - len(tokens)) for _, tokens in place_of_pair]),
        torch.tensor([place_of_pair[pair] for pair in pairs]),
    )


def distinct_states(policy: Policy, batch: GroupBatch, *, share_prompts: bool | None = None) -> Tensor:
    """The hidden state that predicts each token of the distinct completions, in row-major order."""
    if share_prompts is None:
        repeated = (len(batch.owner) - len(batch.prompt_ids)) * batch.prompt_ids.shape[1]
        share_prompts = repeated > SHARE_ABOVE * batch.completion_ids.numel()
    # Gradient checkpointing recomputes layers and would append to the cache twice. With ZeRO-3 every process must
    # run as many forwards as the others, whatever its micro-batch.
    checkpoints = torch.is_grad_enabled() and getattr(policy.base, "is_gradient_checkpointing", False)
    in_pieces = hasattr(next(policy.parameters()), "ds_id")
    return (_shared if share_prompts and not (checkpoints or in_pieces) else _repeated)(policy, batch)


def _shared(policy: Policy, batch: GroupBatch) -> Tensor:
    backbone = policy.base.base_model
    prompts = backbone(
        input_ids=batch.prompt_ids,
        attention_mask=batch.prompt_mask,
        position_ids=(batch.prompt_mask.cumsum(-1) - 1).clamp(min=0),
        use_cache=True,
    )
    cache = prompts.past_key_values
    cache.batch_select_indices(batch.owner)
    last = prompts.last_hidden_state[batch.owner, -1:]
    prompt_mask = batch.prompt_mask[batch.owner]
    # Each token is predicted one position earlier: the first by the prompt's last; the last is never fed.
    fed, fed_mask = batch.completion_ids[:, :-1], batch.completion_mask[:, :-1]
    before = last
    if fed.shape[1]:
        steps = torch.arange(fed.shape[1], device=batch.owner.device)
        completions = backbone(
            input_ids=fed,
            attention_mask=torch.cat([prompt_mask, fed_mask], -1),
            position_ids=prompt_mask.sum(-1, keepdim=True) + steps,
            past_key_values=cache,
            use_cache=True,
        )
        before = torch.cat([last, completions.last_hidden_state], 1)
    return before[batch.completion_mask.bool()]


def _repeated(policy: Policy, batch: GroupBatch) -> Tensor:
    token_ids = torch.cat([batch.prompt_ids[batch.owner], batch.completion_ids[:, :-1]], 1)
    mask = torch.cat([batch.prompt_mask[batch.owner], batch.completion_mask[:, :-1]], 1)
    states = policy.base.base_model(
        input_ids=token_ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        use_cache=False,
    ).last_hidden_state
    width = batch.prompt_ids.shape[1]
    return states[:, width - 1 :][batch.completion_mask.bool()]
