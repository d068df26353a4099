"""Tokenizers made ready: padding on the left with a token that is not the end token."""

import pytest
from tokenizers import Tokenizer, models
from transformers import GenerationConfig, PreTrainedTokenizerFast

from proctor.sft.tokenizer import end_ids_of, load_tokenizer, prepare_tokenizer
from tests.sft_tokenizers import chat_tokenizer


def test_a_pad_token_that_is_the_end_token_is_replaced_from_the_vocabulary():
    tokenizer = chat_tokenizer("qwen2_5")
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, "right"
    size = len(tokenizer)
    prepare_tokenizer(tokenizer)
    assert (tokenizer.pad_token, tokenizer.padding_side, len(tokenizer)) == ("<pad>", "left", size)


def test_a_vocabulary_without_a_spare_token_gets_one():
    words = Tokenizer(models.WordLevel({"<end>": 0, "a": 1}, "a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<end>")
    prepare_tokenizer(tokenizer)
    assert tokenizer.pad_token == "<|pad|>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_a_good_pad_token_stays():
    tokenizer = chat_tokenizer("qwen2_5")
    prepare_tokenizer(tokenizer)
    assert tokenizer.pad_token == "<pad>"


@pytest.mark.parametrize(("given", "expected"), [(None, [3]), (7, [3, 7]), ([7, 8], [3, 7, 8])])
def test_generation_stops_at_the_tokenizers_end_and_the_configs(given, expected):
    tokenizer = chat_tokenizer("qwen2_5")
    own = tokenizer.eos_token_id
    found = end_ids_of(tokenizer, GenerationConfig(eos_token_id=given))
    assert set(found) == {own, *expected[1:]}
    assert end_ids_of(tokenizer, None) == (own,)


def test_a_chat_template_file_is_saved_with_the_tokenizer(tmp_path):
    chat_tokenizer("qwen2_5").save_pretrained(tmp_path / "model")
    (tmp_path / "own.jinja").write_text("{{ messages[0].content }}")
    tokenizer = load_tokenizer(str(tmp_path / "model"), chat_template=str(tmp_path / "own.jinja"))
    tokenizer.save_pretrained(tmp_path / "again")
    assert load_tokenizer(str(tmp_path / "again")).chat_template == "{{ messages[0].content }}"
