"""Two processes on gloo: DDP and DeepSpeed ZeRO 1, 2 and 3 give the loss curve of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from transformers import AutoModelForCausalLM

from proctor.sft.config import ConfigError
from proctor.sft.demo_task import make_model, make_tokenizer
from proctor.sft.parallel import Zero
from proctor.sft.saving import fitting
from tests.sft_parallel_runs import TINY
from tests.sft_parallel_runs import run as train_alone

ROOT = Path(__file__).parents[1]
pytest.importorskip("deepspeed")


WAYS = {
    "zero-0": "DDP",
    "zero-1": "optimiser state shared out",
    "zero-2": "gradients too",
    "zero-3": "weights too",
    "in-pieces": "ZeRO-3 with a model read from its folder, sharded as it is loaded",
    "resumed": "ZeRO-3 that lost its last checkpoint and went on from step 4",
}


def train_together(folder: Path) -> None:
    """All runs of two processes, in one launch: starting Python costs more than training here."""
    make_model(make_tokenizer(), layers=1, **TINY).save_pretrained(folder / "base")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, "-m", "tests.sft_parallel_runs", str(folder), str(folder / "base")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=560)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_give_the_curve_and_the_model_of_one(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_alone(tmp_path / "alone")
    torch.set_num_threads(threads)
    train_together(tmp_path)
    want, theirs = metrics(tmp_path / "alone"), weights(tmp_path / "alone")
    for name, way in WAYS.items():
        got, mine = metrics(tmp_path / name), weights(tmp_path / name)
        for number in ("loss", "grad_norm", "tokens"):
            values = [line[number] for line in want if number in line]
            assert len(values) >= 6
            assert [line[number] for line in got if number in line] == pytest.approx(values, rel=2e-5), way
        for parameter, value in theirs.items():
            torch.testing.assert_close(
                mine[parameter], value, rtol=1e-3, atol=1e-4, msg=f"{way}: {parameter}"
            )


@pytest.mark.parametrize("answer", [AssertionError(), RuntimeError("a world size of 2"), (None, {})])
def test_what_deepspeed_cannot_read_is_told(tmp_path, answer):
    """It asserts without a word, raises classes of its own, or warns and leaves the weights as they are."""
    zero = Zero.__new__(Zero)
    zero.optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    zero.module = Mock()
    zero.module.load_checkpoint.side_effect = [answer]
    said = r"another kind \((a world size|DeepSpeed finds no state of this stage)"
    with pytest.raises(ConfigError, match=said), fitting(tmp_path):
        zero.load(tmp_path)


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder / "model").state_dict()
