"""The mask proof finds every kind of wrong row, and says which."""

from dataclasses import replace

import pytest

from proctor.sft.batch import Example
from proctor.sft.chat import conversation_of
from proctor.sft.labels import Labelled, Labeller, Span, truncate
from proctor.sft.proof import Fault, Proof, Prover
from tests.sft_tokenizers import chat_tokenizer

TURNS = [
    {"role": "user", "content": "Two plus two?"},
    {"role": "assistant", "content": "It is four."},
]
TOKENIZER = chat_tokenizer("qwen2_5")
LABELLER = Labeller(TOKENIZER)


def row() -> Labelled:
    (labelled,) = LABELLER.rows(conversation_of({"messages": TURNS}, "test.jsonl, row 1"))
    return labelled


def proved(labelled: Labelled, labeller: Labeller = LABELLER) -> Proof:
    return Prover(labeller).prove([labelled])


def trained_from(labelled: Labelled, shift: int) -> Labelled:
    """The same row with the mask beginning `shift` tokens later (earlier where negative)."""
    (span,) = labelled.spans
    start = span.start + shift
    mask = [start <= place < span.end for place in range(len(labelled.example))]
    return replace(
        labelled, example=replace(labelled.example, trained=mask), spans=(span._replace(start=start),)
    )


def test_a_right_row_holds_and_is_counted():
    proof = proved(row())
    (span,) = row().spans
    assert proof.holds
    assert (proof.num_rows, proof.num_trained) == (1, span.end - span.start)
    assert proof.warnings == []


@pytest.mark.parametrize("shift", [-1, -3])
def test_a_mask_that_begins_too_early_trains_the_prompt(shift):
    proof = proved(trained_from(row(), shift))
    assert Fault.PROMPT_TRAINED in proof.faults
    assert proof.prompt_tokens_trained == -shift


@pytest.mark.parametrize("shift", [1, 2])
def test_a_mask_that_begins_too_late_misses_text(shift):
    proof = proved(trained_from(row(), shift))
    assert set(proof.faults) == {Fault.OTHER_TEXT}
    assert "of the answer is not in it" in proof.failures[0].detail


def test_a_mask_off_by_one_at_the_end_misses_the_end_token():
    labelled = row()
    (span,) = labelled.spans
    mask = [span.start <= place < span.end - 1 for place in range(len(labelled.example))]
    wrong = replace(
        labelled,
        example=replace(labelled.example, trained=mask),
        spans=(span._replace(end=span.end - 1),),
    )
    assert Fault.MISSING_END in proved(wrong).faults


def test_an_end_token_that_does_not_stop_generation_is_a_missing_end():
    tokenizer = chat_tokenizer("qwen2_5", eos="<|endoftext|>")
    labeller = Labeller(tokenizer)
    (labelled,) = labeller.rows(conversation_of({"messages": TURNS}, "test"))
    proof = proved(labelled, labeller)
    assert set(proof.faults) == {Fault.MISSING_END}
    assert (
        "ends with '<|im_end|>', not with an end token; generation stops at '<|endoftext|>'"
        in proof.failures[0].detail
    )


def test_an_answer_that_goes_on_after_an_end_token_is_found():
    turns = [TURNS[0], {"role": "assistant", "content": "It is four.<|im_end|> No, five."}]
    (labelled,) = LABELLER.rows(conversation_of({"messages": turns}, "test"))
    proof = proved(labelled)
    assert set(proof.faults) == {Fault.EARLY_END}
    assert "'<|im_end|>' in its text; generation would stop there" in proof.failures[0].detail


def test_a_row_that_truncation_left_with_nothing_is_noticed():
    proof = proved(truncate(row(), row().spans[0].start))
    assert set(proof.faults) == {Fault.NOTHING_TRAINED}
    assert "tokens were cut off" in proof.failures[0].detail


def test_a_row_cut_within_its_answer_is_counted_and_not_a_fault():
    proof = proved(truncate(row(), row().spans[0].start + 2))
    assert proof.holds
    assert proof.num_cut == 1


def test_another_prompt_than_generation_has_is_found():
    """A system turn that the tokenised row has and the conversation does not."""
    labelled = row()
    example = labelled.example
    longer = Example([*example.token_ids[:3], *example.token_ids], [False] * 3 + list(example.trained))
    (span,) = labelled.spans
    wrong = replace(labelled, example=longer, spans=(Span(span.start + 3, span.end + 3, span.turn),))
    assert Fault.OTHER_PROMPT in proved(wrong).faults


def test_a_generation_prompt_that_opens_thinking_the_data_lacks_is_found():
    tokenizer = chat_tokenizer("opens_thinking")
    labeller = Labeller(tokenizer)
    (labelled,) = labeller.rows(conversation_of({"messages": TURNS}, "test"))
    proof = proved(labelled, labeller)
    assert set(proof.faults) == {Fault.OTHER_PROMPT}
    assert "<think>" in proof.failures[0].detail


def test_thinking_that_the_template_strips_is_found():
    tokenizer = chat_tokenizer("opens_thinking")
    labeller = Labeller(tokenizer)
    turns = [TURNS[0], {"role": "assistant", "content": "<think>two and two</think>It is four."}]
    (labelled,) = labeller.rows(conversation_of({"messages": turns}, "test"))
    proof = proved(labelled, labeller)
    assert Fault.OTHER_TEXT in proof.faults
    assert any("'two and two' of the answer" in failure.detail for failure in proof.failures)


def test_a_doubled_bos_is_found():
    tokenizer = chat_tokenizer("renames", eos="<end_of_turn>", bos="<bos>")
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
    labeller = Labeller(tokenizer)
    (labelled,) = labeller.rows(conversation_of({"messages": TURNS}, "test"))
    assert set(proved(labelled, labeller).faults) == {Fault.DOUBLE_BOS}


def test_template_text_inside_turns_is_shown():
    labeller = Labeller(chat_tokenizer("qwen3"))
    (labelled,) = labeller.rows(conversation_of({"messages": TURNS}, "test"))
    proof = proved(labelled, labeller)
    assert proof.holds
    assert proof.scaffolds == {"<think>\n\n</think>\n\n": 1}


def test_failures_carry_the_row_for_the_eye():
    failure = proved(trained_from(row(), 1)).failures[0]
    assert failure.source == "test.jsonl, row 1"
    assert "".join(text for text, _ in failure.pieces) == TOKENIZER.decode(list(row().example.token_ids))
    assert [flag for _, flag in failure.pieces] == [False, True]


def test_the_tokenizer_itself_is_judged():
    tokenizer = chat_tokenizer("qwen2_5")
    tokenizer.padding_side, tokenizer.pad_token = "right", tokenizer.eos_token
    warnings = Prover(Labeller(tokenizer)).prove([row()]).warnings
    assert len(warnings) == 2
    assert "padding_side is 'right'" in warnings[0]
    assert "the pad token is the end token" in warnings[1]


def test_no_rows_prove_nothing():
    assert not Prover(LABELLER).prove([]).holds
