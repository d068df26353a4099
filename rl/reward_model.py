"""A reward model: a causal model's backbone with one scalar score, read at the last token.

It is transformers' sequence classifier with one label, so that other tools load it and it loads theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from proctor.rl.prompts import Rendering
from proctor.sft.batch import micro_batches
from proctor.sft.config import ConfigError
from proctor.sft.pretrained import loading
from proctor.sft.tokenizer import load_tokenizer

Prompt = str | Sequence[Mapping[str, Any]]


class RewardModel(nn.Module):
    """Scores completions of prompts: any real number, comparable for one prompt, better is higher."""

    def __init__(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self._render = Rendering(tokenizer, {}, max_tokens)

    @classmethod
    def load(
        cls, path: str, *, key: str = "path", max_tokens: int = 4096, device: torch.device | None = None
    ) -> RewardModel:
        """From a reward model's folder, or from a causal model's with a new head. key: what it was given as.

        device: the first GPU, or the CPU where there is none, unless it is given. Raises ConfigError.
        """
        tokenizer = load_tokenizer(path, key=key)
        if tokenizer.eos_token_id is None:
            raise ConfigError(
                f"{key}: the tokenizer of '{path}' has no end token, at which an answer is judged"
            )
        with loading(path, key):
            model = AutoModelForSequenceClassification.from_pretrained(
                path, num_labels=1, dtype=torch.float32
            )
        if len(tokenizer) > model.get_input_embeddings().num_embeddings:  # a pad token was added
            model.resize_token_embeddings(len(tokenizer))
        model.config.pad_token_id = tokenizer.pad_token_id  # tells it where a row ends
        model.to(device or torch.device("cuda" if torch.cuda.is_available() else "cpu")).eval()
        return cls(model, tokenizer, max_tokens=max_tokens)

    @property
    def base(self) -> Any:
        """The transformers model."""
        return self.model

    def token_ids(self, prompt: Prompt, completion: str) -> tuple[int, ...]:
        """Prompt, completion and end token; raises RowError for a prompt that is too long.

        A completion that does not fit loses its end and the end token: it is judged as the truncated one.
        """
        ids = [*self._render(prompt), *self.tokenizer(completion, add_special_tokens=False)["input_ids"]]
        return (*ids, self.tokenizer.eos_token_id)[: self.max_tokens]

    def forward(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Scores (B,) of token sequences, in one padded batch."""
        batch = self.tokenizer.pad(
            {"input_ids": [list(row) for row in rows]}, return_tensors="pt", padding_side="right"
        )
        return self.model(**batch.to(self.model.device), use_cache=False).logits.squeeze(-1).float()

    @torch.no_grad()
    def scores(self, rows: Sequence[Sequence[int]], *, token_budget: int = 16384) -> list[float]:
        """Scores of token sequences in order, by batches of like lengths."""
        found = [0.0] * len(rows)
        for chosen in _batches(rows, token_budget):
            values = self([rows[index] for index in chosen]).tolist()
            for index, value in zip(chosen, values, strict=True):
                found[index] = value
        return found


def _batches(rows: Sequence[Sequence[int]], token_budget: int) -> Iterator[list[int]]:
    if rows:
        yield from micro_batches([len(row) for row in rows], token_budget=token_budget)
