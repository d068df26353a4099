"""A toy that RL learns in seconds: a random model over the demo's characters, paid for writing sevens."""

import json
from pathlib import Path
from typing import Any

import torch

from proctor.rl.settings import RLConfig
from proctor.rl.setup import Run, set_up
from proctor.sft.config import load_config
from proctor.sft.demo_task import make_model, make_tokenizer
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.custom import part


@part(bounds=(0, 1), exam=True)
def sevens(rollout: Rollout) -> Verdict:
    """Share of the completion that is the digit 7; right where it is more than half."""
    text = rollout.completion
    share = text.count("7") / max(1, len(text))
    return Verdict(share, Status.CORRECT if share > 0.5 else Status.INCORRECT)


def make_files(folder: Path, hidden_size: int = 32) -> None:
    """A model with random weights, of four heads, and 64 prompts."""
    tokenizer = make_tokenizer()
    make_model(tokenizer, hidden_size=hidden_size, intermediate_size=64).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    rows = [
        {"prompt": f"{left}+{right}=", "answer": str(left + right)}
        for left in range(10, 18)
        for right in range(10, 18)
    ]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_run(folder: Path, *overrides: Any, output: str = "run") -> Run:
    """A run over the toy; `overrides` are `--key value` words."""
    torch.set_num_threads(1)
    if not (folder / "model").exists():
        make_files(folder)
    return set_up(load_config(RLConfig, None, [*toy_words(folder, output), *map(str, overrides)]))


def toy_words(folder: Path, output: str = "run") -> list[str]:
    """The toy's config as `--key value` words."""
    return [
        "--model.path", str(folder / "model"), "--data.train", json.dumps([str(folder / "prompts.jsonl")]),
        "--reward.expression", "sevens", "--algorithm.name", "grpo", "--rollouts.prompts", "4",
        "--rollouts.samples", "4", "--rollouts.max_new_tokens", "8", "--optimizer.learning_rate", "0.01",
        "--run.output", str(folder / output), "--run.steps", "6", "--run.tensorboard", "false",
    ]  # fmt: skip
