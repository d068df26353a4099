"""What an answer may mean: words around mathematics, numbers in words, times, choices, sentences."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.maths.clock import spoken_time
from proctor.verifiers.maths.numerals import number_in_words
from proctor.verifiers.maths.plain import plain_number
from proctor.verifiers.maths.reading import prose_values, read
from proctor.verifiers.maths.trees import Apply, Bracket, Number, Relation, Symbol
from proctor.verifiers.maths.wording import choice, is_named_in, normalised, same_words


def numbers(*values: int) -> tuple[Number, ...]:
    return tuple(Number(Fraction(value)) for value in values)


@pytest.mark.parametrize(
    "text",
    [r"42 \text{ apples}", "Area: 42", "the area of ABC = 42", "42 (rounded up)", r"\text{only } 42", "42, where x > 0",
     r"\angle ABC = 42", r"42^{\text{nd}}", "forty-two", "42 square units", "42 units^2", r"x \approx 42", "42.", r"6 \cdot 7 = 42"],
)  # fmt: skip
def test_words_around_a_value_say_nothing(text: str) -> None:
    assert read(text).trees == numbers(42)


@pytest.mark.parametrize("text", ["not 42", "at least 42", "42 or more", "less than 42", "42 is wrong"])
def test_words_that_change_a_value_make_it_unreadable(text: str) -> None:
    found = read(text)
    assert found.trees == ()
    assert found.is_qualified


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1, 2 and 3", Bracket(numbers(1, 2, 3))),
        (r"7 \text{ goats and } 4 \text{ cows}", Bracket(numbers(7, 4))),
        ("1 or 2", Apply("alternatives", numbers(1, 2))),
        (r"k\pi, k \in \mathbb{Z}", read(r"k\pi").trees[0]),
        ("x < 1 or x > 2", Apply("any_of", (read("x < 1").trees[0], read("x > 2").trees[0]))),
        ("3 million", read("3000000").trees[0]),
        ("3 dozen", read("3 * 12").trees[0]),
    ],
)
def test_lists_and_conditions(text: str, expected: object) -> None:
    assert read(text).trees == (expected,)


def test_chain_of_computation_is_its_result() -> None:
    assert read("35 + 70 = 105").trees == numbers(105)
    assert read(r"\sum_{i=1}^{3} i = 6").trees == numbers(6)
    assert read("41 = 42").problem == "a chain of equalities that does not hold"


def test_less_likely_meanings() -> None:
    assert read("1,22").trees == (Bracket(numbers(1, 22)),)
    assert read("1,22").others == (Number(Fraction(61, 50), 2),)
    assert read(r"\frac{1}{3} \approx 0.333").others == (Number(Fraction(333, 1000), 3),)
    assert read("1.234,5").trees == (Number(Fraction(2469, 2), 1),)


def test_approximation_has_to_be_one() -> None:
    assert read(r"\sqrt{2} \approx 1.7").trees == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [("forty two", 42), ("two hundred three", 203), ("one million two", 1_000_002), ("three quarters", Fraction(3, 4)),
     ("half", Fraction(1, 2)), ("third", 3), ("two dozen", 24), ("two three", None), ("a", None), ("apple", None)],
)  # fmt: skip
def test_numbers_in_words(words: str, expected: object) -> None:
    assert number_in_words(words.split()) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3:30 PM", 15.5 * 3600),
        (r"7\text{ a.m.}", 7 * 3600),
        ("12 am", 0),
        ("25:00 pm", None),
        ("3:30", None),
    ],
)
def test_times_of_the_day(text: str, seconds: float | None) -> None:
    expected = None if seconds is None else Apply("time", numbers(int(seconds)))
    assert spoken_time(text) == expected


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("C", "C"),
        ("(c)", "C"),
        (r"\text{(C)}", "C"),
        ("C. 42", "C"),
        ("option C", "C"),
        ("C because", "C"),
        ("C or D", None),
        ("Cat", None),
        ("42", None),
    ],
)
def test_letters_of_choices(text: str, letter: str | None) -> None:
    assert choice(text) == letter


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("Petya will receive the last token.", "Petya"), ("odd", "The function is odd"), ("line segment, circle", "a circle and a line segment"),
     ("does not exist", "DNE"), ("No", "No, it is not"), (r"\text{Monday}", "on Monday"), ("isosceles triangle", "isosceles")],
)  # fmt: skip
def test_same_words(gold: str, answer: str) -> None:
    assert same_words(normalised(gold), normalised(answer))


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("even", "neither even nor odd"),
        ("Yes", "Yes and no"),
        ("No", "No solution"),
        ("increasing", "decreasing"),
        ("Alice", "Alice or Bob"),
        ("", ""),
    ],
)
def test_other_words(gold: str, answer: str) -> None:
    assert not same_words(normalised(gold), normalised(answer))


def test_phrase_that_a_sentence_names() -> None:
    gold = normalised("A stopped clock shows the correct time more often.")
    assert is_named_in("stopped", gold)
    assert not is_named_in("running", gold)
    assert not is_named_in("bob", normalised("Alice runs much faster than Bob does"))  # it names both


def test_numbers_that_a_sentence_names() -> None:
    assert prose_values("The rent for each A room is 240 yuan, for each B room 210.") == (
        Bracket(numbers(240, 210), "(", ")"),
    )
    assert prose_values("The remainder does not change, but increases by 3.") == ()


def test_stock_phrases_are_mathematics() -> None:
    assert read("all real numbers").trees == (Symbol("R"),)
    assert read(r"\text{no solution}").trees == (Symbol("emptyset"),)
    assert isinstance(read("x = 3").trees[0], Relation)


@given(st.integers(-(10**9), 10**9))
def test_plain_numbers_read_alike_with_and_without_the_grammar(value: int) -> None:
    assert plain_number(str(value)) == value
    assert plain_number(f"{value:,}") == value
    assert plain_number(f"{value} apples") is None


@given(st.text(max_size=80) | st.text(alphabet="01,.=<>()[]{}\\$% andornotx", max_size=60))
def test_reading_never_raises(text: str) -> None:
    found = read(text)
    assert found.trees or found.problem
