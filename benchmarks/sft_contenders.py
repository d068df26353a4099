"""The contenders of compare_sft, each run in a process of its own: prints one JSON line of measurements.

python -m proctor.benchmarks.sft_contenders head trl
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from proctor.sft import (
    attention,
    chat,
    config,
    course,
    demo_task,
    labels,
    learner,
    losses,
    metrics,
    parallel,
    settings,
    step,
)
from proctor.sft.batch import IGNORED, Example
from proctor.sft.head import Head, chosen_logprobs, fused_loss

VOCABULARY, HIDDEN, ROWS = 151_936, 256, 1024
# tiny: the demo task. wide: the same rows and a vocabulary like Qwen's, hidden 256.
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {},
    "wide": {"vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": 512},
}
STEPS = {"tiny": (10, 60), "wide": (1, 3)}  # not measured, measured
# TRL's warm-up begins at a rate of 0, Proctor's one step further; without one both have the same rates.
WARM_UP = {"tiny": 2, "wide": 0}
LAST = {"tiny": 10, "wide": 2}  # steps that the last loss is a mean of
BATCH = 48
TOKEN_BUDGET = 1024  # about the tokens of a batch, in both trainers' packed modes
TRL_SETTINGS: dict[str, Any] = {
    "per_device_train_batch_size": BATCH,
    "max_length": TOKEN_BUDGET,
    "num_train_epochs": 1,
    "learning_rate": 3e-3,
    "lr_scheduler_type": "cosine",
    "adam_beta2": 0.95,
    "weight_decay": 0.01,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "logging_first_step": True,
    "use_cpu": True,
}
_TRL_PACKED = {"packing": True, "max_length": 256}
TRL_WAYS: dict[str, dict[str, Any]] = {
    "trl": {},
    # Batches of like length: little padding, but a step learns from long rows alone or from short ones alone.
    "trl-grouped": {"train_sampling_strategy": "group_by_length"},
    # The batch as one row, which is what packing makes of it, under one mask over the row.
    "trl-packed": {**_TRL_PACKED, "per_device_train_batch_size": 4},
    # The same batch in four forwards: the fastest packed setting found for it on CPU, as its masks are smaller.
    "trl-packed-split": {
        **_TRL_PACKED,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 4,
    },
}


def peak_mb() -> float:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def head(way: str) -> dict[str, Any]:
    """Head and loss, forward and backward, over ROWS positions: seconds of the second of two rounds."""
    torch.manual_seed(0)
    weight = torch.empty(VOCABULARY, HIDDEN).normal_(std=0.02).requires_grad_()
    hidden = torch.randn(ROWS, HIDDEN, requires_grad=True)
    targets = torch.randint(VOCABULARY, (ROWS,))
    loss = _head_loss(way, hidden, weight, targets)
    before, seconds = peak_mb(), 0.0
    for _ in range(2):
        hidden.grad = weight.grad = None
        start = time.process_time()
        loss().backward()
        seconds = time.process_time() - start
    peak = peak_mb() - before
    gap = _gradient_gap(hidden, weight, targets)
    return {"cpu_s": seconds, "peak_mb": peak, "gradient_gap": gap}


def _gradient_gap(hidden: Tensor, weight: Tensor, targets: Tensor) -> float:
    """Largest distance of a gradient from that of whole logits, relative to the largest gradient."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in (hidden, weight)]
    torch.nn.functional.cross_entropy(leaves[0] @ leaves[1].t(), targets).backward()
    return max(
        float((got.grad - want.grad).abs().max() / want.grad.abs().max())
        for got, want in zip((hidden, weight), leaves, strict=True)
    )


def _head_loss(way: str, hidden: Tensor, weight: Tensor, targets: Tensor) -> Callable[[], Tensor]:
    if way == "trl":
        from trl.kernels.chunked_logprob import ChunkedLogProbFunction

        # As SFTTrainer calls it: chunks of 32,768 tokens, entropy and top-1 for its metrics.
        options = (1.0, 32_768, None, 1.0, ("log_probs", "entropy", "is_top1"))
        return lambda: -ChunkedLogProbFunction.apply(hidden, weight, None, targets, *options)[0].sum() / ROWS
    if way == "plain":
        return lambda: torch.nn.functional.cross_entropy(hidden @ weight.t(), targets)
    if way == "recomputed":
        return lambda: -chosen_logprobs(hidden, targets, Head(weight)).logp.sum() / ROWS
    return lambda: fused_loss(hidden, targets, Head(weight), lambda logp, *_: -logp / ROWS).loss


class _Window:
    """What a trainer uses from the end of its warm-up steps to the end of its last step."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up, self.steps, self.start, self.end = warm_up, 0, 0.0, 0.0

    def step_done(self) -> None:
        self.steps, self.end = self.steps + 1, time.process_time()
        if self.steps == self.warm_up:
            self.start = self.end


def training(size: str, way: str) -> dict[str, Any]:
    """A short run of a trainer. Tokens are real ones, prompts included, padding not."""
    torch.manual_seed(0)
    tokenizer = demo_task.make_tokenizer()
    labeller = labels.Labeller(tokenizer)
    warm_up, steps = STEPS[size]
    rows = demo_task.demonstrations(demo_task.split_problems()[0], BATCH * (warm_up + steps))
    conversations = [chat.conversation_of(row, str(place)) for place, row in enumerate(rows)]
    examples = [labelled.example for each in conversations for labelled in labeller.rows(each)]
    model = demo_task.make_model(tokenizer, **SIZES[size])
    make, window = _trl if way.startswith("trl") else _ours, _Window(warm_up)
    with tempfile.TemporaryDirectory() as folder:
        train = make(way, examples, model, Path(folder), window, size)
        before = peak_mb()
        done = train()
    seconds, tokens = window.end - window.start, sum(done.tokens[warm_up : window.steps])
    return {
        "tokens": tokens,
        "cpu_s": seconds,
        "tokens_per_cpu_s": tokens / seconds,
        "peak_mb": peak_mb() - before,
        "targets": done.targets,
        "first_loss": done.first_loss,
        "last_loss": done.last_loss,
    }


class Trained(NamedTuple):
    """What a trainer did."""

    tokens: list[int]  # of each step
    targets: int  # trained tokens of the whole run
    first_loss: float  # before anything was learned
    last_loss: float  # mean of the LAST steps


Train = Callable[[], Trained]


def _trl(way: str, examples: list[Example], model: Any, folder: Path, window: _Window, size: str) -> Train:
    import trl
    from datasets import Dataset
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            window.step_done()

    options = TRL_SETTINGS | TRL_WAYS[way]
    trainer = trl.SFTTrainer(
        model=model,
        args=trl.SFTConfig(
            output_dir=str(folder), logging_steps=LAST[size], warmup_steps=WARM_UP[size], **options
        ),
        train_dataset=Dataset.from_list([_trl_row(example) for example in examples]),
        processing_class=demo_task.make_tokenizer(),
        callbacks=[Watch()],
    )
    tokens, targets, collate = [], [], trainer.data_collator

    def counting(rows: list[dict[str, Any]]) -> Any:
        tokens.append(sum(len(row["input_ids"]) for row in rows))
        targets.append(sum(label != IGNORED for row in rows for label in row["labels"]))
        return collate(rows)

    trainer.data_collator = counting
    per_step = trainer.args.gradient_accumulation_steps

    def train() -> Trained:
        trainer.train()
        losses_logged = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        steps = [sum(tokens[at : at + per_step]) for at in range(0, len(tokens), per_step)]
        return Trained(steps, sum(targets), losses_logged[0], losses_logged[-1])

    return train


def _trl_row(example: Example) -> dict[str, list[int]]:
    pairs = zip(example.token_ids, example.trained, strict=True)
    labels_of_row = [token if trained else IGNORED for token, trained in pairs]
    return {"input_ids": list(example.token_ids), "labels": labels_of_row}


def _ours(way: str, examples: list[Example], model: Any, folder: Path, window: _Window, size: str) -> Train:
    words = ["--batch-size", str(BATCH), "--token-budget", str(TOKEN_BUDGET), "--learning-rate", "3e-3"]
    words += ["--warmup-steps", str(WARM_UP[size]), "--min-learning-rate-share", "0"]
    words += ["--packing", str(way.endswith("packed")).lower()]
    run = config.load_config(settings.SFTConfig, None, words)
    workers = parallel.Plain(clip=1.0)
    tokenizer = demo_task.make_tokenizer()
    learning = learner.make_learner(run.model, run.optimizer, workers, tokenizer, model)
    if run.batch.packing:
        attention.attend_in_blocks(learning.policy.base)
    steps = course.Course(examples, run.run, run.optimizer, batch_size=run.batch.batch_size)
    loss = losses.find_loss("ce")
    cutting = step.Cutting(run.batch.token_budget, run.batch.packing, tokenizer.pad_token_id)

    def train() -> Trained:
        results, tokens = [], []
        with closing(metrics.MetricsLog(folder)) as log:
            for number in range(steps.num_steps):
                batch, rate = steps.batch(number), steps.learning_rate(number)
                result = step.train_step(workers, batch, loss, cutting, rate=rate)
                log.write(number, {"loss": result.loss, "grad_norm": result.grad_norm})
                window.step_done()
                results.append(result)
                tokens.append(sum(map(len, batch)))
        targets = sum(result.num_trained for result in results)
        last_loss = statistics.mean(result.loss for result in results[-LAST[size] :])
        return Trained(tokens, targets, results[0].loss, last_loss)

    return train


def main() -> None:
    torch.set_num_threads(1)
    part, way = sys.argv[1:]
    print(json.dumps(head(way) if part == "head" else training(part, way)))


if __name__ == "__main__":
    main()
