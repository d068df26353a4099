"""Labels: the trained tokens are the assistant's turn and its end token, whatever the template does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from proctor.sft.chat import Conversation, conversation_of
from proctor.sft.labels import Labelled, Labeller, truncate
from proctor.sft.proof import Prover
from proctor.sft.template import LabelError
from tests.sft_tokenizers import TEMPLATES, byte_tokenizer, chat_tokenizer

TWO_TURNS = [
    {"role": "user", "content": "Two plus two?"},
    {"role": "assistant", "content": "Four."},
    {"role": "user", "content": "Sure?"},
    {"role": "assistant", "content": "Yes."},
]
THOUGHT = [
    {"role": "user", "content": "Two plus two?"},
    {"role": "assistant", "content": "<think>\nadd\n</think>\n\nFour."},
    {"role": "user", "content": "Sure?"},
    {"role": "assistant", "content": "<think>\ncheck\n</think>\n\nYes."},
]


def chat(messages: list[dict[str, object]], **columns: object) -> Conversation:
    return conversation_of({"messages": messages, **columns}, "test")


def trained(tokenizer: PreTrainedTokenizerFast, rows: list[Labelled]) -> list[list[str]]:
    """Decoded trained stretches of each row."""
    return [
        [tokenizer.decode(list(row.example.token_ids[span.start : span.end])) for span in row.spans]
        for row in rows
    ]


# template -> (end token, BOS, what is trained, row by row)
EXPECTED = {
    "qwen2_5": ("<|im_end|>", None, [["Four.<|im_end|>", "Yes.<|im_end|>"]]),
    "marked": ("<|im_end|>", None, [["Four.<|im_end|>", "Yes.<|im_end|>"]]),
    "renames": ("<end_of_turn>", "<bos>", [["Four.<end_of_turn>", "Yes.<end_of_turn>"]]),
    "two_ends": ("<|endoftext|>", None, [["Four.<|end|>", "Yes.<|end|>"]]),
    # an earlier turn is not what was generated, so it gets a row that ends with it
    "changes_end": ("<|return|>", None, [["Four.<|return|>"], ["Yes.<|return|>"]]),
    "qwen3": (
        "<|im_end|>",
        None,
        [["<think>\n\n</think>\n\nFour.<|im_end|>"], ["<think>\n\n</think>\n\nYes.<|im_end|>"]],
    ),
    "glued": ("<|im_end|>", None, [["Four.<|im_end|>", "Yes.<|im_end|>"]]),
}


@pytest.mark.parametrize("template", list(EXPECTED))
def test_every_turn_is_trained_as_it_is_generated(template):
    end, bos, expected = EXPECTED[template]
    tokenizer = chat_tokenizer(template, eos=end, bos=bos)
    ends = [tokenizer.convert_tokens_to_ids("<|end|>")] if template == "two_ends" else []
    labeller = Labeller(tokenizer, end_ids=ends)
    rows = labeller.rows(chat(TWO_TURNS))
    assert trained(tokenizer, rows) == expected
    assert Prover(labeller).prove(rows).holds


@pytest.mark.parametrize("template", list(EXPECTED))
def test_nothing_else_is_trained(template):
    end, bos, _ = EXPECTED[template]
    for row in Labeller(chat_tokenizer(template, eos=end, bos=bos)).rows(chat(TWO_TURNS)):
        inside = {place for span in row.spans for place in range(span.start, span.end)}
        assert [place for place, flag in enumerate(row.example.trained) if flag] == sorted(inside)


def test_thinking_that_history_loses_is_trained_in_a_row_of_its_own():
    tokenizer = chat_tokenizer("qwen3")
    rows = Labeller(tokenizer).rows(chat(THOUGHT))
    assert trained(tokenizer, rows) == [
        ["<think>\nadd\n</think>\n\nFour.<|im_end|>"],
        ["<think>\ncheck\n</think>\n\nYes.<|im_end|>"],
    ]
    history = tokenizer.decode(list(rows[1].example.token_ids[: rows[1].spans[0].start]))
    assert "add" not in history  # as the model will see it
    assert "Four." in history


def test_the_last_turn_alone():
    tokenizer = chat_tokenizer("qwen2_5")
    assert trained(tokenizer, Labeller(tokenizer, turns="last").rows(chat(TWO_TURNS))) == [["Yes.<|im_end|>"]]


def test_what_follows_the_last_answer_is_left_off():
    tokenizer = chat_tokenizer("qwen2_5")
    (row,) = Labeller(tokenizer).rows(chat([*TWO_TURNS, {"role": "user", "content": "Thanks"}]))
    assert row.example.trained[-1]
    assert "Thanks" not in tokenizer.decode(list(row.example.token_ids))


def test_a_plain_prompt_and_completion_with_the_end_token():
    tokenizer = chat_tokenizer("qwen2_5")
    (row,) = Labeller(tokenizer).rows(conversation_of({"prompt": "2+2=", "completion": "4"}, "test"))
    assert tokenizer.decode(list(row.example.token_ids)) == "2+2=4<|im_end|>"
    assert trained(tokenizer, [row]) == [["4<|im_end|>"]]


def test_a_token_over_the_border_is_split_as_generation_would_see_it():
    """' A:Four' could be one token here; the prompt ' A:' is tokenised alone in generation."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(["<|im_end|>"], across_spaces=True),
        eos_token="<|im_end|>",
        pad_token="<pad>",
        chat_template="{%- for m in messages %}{{ m.content }}{%- if m.role == 'assistant' %}<|im_end|>"
        "{%- endif %}{%- endfor %}",
    )
    tokenizer.padding_side = "left"
    turns = [{"role": "user", "content": "What is two plu"}, {"role": "assistant", "content": "s two?"}]
    labeller = Labeller(tokenizer)
    rows = labeller.rows(chat(turns))
    whole = tokenizer("What is two plus two?<|im_end|>", add_special_tokens=False)["input_ids"]
    assert list(rows[0].example.token_ids) != whole
    assert trained(tokenizer, rows) == [["s two?<|im_end|>"]]
    assert Prover(labeller).prove(rows).holds


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("no_end", "without a special token: the model would never learn to stop"),
        ("depends", "where training begins cannot be told"),
    ],
)
def test_templates_without_exact_spans_are_an_error_and_not_a_guess(template, message):
    with pytest.raises(LabelError, match=message):
        Labeller(chat_tokenizer(template)).rows(chat(TWO_TURNS))


def test_a_template_that_refuses_the_messages_is_named():
    tokenizer = chat_tokenizer("qwen2_5")
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(LabelError, match=r"^the chat template fails on these messages: roles must"):
        Labeller(tokenizer).rows(chat(TWO_TURNS))


def test_no_template_says_what_to_do():
    tokenizer = chat_tokenizer("qwen2_5")
    tokenizer.chat_template = None
    with pytest.raises(LabelError, match=r"data\.chat_template"):
        Labeller(tokenizer).rows(chat(TWO_TURNS))


def test_template_options_reach_the_template():
    tokenizer = chat_tokenizer("qwen3")
    rows = Labeller(tokenizer, template_options={"enable_thinking": False}).rows(chat(TWO_TURNS[:2]))
    assert trained(tokenizer, rows) == [["Four.<|im_end|>"]]  # the think block is the prompt's


def test_turns_of_weight_zero_are_left_out_and_other_weights_multiply():
    messages = [TWO_TURNS[0], {**TWO_TURNS[1], "weight": 0}, TWO_TURNS[2], {**TWO_TURNS[3], "weight": 0.5}]
    tokenizer = chat_tokenizer("qwen2_5")
    (row,) = Labeller(tokenizer).rows(chat(messages))
    assert trained(tokenizer, [row]) == [["Yes.<|im_end|>"]]
    assert set(row.example.weights[row.spans[0].start : row.spans[0].end]) == {0.5}


def test_weights_lie_over_the_characters_of_the_last_answer():
    """Characters 4 to 5 of 'Yes. 4' are ' 4': their tokens weigh 3."""
    messages = [TWO_TURNS[0], {"role": "assistant", "content": "Yes. 4"}]
    tokenizer = chat_tokenizer("qwen2_5")
    (row,) = Labeller(tokenizer, weight_column="keys").rows(chat(messages, keys=[[4, 6, 3.0]]))
    heavy = [t for t, weight in zip(row.example.token_ids, row.example.weights, strict=True) if weight == 3]
    assert tokenizer.decode(heavy) == " 4"


def test_weights_of_another_shape_are_told():
    labeller = Labeller(chat_tokenizer("qwen2_5"), weight_column="keys")
    for wrong in ([[0, 1]], 3, [["a", 1, 2]]):
        with pytest.raises(LabelError, match=r"^column 'keys' is not \[\[start, end, weight\], \.\.\.\]"):
            labeller.rows(chat(TWO_TURNS, keys=wrong))


def test_truncation_keeps_count_of_what_it_took():
    tokenizer = chat_tokenizer("qwen2_5")
    (row,) = Labeller(tokenizer).rows(chat(TWO_TURNS))
    cut = truncate(row, len(row.example) - 1)
    assert (cut.num_cut, len(cut.example), cut.spans[-1].end) == (1, len(row.example) - 1, len(cut.example))
    assert truncate(row, 10_000) is row


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Co"]), min_size=1, max_size=30
).filter(lambda text: text.strip() == text and "<|" not in text and "think>" not in text)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(texts, texts), min_size=1, max_size=3),
    st.sampled_from(["qwen2_5", "marked", "renames"]),
)
def test_any_text_survives_the_proof(turns, template):
    end, bos, _ = EXPECTED[template]
    labeller = Labeller(TOKENIZERS.setdefault(template, chat_tokenizer(template, eos=end, bos=bos)))
    messages = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    proof = Prover(labeller).prove(labeller.rows(chat(messages)))
    assert proof.holds, proof.failures


TOKENIZERS: dict[str, PreTrainedTokenizerFast] = {}


def test_every_template_is_described():
    described = (TEMPLATES / "README.md").read_text()
    assert [path.stem for path in TEMPLATES.glob("*.jinja") if path.stem not in described] == []
