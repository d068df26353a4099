"""What can be wrong with a model that a key names is told in one line, which begins with the key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proctor.cli import app
from proctor.sft.config import ConfigError
from proctor.sft.demo_task import make_model, make_tokenizer
from proctor.sft.model import load_policy
from proctor.sft.tokenizer import load_tokenizer
from tests.sft_tokenizers import chat_tokenizer


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "rows.jsonl").write_text('{"prompt": "1 + 1?", "completion": "2"}\n')
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text('{"model_type": "qwen2"}')
    chat_tokenizer("qwen2_5").save_pretrained(tmp_path / "tokenizer")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "./nowhere",
            "no folder './nowhere' here; give one that save_pretrained wrote, or a name on the hub",
        ),
        ("runs/sft/model", "no folder 'runs/sft/model' here; "),
        (
            "~/model",
            "no folder '~/model' here; give one that save_pretrained wrote, with ~ written out, or a",
        ),
        ("rows.jsonl", "'rows.jsonl' is no folder here, and could not be had from the hub ("),
        ("no-such-owner/no-such-model", "'no-such-owner/no-such-model' is no folder here, and could not be "),
        ("./empty", "the folder './empty' cannot be loaded (Couldn't instantiate the backend tokenizer"),
        (
            "./bare",
            "the folder './bare' cannot be loaded (it has no tokenizer); give one that save_pretrained",
        ),
    ],
)
def test_a_model_that_is_not_there(name: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_tokenizer(name, key="critic.path")
    assert str(caught.value).startswith(f"critic.path: {problem}")
    assert "\n" not in str(caught.value)


def test_adapters_alone_are_no_model(folder: Path) -> None:
    """What a warm start with LoRA leaves, and the next run is tempted to begin from."""
    (folder / "tokenizer" / "adapter_config.json").write_text("{}")
    with pytest.raises(
        ConfigError, match=r"^model: the folder 'tokenizer' holds adapters .* run\.merge = true"
    ):
        load_policy("tokenizer")


def test_a_folder_with_a_tokenizer_alone() -> None:
    with pytest.raises(ConfigError, match=r"^model: the folder 'tokenizer' cannot be loaded"):
        load_policy("tokenizer")


@pytest.mark.parametrize(
    ("load", "file", "content"),
    [
        (load_policy, "model.safetensors", b"half of it"),
        (load_tokenizer, "tokenizer.json", b"{}"),
        (load_tokenizer, "tokenizer_config.json", b"[]"),
    ],
)
def test_files_that_a_crash_or_a_download_broke(load: Callable, file: str, content: bytes) -> None:
    make_model(make_tokenizer(), layers=1).save_pretrained("broken")
    make_tokenizer().save_pretrained("broken")
    (Path("broken") / file).write_bytes(content)
    with pytest.raises(ConfigError, match=r"^model(\.path)?: the folder 'broken' cannot be loaded \("):
        load("broken")


def test_a_backend_that_does_not_fit_is_no_fault_of_the_folder() -> None:
    make_model(make_tokenizer(), layers=1).save_pretrained("whole")
    with pytest.raises(ConfigError, match=r"^model\.attention: 'flash_attention_2' needs weights in half"):
        load_policy("whole", attention="flash_attention_2")


def test_a_template_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"^data\.chat_template: 'no\.jinja' cannot be read"):
        load_tokenizer("tokenizer", chat_template="no.jinja")


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["sft", "--model.path"], "model.path"),
        (["train", "--reward.expression", "math", "--model.path"], "model.path"),
        (["train", "--reward.expression", "math", "--model.path", "x", "--critic.path"], "critic.path"),
        (["rm", "--run.model"], "run.model"),
    ],
)
def test_every_command_names_its_key(words: list[str], key: str) -> None:
    result = CliRunner().invoke(app, [*words, "./nowhere", "--data.train", "rows.jsonl"])
    assert result.exit_code == 2
    assert f"error: {key}: no folder './nowhere' here" in result.stderr
