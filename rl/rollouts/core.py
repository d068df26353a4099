"""What every rollout engine takes and gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
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

    `logprobs` are of its tokens under softmax(logits / temperature) (temperature 1 where it was greedy), so that
    they compare with the trainer's. With top_p < 1 they do with the transformers engine alone: vLLM's, and its
    server's, are of what the cut leaves, and larger by the logarithm of its share.
    """

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]  # the end token included
    logprobs: tuple[float, ...]  # one per token, nats
    is_truncated: bool  # stopped by max_new_tokens


class EngineError(ConnectionError):
    """What samples cannot be reached or used, or is not the policy: there is nothing to train on."""


def prompt_seed(seed: int, index: int) -> int:
    """The seed of the prompt at `index` of a call: equal prompts must not give equal samples.

    vLLM counts on from it for the prompt's further samples, so the seeds of two prompts must lie far apart: next
    to each other, all but one of their samples would be drawn with the same noise. In [0, 2**31), which every
    engine takes.
    """
    return int.from_bytes(blake2b(f"{seed}/{index}".encode(), digest_size=4).digest(), "big") % 2**31


Ready = Callable[[int, list[Completion]], None]
"""(which prompt, its completions): called as soon as a prompt has all of them, others still being sampled."""


class RolloutEngine(Protocol):
    """Samples completions. `num_samples` of each prompt stand together, prompts in order.

    `ready` is called once for every prompt, in the order that they are done, from a thread of the engine's.
    """

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, ready: Ready | None = None
    ) -> list[Completion]: ...
