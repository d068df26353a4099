"""A reward for OpenRLHF, in the shape of the `reward_func` that it loads from a Python file.

    # reward.py, given as --reward.remote_url reward.py, with --data.label_key (older: --remote_rm_url, --label_key)
    from proctor.verifiers.adapters import openrlhf

    reward_func = openrlhf.reward_function("math + 0.1 * steps")

A label is the answer or the tests; one that is a dictionary has columns by name, such as {"tests": ...,
"entry_point": ...}. OpenRLHF hands over the whole text, special tokens included: what comes before the completion
and the tokens that end it are taken off.

OpenRLHF knows no missing reward: what could not be scored gets `unscorable`, and says so: in `extra_logs` its
`scorable` is 0.0, and the reason is logged, each once. Numbers and names are those of the adapter for verl; `scores`,
by which OpenRLHF filters prompts, are its `acc`. Nothing is raised in the middle of a run.

Written to OpenRLHF's main branch of August 2026 (0.11), which is not run in the tests. It calls with one rollout at
a time: parts that compare within a prompt's group are refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch

from proctor.verifiers.adapters import verl
from proctor.verifiers.expression import Expression
from proctor.verifiers.expression import reward as parse_reward

_LOG = logging.getLogger(__name__)
# Of Qwen, Llama, DeepSeek, Mistral, Gemma ...; between the bars of the third kind are full-width characters.
_ENDS = re.compile(r"(?:<\|[\w ]+\|>|</s>|<｜[\w▁]+｜>|<eos>|<end_of_turn>|<pad>)+\s*\Z")
_TAIL = 64  # characters of a prompt by which its end is found in a text that lacks its beginning
_TEXTS = ("blame", "reason")  # of a result; the logs take numbers only


@lru_cache(maxsize=256)
def _warn(blame: str, reason: str) -> None:
    _LOG.warning("no reward (%s): %s", blame, reason)


class RewardFunction:
    """What OpenRLHF calls, from many threads."""

    def __init__(self, results: verl.RewardFunction, eos_tokens: Sequence[str]) -> None:
        self._results = results
        self._knows_ends = bool(eos_tokens)
        self._ends = (
            re.compile(f"(?:{'|'.join(map(re.escape, eos_tokens))})+\\s*\\Z") if eos_tokens else _ENDS
        )

    def __call__(
        self, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **_: Any
    ) -> dict[str, Any]:
        """`rewards` and `scores`, tensors of a number for each query, and `extra_logs`, which is of such tensors."""
        completions = [_completion(*both) for both in zip(queries, prompts, strict=True)]
        results = self._results(
            solution_strs=[text and self._ends.sub("", text) for text in completions],
            ground_truths=list(map(_truth, labels)),
            extra_infos=[self._columns(*call) for call in zip(completions, prompts, labels, strict=True)],
        )
        assert isinstance(results, list)
        for result in results:
            if not result["scorable"]:
                _warn(str(result["blame"]), str(result["reason"]))
        names = [name for name in results[0] if name not in _TEXTS]
        numbers = {name: torch.tensor([result[name] for result in results]) for name in names}
        return {"rewards": numbers.pop("score"), "scores": numbers.pop("acc"), "extra_logs": numbers}

    def _columns(self, text: str | None, prompt: str, label: Any) -> dict[str, Any]:
        columns: dict[str, Any] = {"prompt": prompt}
        if self._knows_ends and text is not None:
            columns["truncated"] = not self._ends.search(text)
        return columns | (dict(label) if isinstance(label, Mapping) else {})


def reward_function(
    expression: str | Expression,
    *,
    mapping: Mapping[str, str] | None = None,
    unscorable: float = 0.0,
    eos_tokens: Sequence[str] = (),
) -> RewardFunction:
    """A reward in the shape that OpenRLHF calls.

    Args:
        expression: the reward.
        mapping: which key of a label is which, beside those known by name.
        unscorable: the number that stands where there is none.
        eos_tokens: what ends a completion, such as "<|im_end|>"; one that ends in none of them is then truncated.
            Without it those of the usual models are taken off, and nothing is known to be truncated.

    Raises, now and not in the middle of a run: ExpressionError where the expression cannot be read, ValueError
    where a part compares the rollouts of a group or is called as a number of ours.
    """
    parsed = expression if isinstance(expression, Expression) else parse_reward(expression)
    if parsed.by_group:
        raise ValueError(
            "OpenRLHF calls with one rollout at a time, and a part of this reward compares a group's"
        )
    return RewardFunction(verl.reward_function(parsed, mapping=mapping, unscorable=unscorable), eos_tokens)


def _truth(label: Any) -> Any:
    is_none = isinstance(label, str) and not label  # so OpenRLHF calls where it was told of no label key
    return None if is_none or isinstance(label, Mapping) else label


def _completion(query: str, prompt: str) -> str | None:
    """What follows the prompt, of which OpenRLHF may have cut off the beginning; None where it is not there."""
    if query.startswith(prompt):
        return query[len(prompt) :]
    tail = prompt[-_TAIL:]
    before = query.find(tail)
    while before >= 0 and not prompt.endswith(query[: before + len(tail)]):
        before = query.find(tail, before + 1)
    return None if before < 0 else query[before + len(tail) :]
