"""Trains the same tiny model in every way, one after the other; run under torchrun by test_sft_parallel."""

import shutil
import sys
from pathlib import Path

import torch

from proctor.sft.chat import conversation_of
from proctor.sft.config import load_config
from proctor.sft.demo_task import demonstrations, make_model, make_tokenizer, split_problems
from proctor.sft.settings import SFTConfig
from proctor.sft.train import train

TINY = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1}
# Several micro-batches of unequal size per process, and clipping: averages of averages would show.
WORDS = {
    "batch-size": "10",
    "token-budget": "60",
    "clip": "0.5",
    "learning-rate": "3e-3",
    "evaluation-share": "0.25",
    "max-steps": "6",
    "save-every": "4",
    "keep": "5",
    "tensorboard": "false",
}


def run(folder: Path, **changes: str) -> None:
    words = {**WORDS, "output": str(folder), **changes}
    config = load_config(SFTConfig, None, [f"--{name}={value}" for name, value in words.items()])
    rows = demonstrations(split_problems()[0], 48)
    tokenizer = make_tokenizer()
    train(
        config,
        model=None if config.model.path else make_model(tokenizer, layers=1, **TINY),
        tokenizer=tokenizer,
        conversations=[conversation_of(row, f"row {place}") for place, row in enumerate(rows)],
    )


def main(folder: Path, base: Path) -> None:
    """zero 0 is DDP. Stage 3 comes last: it changes how models are loaded in the whole process."""
    torch.set_num_threads(1)
    for stage in range(4):
        run(folder / f"zero-{stage}", zero=str(stage))
    run(folder / "in-pieces", zero="3", path=str(base))
    if torch.distributed.get_rank() == 0:
        shutil.copytree(folder / "zero-3", folder / "resumed")
        shutil.rmtree(folder / "resumed" / "checkpoints" / "step-000006")
    torch.distributed.barrier()
    run(folder / "resumed", zero="3")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
