"""Prompts are read whatever else stands in their rows, and dealt once an epoch."""

import json
from pathlib import Path

import pytest
from tokenizers.processors import TemplateProcessing

from proctor.rl.prompts import Deck, Rendering, read_problems
from proctor.sft.demo_task import make_tokenizer
from proctor.verifiers.files.sources import InputError


@pytest.mark.parametrize("completion", [None, "an old answer", ["pieces"], 5])
def test_completions_in_the_file_are_nothing_to_training(tmp_path: Path, completion: object) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"prompt": "1+1=", "answer": 2, "completion": completion}) + "\n")
    rendering = Rendering(make_tokenizer(), {}, 64)
    problems, skipped = read_problems([str(path)], rendering, needed=("answer",), mapping={})
    assert skipped == []
    assert (problems[0].rollout.completion, problems[0].rollout.answer) == ("", "2")


@pytest.mark.parametrize("special", ["", "<begin>"])
def test_a_plain_prompt_never_ends_with_the_end_token(special: str) -> None:
    tokenizer = make_tokenizer()
    plain = tokenizer("1+1=", add_special_tokens=False)["input_ids"]
    tokenizer.add_special_tokens({"bos_token": "<begin>"})
    marks = [("<begin>", tokenizer.bos_token_id), (tokenizer.eos_token, tokenizer.eos_token_id)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{special} $A {tokenizer.eos_token}".strip(), special_tokens=marks
    )
    assert tokenizer("1+1=")["input_ids"][-1] == tokenizer.eos_token_id
    begin = [tokenizer.bos_token_id] if special else []
    assert Rendering(tokenizer, {}, 64)("1+1=") == (*begin, *plain)


def test_every_problem_is_dealt_once_an_epoch_and_the_order_resumes() -> None:
    deck = Deck(7, seed=3)
    dealt = [index for _ in range(7) for index in deck.deal(4)]
    assert all(sorted(dealt[start : start + 7]) == list(range(7)) for start in (0, 7, 14, 21))
    assert dealt[:7] != dealt[7:14]
    assert Deck(7, seed=3, dealt=10).deal(18) == dealt[10:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"p.jsonl: no row in it can be read$"),
        ("{broken\n", r"p.jsonl: no row in it can be read; the first: line 1: broken JSON"),
        ('{"prompt": "1+1="}\n', r"p.jsonl: no column for the answer"),
        ('{"prompt": "", "answer": "2"}\n', r"no usable prompt in .*p\.jsonl, line 1: the prompt is empty"),
    ],
)
def test_unusable_files_are_told(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.jsonl").write_text(content)
    rendering = Rendering(make_tokenizer(), {}, 64)
    with pytest.raises(InputError, match=message):
        read_problems([str(tmp_path / "p.jsonl")], rendering, needed=("answer",), mapping={})
