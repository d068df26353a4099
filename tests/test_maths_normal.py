"""Normal forms: equal forms are equal values, and what exact arithmetic settles it settles rightly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.verifiers.maths.evaluation import evaluate
from proctor.verifiers.maths.floats import Floats
from proctor.verifiers.maths.forms import same_value
from proctor.verifiers.maths.normal import form, normal
from proctor.verifiers.maths.polynomials import NoValueError, TooLargeError
from proctor.verifiers.maths.sampling import real, refuted
from proctor.verifiers.maths.trees import Number, Power, Product, Sum, Symbol, Tree
from tests.maths_reading import tree, value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\sqrt{8}", r"2\sqrt{2}"),
        (r"\frac{1}{\sqrt{2}-1}", r"\sqrt{2}+1"),
        (r"\frac{10\sqrt{10.5}}{27}", r"\frac{5\sqrt{42}}{27}"),
        (r"5\sqrt[3]{4}", r"5\cdot 2^{2/3}"),
        (r"\sqrt[3]{-8}", "-2"),
        (r"\sqrt{-4}", "2i"),
        ("i(2-i)", "1+2i"),
        ("(x+1)^2", "x^2+2x+1"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"\frac{1}{x}+\frac{1}{y}", r"\frac{x+y}{xy}"),
        ("3^{n-1}", "3^n/3"),
        ("4^n", "2^{2n}"),
        (r"\sqrt{2}^n", r"2^{n/2}"),
        (r"(\sqrt{2})^{\sqrt{2}} \cdot \sqrt{2}^{-\sqrt{2}}", "1"),
        ("(-1)^{n+1}", "(-1)^{n-1}"),
        ("e^{2x}", "(e^x)^2"),
        (r"\sqrt{x^2}", "|x|"),
        (r"\sqrt{a^2b^2+a^2c^2}", r"\sqrt{c^2a^2+b^2a^2}"),
        (r"\log_2 8", "3"),
        (r"\ln 8", r"3\ln 2"),
        (r"\sin 30^\circ", r"\frac{1}{2}"),
        (r"\cos\frac{5\pi}{4}", r"-\frac{\sqrt{2}}{2}"),
        (r"\sin(-x)", r"-\sin x"),
        (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"),
        ("10!", "3628800"),
        (r"10 \text{ cm}", r"0.1 \text{ m}"),
        ("2^{1000000}", "2^{1000000}"),
        ("1/2004!", "1/2004!"),
    ],
)
def test_equal_forms(one: str, other: str) -> None:
    assert same_value(value(one), value(other)) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\sqrt{2}", "1.41421356"),
        (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5}"),
        (r"\pi", "3.14159265358979"),
        ("10^{-20}", "0"),
        ("x", "y"),
        (r"5 \text{ cm}^2", r"5 \text{ cm}^3"),
        ("5 dollars", "5 euros"),
        (r"\frac{2^{2005}+1}{3\cdot2^{2006}}", r"\frac{1}{3\cdot2^{2006}}"),
    ],
)
def test_different_forms_without_opaque_parts_are_different_values(one: str, other: str) -> None:
    assert same_value(value(one), value(other)) is False


@pytest.mark.parametrize(
    ("one", "other"), [(r"\tan^2 x + 1", r"\sec^2 x"), (r"\sin 1", "x"), ("2^{10^9}", "1")]
)
def test_opaque_parts_leave_it_open(one: str, other: str) -> None:
    assert same_value(value(one), value(other)) is None


@pytest.mark.parametrize("text", ["1/0", r"\frac{x}{x-x}", "(-2)!", r"\infty"])
def test_what_has_no_value(text: str) -> None:
    with pytest.raises(NoValueError):
        value(text)


@pytest.mark.parametrize(
    "text", ["(a+b+c+d+e+f)^{20}", "9^{9^{9^9}}", r"\sqrt{1000000016000000063}", "(2^{9000})(3^{9000})"]
)
def test_arithmetic_is_bounded(text: str) -> None:
    try:
        found = value(text)
    except TooLargeError:
        assert form(tree(text)) is None
    else:
        assert len(found.numerator) <= 400  # kept as an opaque power


ATOMS = st.sampled_from([Symbol("x"), Symbol("y"), *(Number(Fraction(n, 2)) for n in range(-4, 5))])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda parts: (
        st.builds(lambda a, b: Sum((a, b)), parts, parts)
        | st.builds(lambda a, b: Product((a, b)), parts, parts)
        | st.builds(lambda a, n: Power(a, Number(Fraction(n))), parts, st.integers(0, 3))
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS)
@settings(max_examples=60)
def test_distribution_holds(a: Tree, b: Tree, c: Tree) -> None:
    left, right = form(Product((a, Sum((b, c))))), form(Sum((Product((a, b)), Product((c, a)))))
    assert left is None or right is None or same_value(left, right) is True


@given(EXPRESSIONS, st.fractions(-3, 3, max_denominator=5), st.fractions(-3, 3, max_denominator=5))
@settings(max_examples=100)
def test_forms_have_the_values_of_their_trees(expression: Tree, x: Fraction, y: Fraction) -> None:
    found = form(expression)
    if found is None:
        return
    at = {"x": x, "y": y}
    total = sum(
        coefficient * product([at[name] ** int(exponent) for name, exponent in monomial])
        for monomial, coefficient in found.numerator.items()
    )
    assert total == exactly(expression, at)


def product(factors: list[Fraction]) -> Fraction:
    result = Fraction(1)
    for factor in factors:
        result *= factor
    return result


def exactly(expression: Tree, at: dict[str, Fraction]) -> Fraction:
    """The value by plain fractions: another way to the same number."""
    match expression:
        case Number(number):
            return number
        case Symbol(name):
            return at[name]
        case Sum((a, b)):
            return exactly(a, at) + exactly(b, at)
        case Product((a, b)):
            return exactly(a, at) * exactly(b, at)
        case Power(a, Number(n)):
            return exactly(a, at) ** int(n)
    raise AssertionError(expression)


@given(EXPRESSIONS)
@settings(max_examples=60)
def test_one_more_is_refuted(expression: Tree) -> None:
    more = Sum((expression, Number(Fraction(1))))
    values = [evaluate(expression, {"x": 0.318, "y": 0.455}, Floats())]
    if abs(values[0]) < 1e6:  # in a larger number a float has no room for the difference
        assert refuted(expression, more)
    assert same_value(normal(expression), normal(more)) is False


def test_floats_refute_and_never_confirm() -> None:
    assert refuted(tree(r"2\arcsin\sqrt{a}"), tree(r"\arccos(1-3a)"))
    assert not refuted(tree(r"2\arcsin\sqrt{a}"), tree(r"\arccos(1-2a)"))
    assert not refuted(tree("9^{9^{9^9}}"), tree("1"))  # an overflow refutes nothing
    assert not refuted(tree(r"\ln x^2"), tree(r"2\ln x"))  # equal wherever both are real


def test_real_values() -> None:
    assert real(tree(r"-\infty")) == float("-inf")
    assert real(tree(r"\sqrt{-1}")) is None
    assert real(tree(r"(-8)^{1/3}")) == -2
