"""Configs: file, overrides, and errors that say where and what would do."""

import pytest

from proctor.sft.config import ConfigError, describe, load_config
from proctor.sft.settings import SFTConfig


def written(folder, text):
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_overrides_lie_over_the_file_which_lies_over_the_defaults(tmp_path):
    path = written(tmp_path, "[optimizer]\nlearning_rate = 1e-3\nclip = 0.5\n")
    config = load_config(SFTConfig, path, ["--learning-rate", "3e-4", "--run.seed=7"])
    assert (config.optimizer.learning_rate, config.optimizer.clip, config.run.seed) == (3e-4, 0.5, 7)
    assert config.batch.batch_size == 64


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--path", "org/model"], "org/model"),
        (["--path", "'2'"], "2"),
    ],
)
def test_values_are_toml_or_else_text(words, value):
    assert load_config(SFTConfig, None, words).model.path == value


def test_a_file_that_is_no_utf8_is_told(tmp_path):
    (tmp_path / "run.toml").write_bytes("# Prüfung\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"run.toml: not valid TOML, which is UTF-8: .*byte 0xfc"):
        load_config(SFTConfig, tmp_path / "run.toml")


def test_a_key_of_what_is_no_table_is_told(tmp_path):
    path = written(tmp_path, "model = 'org/model'\n")
    with pytest.raises(
        ConfigError, match=r"run.toml, line 1: 'model' = 'org/model': expected a table, \[model\]"
    ):
        load_config(SFTConfig, path, ["--model.lora", "true"])


def test_one_value_for_a_key_that_takes_several_is_a_list_of_it():
    assert load_config(SFTConfig, None, ["--train", "a.jsonl"]).data.train == ("a.jsonl",)


def test_a_pair_for_a_key_that_takes_a_table_is_a_table_of_it():
    words = ["--template-options", "enable_thinking=false"]
    assert load_config(SFTConfig, None, words).data.template_options == {"enable_thinking": False}


def test_lists_and_tables_can_be_given_on_the_command_line():
    words = ["--train", '["a.jsonl", "b.jsonl"]', "--template-options", "{enable_thinking = false}"]
    config = load_config(SFTConfig, None, words)
    assert config.data.train == ("a.jsonl", "b.jsonl")
    assert config.data.template_options == {"enable_thinking": False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[optimizer]\nlerning_rate = 1",
            r"line 2: unknown key 'lerning_rate' in \[optimizer\] \(did you mean 'learning_rate'\?\)",
        ),
        ("batch_size = 8", r"line 1: unknown key 'batch_size' \(did you mean 'batch.batch_size'\?\)"),
        ("[optimiser]\nclip = 1", r"line 1: unknown key 'optimiser' \(did you mean 'optimizer'\?\)"),
        ("[optimizer]\n\nclip = -1", r"run.toml, line 3: 'optimizer.clip' = -1: Input should be greater"),
        ("[loss]\nkind = 'cee'", r"line 2: 'loss.kind' = 'cee': Input should be 'ce', 'weighted_ce'"),
        ("[model]\nquantize = '4bit'", "set lora = true as well"),
        ("[loss\n", "not valid TOML"),
    ],
)
def test_errors_in_the_file_say_where(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(SFTConfig, written(tmp_path, text))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--lerning-rate", "1"],
            r"unknown key '--lerning_rate' \(did you mean '--optimizer.learning_rate'\?\)",
        ),
        (["--every"], "--every has no value"),
        (["clip", "1"], "'clip' stands where a --key is expected"),
        (["--clip", "-1"], "^--clip: 'optimizer.clip' = -1"),
        (["--filters", "foo"], "^--filters: 'data.filters.0' = 'foo': Input should be 'exact_duplicates'"),
        (["--data.filters=3"], r"^--data\.filters: 'data.filters.0' = 3"),
        (["--quantize", "4bit"], r"^--quantize: \[model\]: quantize = '4bit' freezes the weights; set lora"),
    ],
)
def test_errors_on_the_command_line(tmp_path, words, message):
    path = written(
        tmp_path, "[data]\nfilters = ['wrong']\n[optimizer]\nclip = 1\n[model]\nquantize = 'none'\n"
    )
    for file in (None, path):
        with pytest.raises(ConfigError, match=message):
            load_config(SFTConfig, file, words)


def test_an_error_that_no_option_made_is_the_files(tmp_path):
    path = written(tmp_path, "[data]\nfilters = ['wrong', 'foo']\n")
    with pytest.raises(ConfigError, match=r"run\.toml, line 2: 'data\.filters\.1' = 'foo'"):
        load_config(SFTConfig, path, ["--clip", "1", "--data.train", "x.jsonl"])


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        load_config(SFTConfig, "nowhere.toml")


def test_every_key_is_documented():
    keys = describe(SFTConfig)
    assert len(keys) > 40
    assert [key.name for key in keys if len(key.text) < 10] == []
    clip = next(key for key in keys if key.name == "optimizer.clip")
    assert (clip.kind, clip.default) == ("float", "1.0")
