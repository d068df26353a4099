"""The demo task: two-digit addition, one character a token, a model of 402,560 parameters made on the spot.

Prompt `58+36=`; an answer is `<think>..</think><answer>N</answer>`. Of the demonstrations 40% are careful
(the columns written out, an 8% slip in each: 84% right) and 60% hasty (carries forgotten: 24% right).
Imitation copies the mixture; a reward for right answers alone then makes the model choose to think. Three
digits and three layers are the same task, harder.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

# Ordinary tokens, not special ones: `skip_special_tokens` would hide them from the reward.
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
REWARD = "math"  # pays for right answers
FORMAT = 'format("think_answer")'
_CHARACTERS = "0123456789+=, "
_CAREFUL_SHARE = 0.4
_SLIP = 0.08


@dataclass(frozen=True, slots=True)
class Problem:
    """One addition."""

    left: int
    right: int
    digits: int

    @property
    def prompt(self) -> str:
        return f"{self.left}+{self.right}="

    @property
    def answer(self) -> str:
        return str(self.left + self.right)


def split_problems(
    *, digits: int = 2, held_back: int = 256, seed: int = 0
) -> tuple[list[Problem], list[Problem]]:
    """(for training, never trained on): all 8,100 pairs of two-digit numbers; 20,000 pairs of longer ones."""
    least = 10 ** (digits - 1)
    size = 9 * least
    count = min(size * size, 20_000)
    chosen = random.Random(seed).sample(range(size * size), count)
    problems = [Problem(least + number // size, least + number % size, digits) for number in chosen]
    return problems[held_back:], problems[:held_back]


def demonstration(problem: Problem, generator: random.Random) -> str:
    """One imperfect completion."""
    if generator.random() < _CAREFUL_SHARE:
        return _careful(problem, generator)
    columns = zip(str(problem.left), str(problem.right), strict=True)
    without_carries = "".join(str((int(left) + int(right)) % 10) for left, right in columns)
    return f"<think></think><answer>{int(without_carries)}</answer>"


def demonstrations(problems: list[Problem], count: int, *, seed: int = 0) -> list[dict[str, str]]:
    """Rows of prompt, completion and the true answer."""
    generator = random.Random(seed)
    rows = []
    for _ in range(count):
        problem = generator.choice(problems)
        completion = demonstration(problem, generator)
        rows.append({"prompt": problem.prompt, "completion": completion, "answer": problem.answer})
    return rows


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character, and one for each tag."""
    vocabulary = ["<pad>", "<end>", *TAGS, *_CHARACTERS]
    tokenizer = Tokenizer(models.WordLevel({token: place for place, token in enumerate(vocabulary)}, "<pad>"))
    tokenizer.add_tokens(list(TAGS))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", padding_side="left"
    )


def make_model(
    tokenizer: PreTrainedTokenizerFast, *, layers: int = 2, seed: int = 0, **changes: Any
) -> Qwen2ForCausalLM:
    """A Qwen2 model with random weights: 402,560 parameters with two layers."""
    torch.manual_seed(seed)
    options: dict[str, Any] = {
        "vocab_size": 64,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        **changes,
    }
    return Qwen2ForCausalLM(Qwen2Config(**options))


def _careful(problem: Problem, generator: random.Random) -> str:
    """`<think>8+6+0=14,5+3+1=09</think><answer>94</answer>`, lowest column first, with slips."""
    steps, digits, carry = [], "", 0
    for place in range(problem.digits):
        left, right = (number // 10**place % 10 for number in (problem.left, problem.right))
        total = left + right + carry
        if generator.random() < _SLIP:
            total = (total + generator.choice((-1, 1))) % 20
        steps.append(f"{left}+{right}+{carry}={total:02d}")
        digits, carry = str(total % 10) + digits, total // 10
    answer = int(f"{carry}{digits}")
    return f"<think>{','.join(steps)}</think><answer>{answer}</answer>"
