"""How the final answer is taken out of a response, and what the evidence says about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.maths.extract import Extraction, extract, refine


def answer(response: str, **options: object) -> str | None:
    return extract(response, **options).answer  # type: ignore[arg-type]


def test_last_box_with_nested_braces() -> None:
    found = extract(r"First \boxed{1}. So it is $\boxed{\frac{1}{2}}$.")
    assert found == Extraction(r"\frac{1}{2}", "box", r"First \boxed{1}. So it is $\boxed{\frac{1}{2}}$.")


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed 42",
        r"\fbox{42}",
        r"\\boxed{42}",
        "\x08oxed{42}",
        r"\boxed{\boxed{42}}",
        r"\boxed{42",
        r"\Boxed{42}",
    ],
)
def test_spellings_of_a_box(response: str) -> None:
    assert answer(response) == "42"


@pytest.mark.parametrize(
    "response",
    [r"\boxed{}", r"$\boxed{\phantom{2}}$", r"\boxed{...}", r"not \boxed{42}", r"\boxed{42} is wrong", r"<!-- \boxed{42} -->",
     r"\phantom{\boxed{42}}", r"% \boxed{42}", r"~~\boxed{42}~~", r"\begin{comment}\boxed{42}\end{comment}"],
)  # fmt: skip
def test_boxes_that_are_no_answer(response: str) -> None:
    assert answer(response, last_number=False) is None


def test_boxes_listed_together_are_one_answer() -> None:
    assert answer(r"\boxed{1} papers and \boxed{2} bins") == "1, 2"
    assert answer(r"\boxed{41} or \boxed{42}") == "41 or 42"
    assert answer(r"$$\boxed{2}, \boxed{3}, \boxed{5}$$") == "2, 3, 5"


def test_boxes_apart_are_answers_and_the_last_counts() -> None:
    assert answer(r"\boxed{1} then \boxed{2}") == "2"
    assert answer("\\boxed{1}\n\\boxed{2}") == "2"
    assert answer(r"\boxed{7}, so the answer is \boxed{8}") == "8"


def test_repeated_box_says_nothing_new() -> None:
    assert answer(r"\boxed{42} and \boxed{42}") == "42"


@pytest.mark.parametrize(
    "tail",
    [
        "The final answer is 43.",
        "Actually, I made an error: the answer is 43, not 42.",
        "Wait, it should be 43.",
        "#### 43",
        "Correction: 43",
    ],
)
def test_later_statement_replaces_the_box(tail: str) -> None:
    found = extract(f"So \\boxed{{42}}.\n{tail}")
    assert found.answer == "43"
    assert found.rule == "correction"


def test_admitted_mistake_takes_the_box_back() -> None:
    found = extract(r"\boxed{42}. Hmm, that is wrong.")
    assert (found.answer, found.rule, found.context) == (None, "taken back", "that is wrong")


def test_instruction_after_the_box_changes_nothing() -> None:
    assert answer(r"The answer is \boxed{7}. (I put my final answer within \boxed{}.)") == "7"
    assert answer(r"\boxed{7}. This answer is correct.") == "7"


@pytest.mark.parametrize(
    "response",
    ["#### 42", "A: 42", "The answer is 42.", "Final Answer: The final answer is $42$. I hope it is correct.",
     "**Final Answer:** 42", "### Final Answer\n\n42", "Answer \\( 42 \\)", "<answer>42</answer>", '{"answer": 42}',
     "ans = 42", "La respuesta es 42.", "Die Antwort lautet 42.", "Réponse: 42", "答案是42。", "答えは42です", "정답은 42",
     "Ответ: 42", "الجواب هو 42", "Đáp án là 42", "उत्तर: 42"],
)  # fmt: skip
def test_statements_of_an_answer(response: str) -> None:
    found = extract(f"Since 6 * 7 gives it, we are done.\n{response}")
    assert found.rule == "statement"
    assert found.answer is not None
    assert found.answer.strip("$\\() です") == "42"


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("42 since 8 * 5 = 40 is too small", "42"),
        ("42 apples, packed in 3 baskets", "42 apples"),
        ("42 (rounded up from 41.7)", "42"),
        ("the largest n is 42", "42"),
        ("not 41 but 42", "42"),
        ("42 or 43", "42 or 43"),
        ("maybe 42, it could be 43", "maybe 42, it could be 43"),
    ],
)
def test_statement_without_its_explanation(sentence: str, expected: str) -> None:
    assert answer(f"The answer is {sentence}.") == expected


@pytest.mark.parametrize(
    "supposed",
    [
        "Assume the answer is 41. Then 8 * 5 = 41, a contradiction.",
        "If the final answer is 41, a remainder is left.",
        "Let's say that our answer was 41, which is too small.",
        "To see whether the answer is 41, divide it by 6.",
    ],
)
def test_a_supposition_states_nothing(supposed: str) -> None:
    assert answer(f"{supposed} So 42.") == "42"
    assert answer(f"The answer is 42. {supposed}") == "42"


def test_what_is_offered_beside_an_answer_belongs_to_it() -> None:
    assert answer("The answer is 42. Or maybe 43.") == "42 or 43"
    assert answer(r"\boxed{42} or possibly 43.") == "42 or 43"


def test_thinking_holds_no_answer() -> None:
    assert answer(r"<think>\boxed{41}</think>\boxed{42}") == "42"
    assert extract(r"<think>so it is \boxed{42}. Hmm").rule == "thinking never ends"
    assert answer("<think>The answer is 42</think>\nI could not find it.", last_number=False) is None


def test_prompt_that_opens_thinking() -> None:
    assert answer(r"\boxed{41} hm </think> \boxed{42}", is_open=True) == "42"
    assert answer(r"\boxed{41}", is_open=True) is None


def test_last_resort_and_its_switch() -> None:
    text = "We have 3 + 4 = 7 birds, and then 6 more come, so there are 13."
    assert extract(text).rule == "number"
    assert answer(text) == "13"
    assert answer(text, last_number=False) is None


@pytest.mark.parametrize(
    ("response", "expected", "rule"),
    [
        ("x = 42", "x = 42", "whole"),
        ("Therefore $x < 5$ is the solution.", "$x < 5$", "formula"),
        ("所以一共有3 + 10 = 13只鸟和鹳鸟。", "13", "number"),
        ("The number is not 10, it is 12 or so they say.", "12", "number"),
        ("1. We add 3 and 4.\n2. We get seven things in total", "4", "number"),  # 1. and 2. count steps
    ],
)
def test_last_resort_takes_what_stands_alone(response: str, expected: str, rule: str) -> None:
    found = extract(response)
    assert (found.answer, found.rule) == (expected, rule)


def test_response_cut_off_inside_a_formula_has_no_answer() -> None:
    assert (
        extract("\\begin{align*}\n&= 1 + \\frac{1}{2} \\\\\n" * 20 + "&= 3").rule
        == "cut off inside a formula"
    )


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("I think it's (D).", "D"),
        ("B is correct. Or maybe C. Let's finalize B", "B"),
        ("It's not A because that makes no sense, I think it's B", "B"),
        ("B不是 A", "B"),
        ("C. The others (A and B) are wrong.", "C"),
        ("A cat and B", "B"),  # an article is no choice
    ],
)
def test_letters_count_where_a_choice_is_asked_for(response: str, expected: str) -> None:
    assert answer(response, letters=True) == expected


def test_strict_policy_knows_boxes_only() -> None:
    assert extract("The answer is 42.", "strict") == Extraction(None, "no box")
    assert extract(r"\boxed{42}. The answer is 43.", "strict").answer == "42"


def test_prose_in_a_box_is_refined() -> None:
    assert refine(extract(r"\boxed{donc 353 g - 79 g = 274 g. Donc, il a déjà 79 g de cire.}")) == "79"
    assert refine(extract(r"\boxed{42}")) is None


@given(st.text(alphabet="\\boxed{}$ answer is not or,.\n<think>/#1A:()", max_size=120))
def test_any_text_has_an_extraction(text: str) -> None:
    found = extract(text)
    assert found.answer is None or found.answer.strip()
