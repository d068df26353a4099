"""Completions of held-back prompts are drawn from the model's own distribution."""

import pytest
import torch

from proctor.sft.demo_task import make_model, make_tokenizer
from proctor.sft.generate import Decoding, Question, generate
from proctor.sft.model import Policy


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_models_own_generation_config_does_not_bend_them(temperature: float) -> None:
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, layers=1)
    question = Question("1+1=", tokenizer("1+1=")["input_ids"], {})
    decoding = Decoding(
        end_ids=(1,), max_new_tokens=12, device=torch.device("cpu"), temperature=temperature, samples=1
    )
    found = []
    for settings in ({}, {"repetition_penalty": 5.0, "no_repeat_ngram_size": 2, "min_p": 0.9}):
        model.generation_config.update(**settings)
        torch.manual_seed(0)
        found.append(generate(Policy(model), tokenizer, [question], decoding)[0].completion)
    assert found[0] == found[1] != ""
