"""The parts `repetition` and `complete`."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Part
from proctor.verifiers.registry import find
from proctor.verifiers.wording import Complete, Repetition


def judge(part: Part, text: str, **columns: Any) -> Verdict:
    return part.verify([Rollout(text, **columns)])[0]


@pytest.mark.parametrize(
    ("ngram", "text", "expected"),
    [
        # a b a b a b: ab ba ab ba ab, 2 distinct of 5
        (2, "a b a b a b", 1 - 2 / 5),
        # one two three, two three one, three one two, one two three: 3 distinct of 4
        (3, "One two three one two three", 1 - 3 / 4),
        (1, "to be or not to be", 1 - 4 / 6),
        (2, "To be, to be", 1 - 3 / 4),  # to be / be , / , to / to be: case does not count, the comma does
        (2, "好好好好", 1 - 1 / 3),  # three times the same pair of characters
        (2, "我爱你,我爱你", 1 - 4 / 6),  # 我爱 爱你 你, ,我 我爱 爱你
        (2, "........", 1 - 1 / 7),
        (4, "three words only", 0),
        (20, "", 0),
        (20, "word " * 20, 0),  # one n-gram
        (20, "word " * 21, 1 / 2),
        (3, "all of these words are different ones", 0),
    ],
)
def test_share_of_repeated_word_ngrams(ngram: int, text: str, expected: float) -> None:
    assert judge(Repetition(ngram), text).value == pytest.approx(expected, abs=1e-12)


def test_characters_and_tokens() -> None:
    # ab ba ab ba: 2 distinct of 4
    assert judge(Repetition(2, unit="characters"), "ababa").value == pytest.approx(0.5)
    part = Repetition(2, unit="tokens")
    assert part.columns == ("token_ids",)
    assert judge(part, "", fields={"token_ids": [7, 8, 7, 8, 7]}).value == pytest.approx(0.5)


@pytest.mark.parametrize("ids", [None, "7 8", [7, "8"], 7])
def test_token_ids_that_are_none(ids: object) -> None:
    verdict = judge(Repetition(2, unit="tokens"), "", fields={"token_ids": ids})
    assert (verdict.value, verdict.status) == (None, Status.MISCONFIGURED)


def test_what_is_said_k_times_comes_to_one_minus_a_kth() -> None:
    sentence = " ".join(f"word{number}" for number in range(100))
    # 10 * 100 words have 981 n-grams of 20 words; 100 of them are distinct
    assert judge(Repetition(), " ".join([sentence] * 10)).value == pytest.approx(1 - 100 / 981)
    assert judge(Repetition(), sentence).value == 0


@given(st.lists(st.sampled_from(["a", "b", "猫", "."]), max_size=60), st.integers(1, 8))
def test_repetition_is_bounded_and_agrees_with_tuples(words: list[str], ngram: int) -> None:
    value = judge(Repetition(ngram), " ".join(words)).value
    grams = list(zip(*(words[start:] for start in range(ngram)), strict=False))
    expected = 1 - len(set(grams)) / len(grams) if grams else 0
    assert value == pytest.approx(expected, abs=1e-12)
    assert 0 <= value < 1
    assert Repetition(ngram).bounds == Bounds(0.0, 1.0)


@given(st.text(max_size=60), st.text(max_size=60))
def test_saying_it_again_never_lowers_repetition(text: str, more: str) -> None:
    once = judge(Repetition(3), f"{text} {more}").value
    twice = judge(Repetition(3), f"{text} {more} {text} {more}").value
    assert once is not None
    assert twice is not None
    assert twice >= once - 1e-12


@pytest.mark.parametrize("ngram", [0, 101])
def test_an_ngram_that_makes_no_sense(ngram: int) -> None:
    with pytest.raises(ValueError, match="ngram must be from 1 to 100,"):
        Repetition(ngram)


def test_complete_is_what_the_trainer_says() -> None:
    assert judge(Complete(), "cut o", truncated=True).value == 0
    assert judge(Complete(), "<think>", truncated=False).value == 1
    unknown = judge(Complete(), "?")
    assert (unknown.value, unknown.status) == (None, Status.MISCONFIGURED)
    assert "guess=True" in unknown.evidence["problem"]
    assert (Complete().columns, Complete(guess=True).columns) == (("truncated",), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is 4", None),
        ("", None),
        ("<think>a</think>4", None),
        ("<think>a", "thinking"),
        ("```python\nx = 1\n```", None),
        ("```python\nx = 1", "code block"),
        ("so \\boxed{4}", None),
        ("so \\boxed{\\frac{1}{2}", "\\boxed{"),
        ("\\boxed{1} and \\boxed{", "\\boxed{"),
        ("<answer>4</answer>", None),
        ("<answer>4", "<answer>"),
    ],
)
def test_guesses_by_what_never_ends(text: str, expected: str | None) -> None:
    verdict = judge(Complete(guess=True), text)
    assert verdict.value == (expected is None)
    assert verdict.evidence.get("never ends") == expected


def test_thinking_that_the_prompt_opened_may_never_end() -> None:
    assert judge(Complete(guess=True), "so 2+2", prompt="2+2?\n<think>\n").value == 0


@pytest.mark.parametrize("part", [Repetition(), Complete()], ids=str)
def test_is_registered_and_pickles(part: Part) -> None:
    assert find(part.name) is type(part)
    assert pickle.loads(pickle.dumps(part)) == part


BITS = ["a ", "中", ".", "\\boxed{", "<answer>", "```\n", "<think>", "{", "\\", "a1 "]


@pytest.mark.parametrize("bit", BITS)
def test_hostile_text_takes_linear_time(bit: str) -> None:
    text = bit * (100_000 // len(bit))
    start = time.process_time()
    judge(Repetition(), text)
    judge(Complete(guess=True), text)
    assert time.process_time() - start < 1
