"""`proctor sft` from the shell's side: what it prints, writes and answers."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import proctor.commands.sft  # noqa: F401 - adds the command
from proctor.app import app
from proctor.sft.config import ConfigError, load_config
from proctor.sft.demo_task import demonstrations, make_model, make_tokenizer, split_problems
from proctor.sft.demonstrations import load
from proctor.sft.settings import SFTConfig

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model, rows and a config on disk."""
    folder = tmp_path_factory.mktemp("sft")
    tokenizer = make_tokenizer()
    tiny = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1}
    make_model(tokenizer, layers=1, **tiny).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    rows = demonstrations(split_problems()[0], 40)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "warm.toml").write_text(
        f'[model]\npath = "{folder}/model"\n[data]\ntrain = ["{folder}/train.jsonl"]\n'
        f'[batch]\nbatch_size = 8\n[run]\noutput = "{folder}/out"\nmax_steps = 2\n'
    )
    return folder


def sft(*words: str):
    return CliRunner().invoke(app, ["sft", *words], catch_exceptions=False)


def test_check_data_proves_the_mask_and_trains_nothing(folder):
    result = sft(str(folder / "warm.toml"), "--check-data")
    assert result.exit_code == 0
    assert "the mask is proved" in result.stderr
    assert not (folder / "out").exists()


def test_a_failing_proof_exits_1_and_shows_the_row(folder):
    """Rows cut within the prompt have nothing left to learn."""
    result = sft(str(folder / "warm.toml"), "--check-data", "--max-length", "6", "--overlong", "truncate")
    assert result.exit_code == 1
    assert "nothing_trained" in result.stderr
    assert "train.jsonl, row 1" in result.stderr


def test_training_refuses_what_is_not_proved(folder):
    result = sft(str(folder / "warm.toml"), "--max-length", "6", "--overlong", "truncate")
    assert result.exit_code == 2
    assert "the mask is not proved: 40 rows with fault 'nothing_trained'" in result.stderr


def test_a_run_writes_a_model_and_metrics(folder):
    result = sft(str(folder / "warm.toml"), "--output", str(folder / "trained"), "--tensorboard", "false")
    assert result.exit_code == 0
    assert (folder / "trained" / "model" / "model.safetensors").is_file()
    assert len((folder / "trained" / "metrics.jsonl").read_text().splitlines()) == 2


def test_the_quality_report_is_written(folder):
    page = folder / "quality.html"
    result = sft(str(folder / "warm.toml"), "--quality", str(page))
    assert result.exit_code == 0
    assert "Exact duplicates" in page.read_text()


def test_filters_leave_rows_out(folder, tmp_path):
    rows = (folder / "train.jsonl").read_text().splitlines()
    (tmp_path / "twice.jsonl").write_text("\n".join(rows[:5] * 2) + "\n")
    words = ("--train", str(tmp_path / "twice.jsonl"), "--check-data")
    assert "10" in sft(str(folder / "warm.toml"), *words).stderr.split("rows")[1].splitlines()[0]
    filtered = sft(str(folder / "warm.toml"), *words, "--filters", "exact_duplicates")
    assert " 5 " in filtered.stderr.split("rows")[1].splitlines()[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lerning-rate", "1"], "did you mean '--optimizer.learning_rate'?"),
        (["--path", "m"], "'data.train' is required and has no value; set it or pass --data.train"),
        (["--train", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["--max-length", "1"], "all 40 rows are longer than data.max_length = 1"),
        (["--evaluation-share", "1"], "all 40 rows are held back, so that none is left to train on"),
        (["--weight-column", "keys", "--kind", "sequence"], "data.weight_column: no row has a column 'keys'"),
        (["--weight-column", "keys"], "data.weight_column has no effect on loss.kind = 'ce'"),
        (["--merge", "true"], "run.merge = True has no effect; it needs model.lora"),
        (["--every", "2"], "evaluation.every = 2 has no effect; it needs data.evaluation or"),
        (["--parallel.offload", "true"], "parallel.offload = True has no effect; it needs parallel.zero"),
        (["--reward", "mth"], "evaluation.reward: line 1, column 1: unknown part 'mth'"),
        (["--filters", "wrong"], "data.filters: 'wrong' can only be found with evaluation.reward"),
        (["--filters", "contaminated"], "data.filters: 'contaminated' can only be found with data.against"),
        (["--quality", "."], "--quality .: this is a folder; name a file in it, such as quality.html"),
        (
            ["--lora", "true", "--lora-targets", "nope"],
            "model.lora_targets = 'nope': Target modules nope not",
        ),
        (["--output", "/proc/nope"], "run.output: '/proc/nope' cannot be made"),
        (["--deepspeed-config", "nope.json"], "parallel.deepspeed_config: 'nope.json' is no JSON object"),
    ],
)
def test_what_cannot_be_used_exits_2_and_says_why(words, message, folder):
    needs_config = "--path" not in words and "--lerning-rate" not in words
    result = sft(*([str(folder / "warm.toml")] if needs_config else []), *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_pieces_cannot_be_merged(folder):
    words = ("--merge", "true", "--lora", "true", "--zero", "3")
    with pytest.raises(ConfigError, match=r"run\.merge: with zero = 3 no process has the whole weights"):
        load(load_config(SFTConfig, folder / "warm.toml", words))


def test_keys_are_listed_on_stdout():
    result = sft("--keys")
    assert result.exit_code == 0
    assert "optimizer.clip" in result.stdout


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_losses_of_one_that_was_not(folder, tmp_path, monkeypatch):
    """SIGKILL wherever it strikes, most likely while a checkpoint is written: there is one every three steps."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # what is summed in another order has other last bits
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    words = [str(folder / "warm.toml"), "--max-steps", "300", "--save-every", "3", "--tensorboard", "false"]
    killed, metrics = [*words, "--output", str(tmp_path / "killed")], tmp_path / "killed" / "metrics.jsonl"
    command = [sys.executable, "-m", "proctor", "sft", *killed]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 20):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    with metrics.open("a") as file:
        file.write('{"step": 21, "lo')  # a line cut off, as a power failure leaves it
    assert sft(*killed).exit_code == 0
    assert sft(*words, "--output", str(tmp_path / "whole")).exit_code == 0
    torch.set_num_threads(threads)
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("killed", "whole")
    ]
    assert len(losses[1]) == 300
    assert losses[0] == losses[1]
