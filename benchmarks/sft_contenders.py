"""The contenders of compare_sft, each run in a process of its own: prints one JSON line of measurements.

python -m proctor.benchmarks.sft_contenders head trl
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from proctor.sft import (
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
from proctor.sft.batch import Example
from proctor.sft.head import Head, chosen_logprobs, fused_loss

VOCABULARY, HIDDEN, ROWS = 151_936, 256, 1024
# tiny: the demo task. wide: the same rows and a vocabulary like Qwen's, hidden 256.
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {},
    "wide": {"vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": 512},
}
STEPS = {"tiny": 60, "wide": 3}
BATCH = 48
PACKED_LENGTH, PACKED_ROWS = 256, 4  # what TRL packs a batch of about as many tokens into


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
    return {"seconds": seconds, "peak_mb": peak, "gradient_gap": gap}


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


def training(size: str, way: str) -> dict[str, Any]:
    """A short run of a trainer: real tokens per processor second, and peak memory over what loading took."""
    torch.manual_seed(0)
    tokenizer = demo_task.make_tokenizer()
    labeller = labels.Labeller(tokenizer)
    rows = demo_task.demonstrations(demo_task.split_problems()[0], BATCH * STEPS[size])
    conversations = [chat.conversation_of(row, str(place)) for place, row in enumerate(rows)]
    examples = [labelled.example for each in conversations for labelled in labeller.rows(each)]
    model = demo_task.make_model(tokenizer, **SIZES[size])
    make = _trl if way.startswith("trl") else _ours
    with tempfile.TemporaryDirectory() as folder:
        train = make(size, way.endswith("packed"), examples, model, Path(folder))
        before, start = peak_mb(), time.process_time()
        train()
        seconds = time.process_time() - start
    tokens = sum(map(len, examples))
    return {"seconds": seconds, "tokens_per_second": tokens / seconds, "peak_mb": peak_mb() - before}


def _trl(size: str, packed: bool, examples: list[Example], model: Any, folder: Path) -> Callable[[], Any]:
    import trl
    from datasets import Dataset

    rows = [
        {
            "input_ids": list(example.token_ids),
            "labels": [
                token if trained else -100
                for token, trained in zip(example.token_ids, example.trained, strict=True)
            ],
        }
        for example in examples
    ]
    arguments = trl.SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=PACKED_ROWS if packed else BATCH,
        num_train_epochs=1,
        learning_rate=3e-3,
        packing=packed,
        max_length=PACKED_LENGTH if packed else 1024,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        logging_steps=10,
        use_cpu=True,
    )
    trainer = trl.SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=demo_task.make_tokenizer(),
    )
    return trainer.train


def _ours(size: str, packed: bool, examples: list[Example], model: Any, folder: Path) -> Callable[[], Any]:
    budget = PACKED_LENGTH * PACKED_ROWS
    words = ["--batch-size", str(BATCH), "--token-budget", str(budget), "--learning-rate", "3e-3"]
    run = config.load_config(settings.SFTConfig, None, words)
    workers = parallel.Plain(clip=1.0)
    tokenizer = demo_task.make_tokenizer()
    learner.make_learner(run.model, run.optimizer, workers, tokenizer, model)
    steps = course.Course(run, examples)
    cutting, loss = (
        step.Cutting(run.batch.token_budget, packed, tokenizer.pad_token_id),
        losses.find_loss("ce"),
    )

    def train() -> None:
        with closing(metrics.MetricsLog(folder)) as log:
            for number in range(steps.num_steps):
                rate = steps.learning_rate(number)
                result = step.train_step(workers, steps.batch(number), loss, cutting, rate=rate)
                log.write(number, {"loss": result.loss, "grad_norm": result.grad_norm})

    return train


def main() -> None:
    torch.set_num_threads(1)
    part, way = sys.argv[1:]
    print(json.dumps(head(way) if part == "head" else training(part, way)))


if __name__ == "__main__":
    main()
