"""The demo task: demonstrations of the quality they claim, a model of the size it claims."""

import random
import re

import pytest

from proctor.sft.chat import conversation_of
from proctor.sft.demo_task import (
    Problem,
    demonstration,
    demonstrations,
    make_model,
    make_tokenizer,
    split_problems,
)
from proctor.sft.labels import Labeller
from proctor.sft.proof import Prover


class Fixed(random.Random):
    """Draws the same number every time: 0.3 is careful without slips, 0.9 is hasty."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def random(self) -> float:
        return self.value


def test_a_careful_answer_carries_and_a_hasty_one_does_not():
    problem = Problem(58, 36, 2)
    assert problem.prompt == "58+36="
    assert demonstration(problem, Fixed(0.3)) == "<think>8+6+0=14,5+3+1=09</think><answer>94</answer>"
    assert demonstration(problem, Fixed(0.9)) == "<think></think><answer>84</answer>"


def test_three_digits_are_the_same_task():
    text = demonstration(Problem(958, 136, 3), Fixed(0.3))
    assert text == "<think>8+6+0=14,5+3+1=09,9+1+0=10</think><answer>1094</answer>"


def test_half_of_the_demonstrations_are_right():
    """84% of the careful 40% and 24% of the hasty 60%: 49% (standard error 0.7% at 5,000)."""
    rows = demonstrations(split_problems()[0], 5000)
    careful = ["<think></think>" not in row["completion"] for row in rows]
    right = [re.search(r"<answer>(\d+)<", row["completion"]).group(1) == row["answer"] for row in rows]
    both = sum(one and other for one, other in zip(careful, right, strict=True))
    assert sum(careful) / 5000 == pytest.approx(0.40, abs=0.03)
    assert both / sum(careful) == pytest.approx(0.84, abs=0.03)
    assert sum(right) / 5000 == pytest.approx(0.49, abs=0.03)


def test_held_back_problems_are_never_trained_on():
    training, held_back = split_problems()
    assert (len(training), len(held_back)) == (8100 - 256, 256)
    assert not set(training) & set(held_back)
    assert split_problems() == (training, held_back)


def test_one_token_a_character_and_tags_survive_decoding():
    tokenizer = make_tokenizer()
    text = "<think>8+6+0=14</think><answer>94</answer>"
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == 4 + len("8+6+0=14") + 2
    assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == text
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_the_model_has_402_560_parameters():
    model = make_model(make_tokenizer())
    assert sum(parameter.numel() for parameter in model.parameters()) == 402_560


def test_the_mask_of_the_demonstrations_is_proved():
    labeller = Labeller(make_tokenizer())
    rows = demonstrations(split_problems()[0], 100)
    conversations = [conversation_of(row, str(place)) for place, row in enumerate(rows)]
    assert Prover(labeller).prove(row for each in conversations for row in labeller.rows(each)).holds
