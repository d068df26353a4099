"""The embedded rollout engine `transformers`: samples from the very model that is being trained.

Prompts are prefilled once and shared by their samples; rows that have ended leave the batch. The Llama family
runs on the lean decoder, every other causal model on its own forward with transformers' cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from proctor.rl.rollouts.core import Completion, Sampling
from proctor.rl.rollouts.decoder import Decoder, is_supported
from proctor.rl.rollouts.stepper import DecoderStepper, ModelStepper, Stepper

# Rows are compacted when this share of them is still running: copying the cache costs as much as a few steps.
COMPACT_BELOW = 0.75


class LocalEngine:
    """Samples from a transformers causal model in this process. Not thread-safe."""

    def __init__(self, model: nn.Module, *, max_rows: int = 256) -> None:
        """`max_rows`: completions in flight at once; what bounds the cache's memory."""
        self.model = model
        self.max_rows = max_rows
        self._decoder = Decoder(model) if is_supported(model) else None

    def sync(self, model: nn.Module) -> None:
        """Takes over the model's weights after an update; needed by the lean decoder's fused copy."""
        self.model = model
        if self._decoder is not None:
            self._decoder.load(model)

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        """`sampling.num_samples` completions for each prompt, prompts in order."""
        device = next(self.model.parameters()).device
        generator = torch.Generator(device=device).manual_seed(sampling.seed)
        # Prompts of like length together: less padding, and rows of a batch end nearer to one another.
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        per_batch = max(1, self.max_rows // sampling.num_samples)
        done: dict[int, list[Completion]] = {}
        for start in range(0, len(order), per_batch):
            chosen = order[start : start + per_batch]
            rows = _Rows([prompts[index] for index in chosen], sampling, device)
            rows.run(self._stepper(rows), generator)
            for index, completions in zip(chosen, rows.completions(), strict=True):
                done[index] = completions
        return [completion for index in range(len(prompts)) for completion in done[index]]

    def _stepper(self, rows: _Rows) -> Stepper:
        if self._decoder is not None:
            return DecoderStepper(self._decoder)
        return ModelStepper(self.model)


class _Rows:
    """The completions of one batch while they grow."""

    def __init__(self, prompts: list[Sequence[int]], sampling: Sampling, device: torch.device) -> None:
        self.prompts = prompts
        self.sampling = sampling
        count = len(prompts) * sampling.num_samples
        self.tokens = torch.zeros((count, sampling.max_new_tokens), dtype=torch.long, device=device)
        self.logprobs = torch.zeros((count, sampling.max_new_tokens), device=device)
        self.lengths = torch.zeros(count, dtype=torch.long, device=device)
        self.has_ended = torch.zeros(count, dtype=torch.bool, device=device)
        self._end_ids = torch.tensor(sampling.end_ids, dtype=torch.long, device=device)

    def run(self, stepper: Stepper, generator: torch.Generator) -> None:
        logits = stepper.start(*self._padded_prompts(), capacity_for=self.sampling.max_new_tokens)
        logits = stepper.repeat(logits, self.sampling.num_samples)
        active = torch.arange(len(self.tokens), device=logits.device)  # row of each line of the batch
        is_running = torch.ones_like(active, dtype=torch.bool)
        for position in range(self.sampling.max_new_tokens):
            chosen, logprobs = draw(logits, self.sampling, generator)
            self._record(position, active[is_running], chosen[is_running], logprobs[is_running])
            is_running = is_running & ~torch.isin(chosen, self._end_ids)
            running = int(is_running.sum())
            if running == 0 or position + 1 == self.sampling.max_new_tokens:
                return
            if running <= COMPACT_BELOW * len(active):
                kept = is_running.nonzero().flatten()
                stepper.keep(kept)
                active, chosen, is_running = active[kept], chosen[kept], is_running[kept]
            logits = stepper.step(chosen)

    def completions(self) -> Iterator[list[Completion]]:
        """Of each prompt in turn, its samples."""
        lengths, ended = self.lengths.tolist(), self.has_ended.tolist()
        tokens, logprobs = self.tokens.tolist(), self.logprobs.tolist()
        per_prompt = self.sampling.num_samples
        for index, prompt in enumerate(self.prompts):
            rows = range(index * per_prompt, (index + 1) * per_prompt)
            yield [
                Completion(
                    tuple(prompt),
                    tuple(tokens[row][: lengths[row]]),
                    tuple(logprobs[row][: lengths[row]]),
                    is_truncated=not ended[row],
                )
                for row in rows
            ]

    def _record(self, position: int, rows: Tensor, chosen: Tensor, logprobs: Tensor) -> None:
        self.tokens[rows, position] = chosen
        self.logprobs[rows, position] = logprobs
        self.lengths[rows] = position + 1
        self.has_ended[rows] = torch.isin(chosen, self._end_ids)

    def _padded_prompts(self) -> tuple[Tensor, Tensor]:
        """Left-padded token ids and mask, (B, P). What stands in the padding is never seen."""
        device, width = self.tokens.device, max(len(prompt) for prompt in self.prompts)
        padded = [[0] * (width - len(prompt)) + list(prompt) for prompt in self.prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in self.prompts]
        return torch.tensor(padded, device=device), torch.tensor(mask, device=device)


def draw(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Samples a token a row from logits (R, V): tokens (R,) and log-probs (R,) as `Completion` has them.

    The Gumbel-max trick in its exponential form: argmax of p / E with E ~ Exp(1) is a draw from p.
    """
    if sampling.temperature == 0:
        logprobs = torch.log_softmax(logits.float(), -1)
        chosen = logits.argmax(-1)
    else:
        logprobs = torch.log_softmax(logits.float() / sampling.temperature, -1)
        kept = logprobs if sampling.top_p >= 1 else _nucleus(logprobs, sampling.top_p)
        noise = torch.empty_like(kept).exponential_(generator=generator)
        chosen = (kept - noise.log_()).argmax(-1)
    return chosen, logprobs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)


def _nucleus(logprobs: Tensor, top_p: float) -> Tensor:
    """-inf outside the smallest set of tokens whose probabilities sum to top_p; the first always stays."""
    ordered, index = logprobs.sort(-1, descending=True)
    before = ordered.exp().cumsum(-1) - ordered.exp()
    is_cut = torch.zeros_like(before, dtype=torch.bool).scatter(-1, index, before >= top_p)
    return logprobs.masked_fill(is_cut, -torch.inf)
