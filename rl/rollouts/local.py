"""The embedded rollout engine `transformers`: samples from the very model that is being trained.

The samples of a prompt run as one line of the batch for as long as they are equal, and part where they do:
a prompt is prefilled once, and what a sure policy says again and again is computed once. Lines that have ended
leave the batch. The Llama family runs on the lean decoder, every other causal model on its own forward with
transformers' cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from proctor.rl.rollouts.core import Completion, Ready, Sampling
from proctor.rl.rollouts.decoder import Decoder, is_supported
from proctor.rl.rollouts.stepper import DecoderStepper, ModelStepper, Stepper

# Lines that ended are dropped when this share is still running: copying the cache costs as much as a few steps.
COMPACT_BELOW = 0.75
# Samples stop sharing lines for good when they would fill this share of their number: each parting copies the
# cache, and there is little left to save.
PART_ABOVE = 0.5


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

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, ready: Ready | None = None
    ) -> list[Completion]:
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
            for place, completions in rows.run(self._stepper(), generator):
                done[chosen[place]] = completions
                if ready is not None:
                    ready(chosen[place], completions)
        return [completion for index in range(len(prompts)) for completion in done[index]]

    def _stepper(self) -> Stepper:
        if self._decoder is not None:
            return DecoderStepper(self._decoder)
        return ModelStepper(self.model)


class _Rows:
    """The completions of one batch while they grow."""

    def __init__(self, prompts: list[Sequence[int]], sampling: Sampling, device: torch.device) -> None:
        self.prompts = prompts
        self.sampling = sampling
        count = len(prompts) * sampling.num_samples
        self.tokens = torch.zeros((sampling.max_new_tokens, count), dtype=torch.long, device=device)
        self.logprobs = torch.zeros((sampling.max_new_tokens, count), device=device)
        self._end_ids = torch.tensor(sampling.end_ids, dtype=torch.long, device=device)

    @torch.no_grad()
    def run(self, stepper: Stepper, generator: torch.Generator) -> Iterator[tuple[int, list[Completion]]]:
        """Each prompt's place and its samples, as soon as the last of them has ended."""
        logits = stepper.start(*self._padded_prompts(), capacity_for=self.sampling.max_new_tokens)
        active = torch.arange(self.tokens.shape[1], device=logits.device)  # rows that are running
        line = active // self.sampling.num_samples  # of the batch, for each of them
        waiting = set(range(len(self.prompts)))
        for position in range(self.sampling.max_new_tokens):
            chosen, logprobs = draw(logits, line, self.sampling, generator)
            self.tokens[position].index_copy_(0, active, chosen)
            self.logprobs[position].index_copy_(0, active, logprobs)
            going = (~torch.isin(chosen, self._end_ids)).nonzero().flatten()
            if len(going) == 0 or position + 1 == self.sampling.max_new_tokens:
                break
            if len(going) < len(active):
                active, line, chosen = active[going], line[going], chosen[going]
                unfinished = {row // self.sampling.num_samples for row in active.tolist()}
                yield from ((place, self._completions(place)) for place in sorted(waiting - unfinished))
                waiting &= unfinished
            line, fed = _lines(stepper, line, chosen, num_lines=len(logits))
            logits = stepper.step(fed)
        yield from ((place, self._completions(place)) for place in sorted(waiting))

    def _completions(self, place: int) -> list[Completion]:
        """The samples of one prompt."""
        rows = slice(place * self.sampling.num_samples, (place + 1) * self.sampling.num_samples)
        columns = zip(self.tokens[:, rows].T.tolist(), self.logprobs[:, rows].T.tolist(), strict=True)
        return [self._completion(tuple(self.prompts[place]), *column) for column in columns]

    def _completion(self, prompt: tuple[int, ...], tokens: list[int], logprobs: list[float]) -> Completion:
        end = next((at for at, token in enumerate(tokens) if token in self.sampling.end_ids), None)
        length = len(tokens) if end is None else end + 1
        return Completion(prompt, tuple(tokens[:length]), tuple(logprobs[:length]), is_truncated=end is None)

    def _padded_prompts(self) -> tuple[Tensor, Tensor]:
        """Left-padded token ids and mask, (B, P). What stands in the padding is never seen."""
        device, width = self.tokens.device, max(len(prompt) for prompt in self.prompts)
        padded = [[0] * (width - len(prompt)) + list(prompt) for prompt in self.prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in self.prompts]
        return torch.tensor(padded, device=device), torch.tensor(mask, device=device)


def _lines(stepper: Stepper, line: Tensor, chosen: Tensor, *, num_lines: int) -> tuple[Tensor, Tensor]:
    """Which line each row (A,) is on after it chose its token, and the token that each line is fed.

    Rows of one line that chose the same token stay together.
    """
    span = int(chosen.max()) + 1
    pairs, after = torch.unique(line * span + chosen, return_inverse=True)
    parents, fed = pairs // span, pairs % span
    parts = len(parents) > 1 and bool((parents[1:] == parents[:-1]).any())
    if parts and len(pairs) > PART_ABOVE * len(chosen):
        parents, fed, after = line, chosen, torch.arange(len(line), device=line.device)
    if parts or len(parents) <= COMPACT_BELOW * num_lines:
        stepper.keep(parents)
        return after, fed
    if len(parents) < num_lines:  # lines that have ended are fed anything
        fed = fed.new_zeros(num_lines).index_copy_(0, parents, fed)
    return line, fed


def draw(
    logits: Tensor, line: Tensor, sampling: Sampling, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Samples a token for each row from its line's logits (L, V), line (A,): tokens (A,) and log-probs (A,).

    One uniform number a row, looked up in the cumulated probabilities: a number for every token, as the
    Gumbel trick takes, costs more on a CPU than a small model's forward.
    """
    greedy = sampling.temperature == 0
    logprobs = torch.log_softmax(logits.float() / (1.0 if greedy else sampling.temperature), -1)
    if greedy:
        chosen = logits.argmax(-1)[line]
    else:
        kept = logprobs if sampling.top_p >= 1 else _nucleus(logprobs, sampling.top_p)
        cumulated = kept.exp().cumsum(-1, dtype=torch.float64)[line]
        place = torch.rand((len(line), 1), generator=generator, dtype=torch.float64, device=kept.device)
        # The first token whose share reaches beyond the place; one without probability never does.
        chosen = torch.searchsorted(cumulated, place.mul_(cumulated[:, -1:]), right=True).squeeze(-1)
        chosen = chosen.clamp_(max=logits.shape[-1] - 1)
    return chosen, logprobs[line, chosen]


def _nucleus(logprobs: Tensor, top_p: float) -> Tensor:
    """-inf outside the smallest set of tokens whose probabilities sum to top_p; the first always stays."""
    ordered, index = logprobs.sort(-1, descending=True)
    before = ordered.exp().cumsum(-1) - ordered.exp()
    is_cut = torch.zeros_like(before, dtype=torch.bool).scatter(-1, index, before >= top_p)
    return logprobs.masked_fill(is_cut, -torch.inf)
