"""What `proctor sft` does, without the command line: print the keys, check the data, or train."""

from __future__ import annotations

from pathlib import Path

from proctor.sft import display
from proctor.sft.chat import read_conversations
from proctor.sft.config import ConfigError, describe, load_config
from proctor.sft.demonstrations import judge, load
from proctor.sft.quality_page import write_page
from proctor.sft.settings import SFTConfig
from proctor.sft.train import train


def show_keys() -> None:
    """All keys of a config with defaults and meaning, as a table on stdout."""
    display.show_keys(describe(SFTConfig))


def check_data(config_path: Path | None, overrides: list[str]) -> bool:
    """The mask proof alone; whether it holds. Raises InputError for what cannot be used."""
    config = load_config(SFTConfig, config_path, overrides)
    data, _ = load(config)
    display.show_data(data)
    return data.proof.holds


def report_quality(config_path: Path | None, overrides: list[str], page: Path) -> None:
    """Writes the quality report. Raises InputError for what cannot be used."""
    config = load_config(SFTConfig, config_path, overrides)
    if page.is_dir():
        raise ConfigError(
            f"--quality {page}: this is a folder; name a file in it, such as {page / 'quality.html'}"
        )
    quality = judge(config, list(read_conversations(config.data.train)))
    write_page(quality, page, title=", ".join(config.data.train))
    display.show_quality(quality, page)


def run(config_path: Path | None, overrides: list[str]) -> bool:
    """Trains; whether it went to the end. Raises InputError for what cannot be used."""
    return not train(load_config(SFTConfig, config_path, overrides)).progress.is_interrupted
