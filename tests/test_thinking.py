"""Splitting a response into thinking and the rest."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.thinking import Thinking, opens_thinking, split_thinking

PAIRS = [
    ("<think>", "</think>"),
    ("<THINK>", "</Think >"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
]
PLAIN = st.text(alphabet="ab <>/[]\n", max_size=20)


@pytest.mark.parametrize(("opening", "closing"), PAIRS)
def test_each_kind_of_mark(opening: str, closing: str) -> None:
    assert split_thinking(f"{opening}2+2 is 4{closing}4") == Thinking("2+2 is 4", "4")
    assert split_thinking(f"2+2 is 4{closing}4") == Thinking("2+2 is 4", "4")
    assert split_thinking(f"{opening}2+2 is") == Thinking("2+2 is", "", closed=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I think it is 4", Thinking(None, "I think it is 4")),
        ("", Thinking(None, "")),
        ("<think></think>4", Thinking("", "4")),
        ("Hm. <think>a</think> It is 4", Thinking("a", "Hm. \n It is 4")),
        ("<think>a</think>b<think>c</think>d", Thinking("a\nc", "b\nd")),
        # A second closing mark: nobody can say which one was meant, so only what follows both is the answer.
        ("<think>a</think>b</think>c", Thinking("<think>a</think>b", "c")),
        # Musing about the mark while thinking opens nothing.
        ("<think>a <think> b</think>c", Thinking("a <think> b", "c")),
        # Another kind of mark inside a section is text.
        ("<think>a</reasoning>b</think>c", Thinking("a</reasoning>b", "c")),
        ("<think>a</thinking>b", Thinking("a</thinking>b", "", closed=False)),
        ("<think>a</think>b<think>c", Thinking("a\nc", "b", closed=False)),
        ("<thinker>a</thinker>", Thinking(None, "<thinker>a</thinker>")),
    ],
)
def test_cases(text: str, expected: Thinking) -> None:
    assert split_thinking(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cut off", Thinking("cut off", "", closed=False)),
        ("a</think>b", Thinking("a", "b")),
        ("<think>a</think>b", Thinking("<think>a", "b")),
    ],
)
def test_section_that_the_prompt_opened(text: str, expected: Thinking) -> None:
    assert split_thinking(text, is_open=True) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("<|im_start|>assistant\n<think>\n", True),
        ("Put your thoughts in <think> tags. What is 2+2?", False),
        ("<think>\n\n</think>\n\n", False),
        ("", False),
        ([], False),
        ([{"role": "user", "content": "write <think>"}], False),
        ([{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "<think>\n"}], True),
    ],
)
def test_opens_thinking(prompt: str | list[dict[str, str]], expected: bool) -> None:
    assert opens_thinking(prompt) is expected


@given(st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=4), PLAIN)
def test_well_formed_sections_come_back(sections: list[tuple[str, str]], last: str) -> None:
    text = "".join(f"{said}<think>{thought}</think>" for said, thought in sections) + last
    split = split_thinking(text)
    assert split.closed
    assert split.thinking == "\n".join(thought for _, thought in sections if thought)
    assert split.rest == "\n".join(part for part in [*(said for said, _ in sections), last] if part)


@pytest.mark.parametrize("bit", ["<think>", "</think>", "<think></think>", "<", "<think ", "[/think", "◁"])
def test_hostile_text_takes_linear_time(bit: str) -> None:
    start = time.process_time()
    split_thinking(bit * (100_000 // len(bit)))
    assert time.process_time() - start < 0.5
