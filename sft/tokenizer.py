"""Tokenizers ready for training and generation: padding, end tokens, chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from proctor.sft.config import ConfigError
from proctor.sft.pretrained import loading

# Tokens that vocabularies hold in reserve; taking one costs no new embedding row.
_PAD_CANDIDATES = ("<|finetune_right_pad_id|>", "<|pad|>", "<pad>", "[PAD]", "<unk>", "[UNK]")


def load_tokenizer(path: str, *, key: str = "model.path", chat_template: str = "") -> PreTrainedTokenizerBase:
    """The tokenizer of a model, with left padding and a pad token that is not the end token.

    key: what the model was given as. chat_template: a file whose template replaces the tokenizer's own; saved
    models carry it. Raises ConfigError.
    """
    with loading(path, key):
        tokenizer = AutoTokenizer.from_pretrained(path)
        if len(tokenizer) < 2:  # what transformers makes up where a folder has a model alone
            raise ValueError("it has no tokenizer")
    if chat_template:
        tokenizer.chat_template = _read_template(chat_template)
    prepare_tokenizer(tokenizer)
    return tokenizer


def _read_template(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"data.chat_template: '{path}' cannot be read: {error}") from error


def prepare_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Left padding, and a pad token apart from the end token, from the vocabulary's reserve where it has one.

    Trainers that mask padding by its token would otherwise never train the end token; ours masks by length,
    but what it saves may be trained on elsewhere.
    """
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != tokenizer.eos_token_id:
        return
    vocabulary = tokenizer.get_vocab()
    found = next((token for token in _PAD_CANDIDATES if token in vocabulary), None)
    if found is None:
        tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    else:
        tokenizer.pad_token = found


def plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Tokens of plain text that a completion follows, after the BOS that this tokenizer puts before it.

    Some tokenizers put an end token after it, too: a model would be asked to go on where it has ended.
    """
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    bos = tokenizer.bos_token_id
    begins = bos is not None and tokenizer("", add_special_tokens=True)["input_ids"][:1] == [bos]
    return [bos, *ids] if begins else ids


def end_ids_of(tokenizer: PreTrainedTokenizerBase, generation: GenerationConfig | None) -> tuple[int, ...]:
    """The tokens at which generation stops: the tokenizer's end token and the generation config's."""
    ids: Any = generation.eos_token_id if generation is not None else None
    known = {tokenizer.eos_token_id, *(ids if isinstance(ids, list) else [ids])} - {None}
    return tuple(sorted(known))
