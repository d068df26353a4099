"""Completions of held-back prompts by transformers' own `generate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from proctor.sft.labels import Labelled
from proctor.sft.model import Policy

# Over a model's own generation config, which may punish what was said before: what is measured is what RL trains.
_PLAIN: dict[str, Any] = {
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_p": None,
    "typical_p": 1.0,
    "num_beams": 1,
}


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with the row that holds its reference."""

    prompt: str
    prompt_ids: Sequence[int]
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Generation:
    """One completion of a question."""

    question: Question
    completion: str
    num_tokens: int  # the end token included
    is_truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How to generate."""

    end_ids: Sequence[int]
    max_new_tokens: int
    device: torch.device  # of the inputs; weights that ZeRO-3 has shared out may wait elsewhere
    temperature: float = 1.0  # 0: greedy
    samples: int = 1  # completions of each question
    batch_size: int = 64  # questions at once
    synced: bool = False  # keeps processes in step that hold the model in pieces (ZeRO-3)


def questions_of(
    rows: Sequence[Labelled], tokenizer: PreTrainedTokenizerBase, *, limit: int
) -> list[Question]:
    """What stands before the last trained turn of the first `limit` conversations."""
    questions: dict[str, Question] = {}
    for row in rows:
        source = row.conversation.source
        if len(questions) < limit and source not in questions:
            ids = list(row.example.token_ids[: row.spans[-1].start])
            questions[source] = Question(tokenizer.decode(ids), ids, row.conversation.row)
    return list(questions.values())


@torch.no_grad()
def generate(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    decoding: Decoding,
) -> list[Generation]:
    """`samples` completions of each question, together, questions in order."""
    policy.eval()
    order = sorted(range(len(questions)), key=lambda index: -len(questions[index].prompt_ids))
    found: dict[int, list[Generation]] = {index: [] for index in order}
    for start in range(0, len(order), decoding.batch_size):
        chosen = order[start : start + decoding.batch_size]
        prompts = [list(questions[index].prompt_ids) for index in chosen]
        for place, ids in enumerate(_complete(policy, tokenizer, prompts, decoding)):
            index = chosen[place // decoding.samples]
            found[index].append(_generation(questions[index], ids, tokenizer, decoding.end_ids))
    return [generation for index in range(len(questions)) for generation in found[index]]


def _complete(
    policy: Policy, tokenizer: PreTrainedTokenizerBase, prompts: list[list[int]], decoding: Decoding
) -> list[list[int]]:
    batch = tokenizer.pad({"input_ids": prompts}, return_tensors="pt", padding_side="left")
    batch = batch.to(decoding.device)
    options: dict[str, Any] = {"do_sample": False}
    if decoding.temperature > 0:
        options = {"do_sample": True, "temperature": decoding.temperature, "top_k": 0, "top_p": 1.0}
    output = policy.model.generate(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        max_new_tokens=decoding.max_new_tokens,
        num_return_sequences=decoding.samples,
        eos_token_id=list(decoding.end_ids),
        pad_token_id=tokenizer.pad_token_id,
        synced_gpus=decoding.synced,
        **_PLAIN,
        **options,
    )
    completions: list[list[int]] = output[:, batch["input_ids"].shape[1] :].tolist()
    return completions


def _generation(
    question: Question, ids: list[int], tokenizer: PreTrainedTokenizerBase, end_ids: Sequence[int]
) -> Generation:
    end = next((place for place, token in enumerate(ids) if token in end_ids), None)
    kept = ids if end is None else ids[:end]
    text = tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Generation(question, text, len(kept) + (end is not None), end is None)
