"""What a key names as a model, a folder or a name on the hub: one short error for all that can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proctor.sft.config import ConfigError


def check_model_name(name: str, key: str) -> None:
    """Raises ConfigError where `name` can only be a folder, and there is none. key: what it was given as."""
    # A name on the hub is `name` or `owner/name`; whatever else has a slash can only be a folder.
    if (name.startswith((".", "/", "~")) or name.count("/") > 1) and not Path(name).is_dir():
        home = ", with ~ written out" if name.startswith("~") else ""
        raise ConfigError(
            f"{key}: no folder '{name}' here; give one that save_pretrained wrote{home}, or a name on the hub"
        )


@contextmanager
def loading(name: str, key: str) -> Iterator[None]:
    """Around what loads it: tells in a line whatever transformers or the hub make of it. Raises ConfigError."""
    check_model_name(name, key)
    try:
        yield
    except (ConfigError, ImportError):  # which say what to do
        raise
    except (
        Exception
    ) as error:  # the border to transformers, safetensors and tokenizers, which raise what they like
        said = (str(error) or type(error).__name__).strip().split("\n")[0].strip(" .:")
        if (Path(name) / "adapter_config.json").is_file():
            problem = (
                f"the folder '{name}' holds adapters without the model they adapt; train them with run.merge = "
                "true and give the folder 'merged', or merge them (peft: merge_and_unload) and save that"
            )
        elif Path(name).is_dir():
            problem = f"the folder '{name}' cannot be loaded ({said}); give one that save_pretrained wrote"
        else:
            problem = (
                f"'{name}' is no folder here, and could not be had from the hub ({said}); check the name, the "
                "network and, for a gated model, HF_TOKEN, or give the folder of a copy"
            )
        raise ConfigError(f"{key}: {problem}") from error
