"""Tokenizers made on the spot: byte-level BPE with a chat template from tests/data/chat_templates."""

import re
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEMPLATES = Path(__file__).parent / "data" / "chat_templates"
_SPECIAL = re.compile(r"<\|[a-z_]{1,20}\|>|<(?:start|end)_of_turn>")
_TEXT = ["What is two plus two? Two plus two is four. Q: A: user assistant system"] * 3


def chat_tokenizer(
    template: str, *, eos: str = "<|im_end|>", bos: str | None = None
) -> PreTrainedTokenizerFast:
    """A tokenizer whose special tokens are those that the named template writes."""
    text = (TEMPLATES / f"{template}.jinja").read_text()
    names = {"<|user|>", "<|assistant|>", "<|system|>"} if template == "two_ends" else set()
    special = sorted({*_SPECIAL.findall(text), *names, eos, *([bos] if bos else [])})
    tokenizer = byte_tokenizer(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=eos,
        bos_token=bos,
        pad_token="<pad>",
        padding_side="left",
        chat_template=text,
    )


def byte_tokenizer(special: list[str], *, across_spaces: bool = False) -> Tokenizer:
    """Byte-level BPE; `across_spaces` lets tokens reach over word borders, as few real ones do."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not across_spaces)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<pad>", *special],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    return tokenizer
