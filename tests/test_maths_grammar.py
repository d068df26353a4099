"""From text to trees: typography, markup, tokens, literals, grammar."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.maths.latex import mend, tidy
from proctor.verifiers.maths.lexer import MAX_CHARACTERS, UnreadableError, tokens
from proctor.verifiers.maths.trees import (
    Apply,
    Bracket,
    Matrix,
    Number,
    Power,
    Product,
    Relation,
    Sum,
    Symbol,
    Unit,
)
from proctor.verifiers.maths.typography import to_latex
from tests import maths_reading as reading
from tests.maths_reading import tree

X, Y, TWO, THREE = Symbol("x"), Symbol("y"), Number(Fraction(2)), Number(Fraction(3))


@pytest.mark.parametrize(
    ("typed", "latex"),
    [("x²", "x^{2}"), ("a₁₂", "a_{12}"), ("½", r"\frac{1}{2}"), ("５", "5"), ("٤٢", "42"), ("𝟒𝟐", "42"), ("②③", "2, 3"),
     ("4\u200b2", "42"), ("−3", "-3"), ("42 ✓", "42  "), ("30°", r"30^{\circ}")],
)  # fmt: skip
def test_typography_becomes_latex(typed: str, latex: str) -> None:
    assert to_latex(typed) == latex


@pytest.mark.parametrize(
    ("broken", "mended"),
    [("\x0crac{1}{2}", r"\frac{1}{2}"), ("\x08oxed{1}", r"\boxed{1}"), ("\text{a}", r"\text{a}"), (r"\\frac{1}{2}", r"\frac{1}{2}"),
     (r"33\\%", r"33\%"), (r"\begin{matrix}1\\2\end{matrix}", r"\begin{matrix}1\\2\end{matrix}")],
)  # fmt: skip
def test_backslashes_that_were_eaten_or_doubled_are_mended(broken: str, mended: str) -> None:
    assert mend(broken) == mended


def test_what_is_only_for_show_is_taken_off() -> None:
    assert tidy(r"$\displaystyle \left(1,\, 2\right)$") == "(1,  2)"
    assert tidy(r"11,\! 111,\!222") == "11,111,222"
    assert tidy(r"\color{red}42\phantom{1}") == "42"


def test_dollars_are_delimiters_in_pairs_and_money_alone() -> None:
    assert tidy("$12$") == "12"
    assert tidy("$12.55") == r"\$12.55"
    assert tidy("1,000.99$") == r"1,000.99\$"


@pytest.mark.parametrize(
    ("text", "expected", "places"),
    [("42", 42, None), ("1,234.50", Fraction(2469, 2), 2), ("12 345", 12345, None), (".5", Fraction(1, 2), 1),
     ("1e-3", Fraction(1, 1000), 3), ("2.5 \\times 10^{3}", 2500, 0), ("0.\\overline{9}", 1, None),
     ("0.1(6)", Fraction(1, 6), None), ("2\\frac{1}{2}", Fraction(5, 2), None), ("1 3/4", Fraction(7, 4), None)],
)  # fmt: skip
def test_numerals(text: str, expected: Fraction, places: int | None) -> None:
    assert tree(text) == Number(Fraction(expected), places)


def test_numbers_in_a_base() -> None:
    assert tree("204_5") == Apply("base", (Number(Fraction(54)), Number(Fraction(5)), Number(Fraction(204))))
    with pytest.raises(UnreadableError, match="no number in base 5"):
        tree("206_5")


@pytest.mark.parametrize("text", [r"\frac12", r"\frac 1 2", r"\frac{1}2", r"\dfrac{1}{2}", "{1 \\over 2}"])
def test_spellings_of_a_fraction(text: str) -> None:
    assert tree(text) == Product((Number(Fraction(1)), Power(TWO, Number(Fraction(-1)))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2xy", Product((TWO, X, Y))),
        ("x^2y", Product((Power(X, TWO), Y))),
        (r"\sin^2 x", Power(Apply("sin", (X,)), TWO)),
        (r"\tan^{-1} x", Apply("arctan", (X,))),
        (r"\sin 2x + y", Sum((Apply("sin", (Product((TWO, X)),)), Y))),
        (r"\log_2 x", Apply("log", (X, TWO))),
        (r"\sqrt[3]{x}", Power(X, Product((Number(Fraction(1)), Power(THREE, Number(Fraction(-1))))))),
        ("2sqrt3", Product((TWO, Power(THREE, Number(Fraction(1, 2)))))),
        ("|x|+y", Sum((Apply("abs", (X,)), Y))),
        (r"{x \choose 2}", Apply("binom", (X, TWO))),
        (r"2\cdotx", Product((TWO, X))),
    ],
)
def test_expressions(text: str, expected: object) -> None:
    assert tree(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(2, 3)", Bracket((TWO, THREE), "(", ")")),
        ("[2, 3)", Bracket((TWO, THREE), "[", ")")),
        ("]2, 3[", Bracket((TWO, THREE), "(", ")")),
        (r"\{2, 3\}", Bracket((TWO, THREE), "\\{", "\\}")),
        (r"\{x \mid x > 2\}", Bracket((Apply("builder", (X, Relation((X, TWO), (">",)))),), "\\{", "\\}")),
        ("2 < x \\le 3", Relation((TWO, X, THREE), ("<", "<="))),
        ("2:3", Apply("ratio", (TWO, THREE))),
        (r"2 \pm x", Apply("pm", (TWO, X))),
        (r"\begin{pmatrix}2 & 3 \\ x & y\end{pmatrix}", Matrix(((TWO, THREE), (X, Y)))),
    ],
)
def test_structures(text: str, expected: object) -> None:
    assert tree(text) == expected


def test_units_follow_numbers_and_add_up() -> None:
    metre, foot, inch = Unit("metre"), Unit("foot"), Unit("inch")
    assert tree(r"2 \text{ m}^2") == Product((TWO, Power(metre, TWO)))
    assert tree("2 ft 3 \\text{in}") == Sum((Product((TWO, foot)), Product((THREE, inch))))
    assert tree(r"\$2") == Product((Unit("dollar"), TWO))
    assert tree("2m") == Product((TWO, Symbol("m")))  # outside of \text{} a letter is a variable first


@pytest.mark.parametrize(
    "text",
    ["1 2", "2 +", "(1", "x2", r"\foo", "[1, 2, 3)", "1e999999999", "(" * 40 + "1" + ")" * 40, "2^" * 40 + "2",
     "5" + "!" * 40, "-" * 40 + "1", r"\sqrt" * 40 + "2", "open('x')", r"\text{" * 20 + "1" + "}" * 20],
)  # fmt: skip
def test_unreadable(text: str) -> None:
    with pytest.raises(UnreadableError):
        tree(text)


def test_longest_text() -> None:
    with pytest.raises(UnreadableError, match=f"more than {MAX_CHARACTERS}"):
        tokens("1" * (MAX_CHARACTERS + 1))


@given(st.fractions(), st.sampled_from(["\\frac{%d}{%d}", "%d/%d", "\\dfrac{%d}{%d}", "(%d)/(%d)"]))
def test_every_fraction_reads_as_itself(value: Fraction, spelling: str) -> None:
    assert reading.value(spelling % (value.numerator, value.denominator)).rational == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=3))
def test_every_decimal_reads_as_itself(value: object) -> None:
    assert reading.value(f"{value:,}").rational == Fraction(str(value))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tree(text)
    except UnreadableError as error:
        assert str(error)
