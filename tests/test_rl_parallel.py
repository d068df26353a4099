"""Two processes on gloo: updates are those of one process, and a whole run shares its prompts."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from proctor.rl.sharing import share
from tests.rl_parallel_runs import HAS_VLLM, WAYS, update
from tests.rl_toy import make_files

ROOT = Path(__file__).parents[1]
pytest.importorskip("deepspeed")


@pytest.mark.parametrize(("count", "processes"), [(7, 3), (2, 4), (8, 1)])
def test_shares_are_the_whole_in_order(count: int, processes: int) -> None:
    shares = [share(count, rank, processes) for rank in range(processes)]
    assert [place for part in shares for place in part] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@contextmanager
def together(folder: Path) -> Iterator[None]:
    """Two processes that do every way, at work while inside; they have succeeded at the end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, "-m", "tests.rl_parallel_runs", str(folder)]
    with (folder / "stderr").open("w+") as stderr:
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            yield
            code = child.wait(timeout=400)
        finally:
            child.terminate()  # torchrun ends its processes
            child.wait()
        assert code == 0, (folder / "stderr").read_text()[-5000:]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
def test_two_processes_are_one(tmp_path: Path) -> None:
    make_files(tmp_path)
    (tmp_path / "wide").mkdir()
    make_files(tmp_path / "wide", hidden_size=128)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with together(tmp_path):
        alone = {name: update(tmp_path, tuple(without_zero(words))) for name, words in WAYS.items()}
    torch.set_num_threads(threads)
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2))
    for name, want in alone.items():
        for got in (first["done"][name], second["done"][name]):
            for mine, single in zip(got["stats"], want["stats"], strict=True):
                assert mine == pytest.approx(single, rel=1e-4, abs=1e-6, nan_ok=True), name
            if got["squares"]:  # ZeRO-3 gathers the weights on the first process
                assert got["squares"] == pytest.approx(want["squares"], rel=1e-4, abs=1e-7), name
    check_run(tmp_path / "together", first["ledger"], second["ledger"])
    if HAS_VLLM:
        check_pieces(tmp_path / "wide")


def check_pieces(folder: Path) -> None:
    """A policy that ZeRO-3 had in pieces was whole wherever it was sampled from, resumed and saved."""
    steps = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps] == [1, 2, 3]
    assert all(line["gap"] < 1e-4 for line in steps)  # the log-probs that vLLM sampled by are the policy's
    assert [line["kl"] > 1e-4 for line in steps] == [False, True, True]  # to the weights of the start
    before, after = (AutoModelForCausalLM.from_pretrained(folder / name) for name in ("model", "run/model"))
    moved = (
        one.sub(other).abs().max().item()
        for one, other in zip(before.parameters(), after.parameters(), strict=True)
    )
    assert all(0 < each < 1 for each in moved)


def without_zero(words: tuple[str, ...]) -> list[str]:
    pairs = list(zip(words[::2], words[1::2], strict=True))
    return [
        word for name, value in pairs if name not in ("--zero", "--rollouts.engine") for word in (name, value)
    ]


def check_run(folder: Path, ledger: dict, other: dict) -> None:
    """Every rollout has one fate, both processes count alike, and one process wrote."""
    lines = [json.loads(line) for line in (folder / "completions.jsonl").read_text().splitlines()]
    assert ledger == other
    assert ledger["sampled"] == len(lines) == sum(ledger["fates"].values())
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps] == [1, 2, 3, 4]
    assert all(math.isfinite(line["gap"]) and line["gap"] < 1e-4 for line in steps)
    first_step = [(line["prompt"], line["completion"]) for line in lines if line["step"] == 1]
    assert len({prompt for prompt, _ in first_step}) * 4 == len(first_step)  # no prompt sampled twice
    assert (folder / "model" / "config.json").is_file()
