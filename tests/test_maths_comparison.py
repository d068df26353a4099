"""Whether two trees are the same answer: equations, sets, lists, tuples, matrices."""

from __future__ import annotations

import pytest

from proctor.verifiers.maths.comparison import Comparison
from proctor.verifiers.maths.finished import is_unfinished
from proctor.verifiers.maths.grading import rule
from proctor.verifiers.maths.reading import read
from proctor.verifiers.maths.rules import Rules


def equal(gold: str, answer: str, **rules: object) -> bool | None:
    return rule(read(gold), read(answer), Rules(**rules)).equal  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("x = 3", "3"),
        ("3", "x = 3"),
        ("y = 2x + 1", "2x - y + 1 = 0"),
        (r"\frac{x^2}{4}+\frac{y^2}{3}=1", "3x^2 + 4y^2 = 12"),
        ("f(n) = 2n", "f(m) = 2m"),
        ("f(x) = x^2", "y = x^2"),
        ("xy = 6", r"\frac{6}{x}"),
        ("y + 1 = -(2x-1)^2", "-4x^2 + 4x - 2"),
        ("2k", "a + d + e = 2k"),
        (r"x = y = z = \sqrt{2}", r"(\sqrt{2}, \sqrt{2}, \sqrt{2})"),
        (r"\frac{NO}{BO} = \frac{1}{2}", "1/2"),
        (r"x = k\pi", r"x = n\pi"),
        ("(3 + t, 2 - t)", "(3 + s, 2 - s)"),
        ("R^2", "r^2"),
        (r"m_{\max} = n^2", "n^2"),
    ],
)
def test_same_equations(gold: str, answer: str) -> None:
    assert equal(gold, answer) is True


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("x = 3", "y = 3"), ("x = 3", "2x + 1 = 7"), ("x^2+y^2=1", "x^2+y^2=2"), ("f(x)", "f(y)"), ("4t", "4x"), ("x = 3", "-x = 3"),
     ("x = 1, y = 2", "x = 2, y = 1"), (r"x = k\pi", r"x = 2k\pi")],
)  # fmt: skip
def test_other_equations(gold: str, answer: str) -> None:
    assert equal(gold, answer) is False


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("2 < x < 5", "(2, 5)"),
        ("x < 2", r"(-\infty, 2)"),
        (r"x \ne 3", r"(-\infty,3)\cup(3,\infty)"),
        (r"(1,3)\cup(3,5)", r"(1,5)\setminus\{3\}"),
        (r"\{x \mid x < 3\} - \{2\}", r"(-\infty, 2) \cup (2, 3)"),
        (r"1 \le |z| \le 3", r"[-3,-1] \cup [1,3]"),
        (r"a \le -2 \text{ or } a = 1", r"(-\infty,-2] \cup \{1\}"),
        ("x <= 1", "-x >= -1"),
        ("0 < f(x) < 1", "(0, 1)"),
        (r"\mathbb{R}", "all real numbers"),
        ("(0, 1)", "]0, 1["),
        (r"(\frac{\sqrt{5}-1}{2}, 2)", r"\frac{-1+\sqrt{5}}{2} < m < 2"),
        (r"(3,4)\cup(1,2)", r"(1,2)\cup(3,4)"),
        (r"x \in \{1, 2\}", "x = 1, 2"),
    ],
)
def test_same_sets(gold: str, answer: str) -> None:
    assert equal(gold, answer) is True


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("[1, 2]", "[1, 2)"), (r"(2,\infty)", r"x \ge 2"), ("(-2, 2)", "|x| < 2"), ("x > 5", "x < 5"), ("(8, -2)", "[8, -2)"),
     (r"\{1,2,3\}", r"\{1,2\}"), ("x < 3", "2x + 1 < 7")],
)  # fmt: skip
def test_other_sets(gold: str, answer: str) -> None:
    assert equal(gold, answer) is False


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("1, 3, 2", "1, 2, 3"),
        (r"\{1, 2\}", r"\{1, 1, 2\}"),
        ("1, 2", "x = 1, y = 2"),
        ("p = 5, q = 2; p = 7, q = 2", "(5, 2), (7, 2)"),
        (r"1 \pm \sqrt{19}", r"1 + \sqrt{19}, 1 - \sqrt{19}"),
        (r"(1, 0, 1), (1, 0, -1), (-1, 0, 1), (-1, 0, -1)", r"(\pm 1, 0, \pm 1)"),
        ("2", r"\{2\}"),
        (r"\{(1, 2)\}", "(1, 2)"),
        ("[0.5, 1]", r"\begin{pmatrix} \frac{1}{2} \\ 1 \end{pmatrix}"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1,2],[3,4]]"),
        (
            r"\begin{pmatrix}6\\8\end{pmatrix}",
            r"\begin{pmatrix}1\\2\end{pmatrix}+\begin{pmatrix}5\\6\end{pmatrix}",
        ),
        (
            r"\begin{pmatrix}5\\11\end{pmatrix}",
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}\begin{pmatrix}1\\2\end{pmatrix}",
        ),
        ("1/2 or 0.5", "1/2"),
        ("2:1", "4:2"),
        ("2:1", "2"),
        ("52_8", r"52_{\text{eight}}"),
        ("52_8", "52"),
    ],
)
def test_same_lists(gold: str, answer: str) -> None:
    assert equal(gold, answer) is True


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("(1, 2)", "(2, 1)"), ("(0, 9)", "[0, 9)"), ("(1, 2)", "(1, 2, 2)"), ("-2, -2", "-2"), ("2", r"\pm 2"), ("1, 2", "1, 2, 3"),
     ("42", "42 or 43"), ("3:1", "1:3"), ("12:00", "1:00"), ("101_2", "5"), ("42", "42_5"), ("-3, 0", "-3"),
     (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}")],
)  # fmt: skip
def test_other_lists(gold: str, answer: str) -> None:
    assert equal(gold, answer) is False


def test_order_on_request() -> None:
    assert equal("1, 2", "2, 1", ordered=True) is False
    assert equal("(1, 2, 3)", "(3, 2, 1)", ordered=False) is True


def test_case_on_request() -> None:
    assert equal("R^2", "r^2", ignore_case=False) is False


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("1024", "2^{10}"), ("391", r"17 \cdot 23"), ("5/6", "1/2 + 1/3"), (r"5\sqrt{2}", r"\sqrt{50}"), ("1/2", r"\sin 30^\circ"),
     ("5040", "7!"), ("(x-1)(x+1)", "x^2 - 1")],
)  # fmt: skip
def test_unfinished_answers(gold: str, answer: str) -> None:
    assert equal(gold, answer) is False
    assert is_unfinished(read(gold).trees[0], read(answer).trees[0])


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("5", "3 + 2"), ("4", r"\frac{8}{2}"), ("1000", "10^3"), ("5000", r"5 \times 10^3"), ("x^2+2x+1", "(x+1)^2"), ("2", r"\sqrt{4}"),
     (r"2\sqrt{3}", r"2 \cdot 3^{1/2}"), ("18.8", r"\arctan(2) \cdot 17")],
)  # fmt: skip
def test_finished_answers(gold: str, answer: str) -> None:
    assert not is_unfinished(read(gold).trees[0], read(answer).trees[0])


def test_comparison_is_symmetric_where_it_should_be() -> None:
    comparison = Comparison(Rules())
    for one, other in (("1, 2", "2, 1"), ("(0, 1)", "0 < x < 1"), ("x = 1", "1"), ("10 cm", "0.1 m")):
        first, second = read(one).trees[0], read(other).trees[0]
        assert comparison.same(first, second) is comparison.same(second, first) is True
