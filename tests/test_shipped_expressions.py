"""Expressions that the documentation shows, with the parts that ship."""

from __future__ import annotations

import pytest

import proctor
from proctor.verifiers.answers import Math
from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.expression import reward
from proctor.verifiers.form import Format
from proctor.verifiers.nodes import walk
from proctor.verifiers.part import Part
from proctor.verifiers.registry import parts

# Word for word from the design notes, the issue and the docstrings.
SHOWN = [
    "math",
    '0.9 * math + 0.1 * format("think_answer") - overlong(max_tokens=4096, buffer=512)',
    'format("boxed") and math',
    'code(tests="tests", timeout=5) if task == "code" else math',
    "clip(math - 0.5 * repetition(ngram=20), 0, 1)",
    "math + 0.1 * steps",
    "math(tolerance=0.01)",
    'code + 0.2 * format("boxed") - max(0, len - 2000) * 0.0001',
    'math + schedule(0.2, 0.0, steps=500) * format("boxed")',
    'format(json({"type": "object"})) and math',
    'math + 0.1 * format(xml("reason", "answer"))',
    "cosine(max_tokens=4096) if math else cosine(max_tokens=4096, short=-10, long=0)",
]

RIGHT = Rollout("2 + 2 = 4, so \\boxed{4}", prompt="2+2?", answer="4", task="math", num_tokens=12)
WRONG = Rollout("It is 5", prompt="2+2?", answer="4", task="math", num_tokens=4)


@pytest.mark.parametrize("source", SHOWN)
def test_shown_expressions_are_read_printed_and_checked(source: str) -> None:
    made = proctor.reward(source)
    assert reward(str(made)) == made
    assert made.explain()["hash"] == made.hash
    assert {part["name"] for part in made.explain()["parts"]} <= parts().keys()


def test_the_design_s_expression_in_python_is_the_one_in_text() -> None:
    made = reward(Math() * 0.9 + Format("boxed") * 0.1)
    assert made == reward('math * 0.9 + format("boxed") * 0.1')
    # By hand: 0.9 + 0.1 for the right answer in its box; the other has neither.
    assert [score.total for score in made.score([RIGHT, WRONG])] == [1.0, 0.0]


def test_a_gate_spares_the_dear_part() -> None:
    scores = reward('format("boxed") and math').score([RIGHT, WRONG])
    assert [score.total for score in scores] == [1.0, 0.0]
    assert scores[1].verdicts["math"].status is Status.SKIPPED


def test_the_seed_reward_is_known_to_let_length_outweigh_the_tests() -> None:
    made = reward('code + 0.2 * format("boxed") - max(0, len - 2000) * 0.0001')
    assert [concern.weakness.value for concern in made.check()] == ["dominance", "unbounded"]


@pytest.mark.parametrize("name", sorted(parts()))
def test_every_part_keeps_the_contract(name: str) -> None:
    part = parts()[name]
    assert part.name == name
    assert part.__doc__
    examples = [node for source in SHOWN for node in walk(reward(source).node) if isinstance(node, part)]
    for node in examples:
        assert node.bounds.low <= node.bounds.high
        assert isinstance(node, Part)
        assert reward(node) == reward(str(node))
