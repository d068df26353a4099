"""The warm start end to end: resumed equals uninterrupted, Ctrl-C saves, what is saved loads anywhere."""

import json
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from proctor.sft.chat import Conversation, conversation_of
from proctor.sft.config import ConfigError, load_config
from proctor.sft.dataset import MaskError
from proctor.sft.demo_task import FORMAT, demonstrations, make_model, make_tokenizer, split_problems
from proctor.sft.settings import SFTConfig
from proctor.sft.train import Result, _check_shares, train

TINY = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1}
ROWS = demonstrations(split_problems()[0], 96)


@pytest.fixture(autouse=True)
def one_thread():
    """Two busy cores: torch's spinning threads would make tests slower, and sums depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def conversations(rows: list[dict[str, str]] | None = None) -> list[Conversation]:
    return [conversation_of(row, f"demo, row {place}") for place, row in enumerate(rows or ROWS)]


def run(folder: Path, *words: str, model=None, rows=None, **changes) -> Result:
    config = load_config(
        SFTConfig,
        None,
        [
            "--output",
            str(folder),
            "--batch-size",
            "8",
            "--learning-rate",
            "3e-3",
            "--token-budget",
            "200",
            *words,
        ],
    )
    model = model or make_model(make_tokenizer(), layers=1, **TINY, **changes)
    return train(config, model=model, tokenizer=make_tokenizer(), conversations=conversations(rows))


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["kind"] == "train"]


def interrupted_in(step: int, folder: Path, **changes):
    """A model that sends SIGINT to its own process while the given step runs."""
    model, metrics = make_model(make_tokenizer(), layers=1, **TINY, **changes), folder / "metrics.jsonl"

    def interrupt(*_):
        if metrics.exists() and len(metrics.read_text().splitlines()) == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
            handle.remove()

    handle = model.model.register_forward_hook(interrupt)
    return model


def test_the_loss_falls_and_the_result_says_so(tmp_path):
    result = run(tmp_path, "--max-steps", "40", "--learning-rate", "1e-2")
    curve = losses(tmp_path)
    assert len(curve) == 40
    assert curve[-1] < 0.6 * curve[0]
    assert result.progress.loss == curve[-1]
    assert not result.progress.is_interrupted


def test_ctrl_c_saves_and_the_resumed_run_has_the_losses_of_an_uninterrupted_one(tmp_path):
    """With dropout, so that random states matter; across an epoch's end (12 steps), so that order does."""
    dropout = {"attention_dropout": 0.2}
    words = ("--max-steps", "16", "--save-every", "5")
    run(tmp_path / "whole", *words, **dropout)
    broken = run(tmp_path / "broken", *words, model=interrupted_in(7, tmp_path / "broken", **dropout))
    assert broken.progress.is_interrupted
    assert broken.progress.step == 7
    assert broken.folder.name == "step-000007"
    resumed = run(tmp_path / "broken", *words, **dropout)
    assert resumed.progress.step == 16
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")


def test_a_new_run_in_an_old_folder_keeps_its_own_checkpoints(tmp_path):
    run(tmp_path, "--max-steps", "4", "--save-every", "1")
    result = run(tmp_path, "--max-steps", "2", "--resume", "false")
    assert result.progress.checkpoint.is_dir()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000002"]


def test_a_checkpoint_has_the_loss_of_its_own_step_alone(tmp_path):
    words = ("--max-steps", "4", "--every", "2", "--save-every", "1", "--keep", "9")
    run(tmp_path, *words, "--evaluation-share", "0.2")
    found = {
        path.name[-1]: json.loads((path / "checkpoint.json").read_text())["metric"] is not None
        for path in (tmp_path / "checkpoints").iterdir()
    }
    assert found == {"1": False, "2": True, "3": False, "4": True}


def test_the_model_of_an_earlier_run_is_replaced_whole(tmp_path):
    run(tmp_path, "--max-steps", "1", "--lora", "true")
    (tmp_path / ".writing-model").mkdir()  # as a crash leaves it
    result = run(tmp_path, "--max-steps", "1", "--resume", "false")
    assert not list(result.folder.glob("adapter*"))  # which would be loaded over the weights
    AutoModelForCausalLM.from_pretrained(result.folder)
    assert not list(tmp_path.glob(".writing*"))


def test_a_crash_while_the_model_is_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    folder = run(tmp_path, "--max-steps", "1").folder
    before = (folder / "model.safetensors").read_bytes()

    def full(model, path, **options):
        Path(path).mkdir(parents=True, exist_ok=True)
        (Path(path) / "model.safetensors").write_bytes(b"half")
        if Path(path).parent == tmp_path:  # the checkpoint before it is written
            raise OSError("disk full")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
    with pytest.raises(OSError, match="disk full"):
        run(tmp_path, "--max-steps", "2")
    assert (folder / "model.safetensors").read_bytes() == before


def test_other_data_is_not_resumed(tmp_path):
    run(tmp_path, "--max-steps", "2")
    with pytest.raises(ConfigError, match="was trained on other data"):
        run(tmp_path, "--max-steps", "4", rows=ROWS[:40])


def test_what_is_saved_loads_with_plain_transformers_and_answers_the_same(tmp_path):
    model = make_model(make_tokenizer(), layers=1, **TINY)
    result = run(tmp_path, "--max-steps", "3", model=model)
    loaded = AutoModelForCausalLM.from_pretrained(result.folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(result.folder)
    ids = torch.tensor([tokenizer("58+36=")["input_ids"]])
    assert ids.shape == (1, 6)
    assert tokenizer.padding_side == "left"
    torch.testing.assert_close(loaded(ids).logits, model.eval()(ids).logits)


def test_adapters_train_are_saved_resumed_and_merged(tmp_path):
    words = ("--lora", "true", "--lora-rank", "4", "--merge", "true", "--save-every", "3")
    whole = run(tmp_path / "whole", "--max-steps", "6", *words)
    run(tmp_path / "broken", "--max-steps", "6", *words, model=interrupted_in(4, tmp_path / "broken"))
    run(tmp_path / "broken", "--max-steps", "6", *words)
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert {path.name for path in whole.folder.iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


def test_a_merged_model_is_a_plain_one_that_answers_as_base_and_adapters_do(tmp_path):
    words = ("--lora", "true", "--merge", "true", "--max-steps", "4", "--learning-rate", "3e-2")
    result = run(tmp_path, *words)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    base = make_model(make_tokenizer(), layers=1, **TINY).eval()
    ids = torch.tensor([make_tokenizer()("58+36=<think></think><answer>94")["input_ids"]])
    with torch.no_grad():
        untrained = base(ids).logits
        adapted = PeftModel.from_pretrained(base, str(result.folder))(ids).logits
        assert type(merged) is type(make_model(make_tokenizer(), layers=1, **TINY))
        torch.testing.assert_close(merged(ids).logits, adapted, rtol=1e-4, atol=1e-5)
    assert (adapted - untrained).abs().max() > 0.1  # it learned, so merging had something to do


@pytest.mark.parametrize("kind", ["ce", "length_normalized", "sequence"])
def test_cutting_and_packing_give_the_same_curve(tmp_path, kind):
    curves = []
    for name, words in {
        "whole": ("--token-budget", "4000"),
        "cut": ("--token-budget", "80"),
        "packed": ("--token-budget", "120", "--packing", "true"),
    }.items():
        run(tmp_path / name, "--max-steps", "5", "--kind", kind, *words)
        curves.append(losses(tmp_path / name))
    assert curves[1] == pytest.approx(curves[0], rel=2e-5)
    assert curves[2] == pytest.approx(curves[0], rel=2e-5)


def test_evaluation_measures_held_back_rows_with_our_rewards(tmp_path):
    result = run(
        tmp_path, "--max-steps", "4", "--every", "2", "--evaluation-share", "0.2", "--format", FORMAT,
        "--max-new-tokens", "8", "--prompts", "5", "--samples", "2",
    )  # fmt: skip
    numbers = result.progress.evaluation
    assert 0 < numbers["loss"] < 5
    assert 0 <= numbers["sampled_format"] <= 1
    assert len(result.data.held_back) == 19  # a fifth of 96
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "evaluation"] == [2, 4]


def test_the_best_checkpoint_is_kept_besides_the_newest(tmp_path):
    run(
        tmp_path, "--max-steps", "6", "--every", "2", "--save-every", "2", "--keep", "1",
        "--evaluation-share", "0.2", "--learning-rate", "0.5", "--warmup-steps", "0",
    )  # fmt: skip
    kept = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    metrics = {
        path.name: json.loads((path / "checkpoint.json").read_text())["metric"]
        for path in (tmp_path / "checkpoints").iterdir()
    }
    assert "step-000006" in kept
    assert len(kept) == (1 if min(metrics, key=metrics.get) == "step-000006" else 2)


@pytest.mark.parametrize(
    ("held", "batch_size", "said"),
    [(1, 4, "1 held-back rows cannot"), (2, 1, "1 rows a step"), (0, 4, None)],
)
def test_too_few_rows_for_the_processes_are_told_before_anything_is_trained(held, batch_size, said):
    data = SimpleNamespace(training=[None] * 8, held_back=[None] * held)
    with pytest.raises(ConfigError, match=said) if said else nullcontext():
        _check_shares(data, batch_size, 2)


def test_a_wrong_mask_stops_the_run_before_anything_is_trained(tmp_path):
    """`<end>` is not what this model stops at."""
    model = make_model(make_tokenizer(), layers=1, **TINY)
    rows = [{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}]
    with pytest.raises(MaskError, match="1 rows with fault 'unreadable'"):
        run(tmp_path, rows=rows, model=model)
    assert not (tmp_path / "metrics.jsonl").exists()
