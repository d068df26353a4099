"""What every rollout engine takes and gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample."""

    num_samples: int = 1  # completions per prompt; they share the prompt's prefill
    max_new_tokens: int = 256
    temperature: float = 1.0  # 0: greedy
    top_p: float = 1.0
    end_ids: tuple[int, ...] = ()  # tokens that end a completion; they are part of it
    seed: int = 0  # same seed, same prompts, same engine: same completions


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled completion.

    `logprobs` are of its tokens under softmax(logits / temperature) before any top-p cut (temperature 1
    where it was greedy), so that they compare with the trainer's.
    """

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]  # the end token included
    logprobs: tuple[float, ...]  # one per token, nats
    is_truncated: bool  # stopped by max_new_tokens


Ready = Callable[[int, list[Completion]], None]
"""(which prompt, its completions): called as soon as a prompt has all of them, others still being sampled."""


class RolloutEngine(Protocol):
    """Samples completions. `num_samples` of each prompt stand together, prompts in order.

    `ready` is called once for every prompt, in the order that they are done, from a thread of the engine's.
    """

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, ready: Ready | None = None
    ) -> list[Completion]: ...
