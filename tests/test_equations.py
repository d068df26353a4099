"""Arithmetic claims in prose: which are found, and which hold."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.steps.equations import MAX_CLAIMS, find_claims

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "arithmetic_claims.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_table_of_claims(case: dict[str, object]) -> None:
    assert [claim.holds for claim in find_claims(str(case["text"]))] == case["holds"]


def test_says_what_it_read_and_what_it_should_be() -> None:
    (claim,) = find_claims("so 2 boxes * 16 eggs = 96 eggs")
    assert (claim.text, claim.computed) == ("2*16 = 96", "32")
    (claim,) = find_claims("36 / 3 = <<36/3=12>>18")
    assert claim.computed == "12"


NUMBERS = st.integers(0, 5000)
WORDS = st.sampled_from(["", "So she pays ", "In total, Tom has ", "Step: ", "所以", "The cost is $"])
UNITS = st.sampled_from(["", " apples", " dollars.", ", and so on", "个", " (see above)"])


@given(WORDS, NUMBERS, st.sampled_from("+-*×x"), NUMBERS, UNITS, st.integers(-3, 3))
def test_a_step_holds_exactly_where_its_sum_does(
    words: str, a: int, sign: str, b: int, unit: str, off: int
) -> None:
    value = {"+": a + b, "-": a - b}.get(sign, a * b)
    (claim,) = find_claims(f"{words}{a} {sign} {b} = {value + off}{unit}")
    assert claim.holds is (off == 0)


@given(st.integers(1, 999), st.integers(1, 999), st.integers(3, 8))
def test_a_quotient_may_be_rounded_or_cut_where_it_is_shown(a: int, b: int, places: int) -> None:
    exact = Fraction(a, b)
    cut = exact * 10**places // 1
    for digits in (cut, round(exact * 10**places)):
        shown = f"{digits // 10**places}.{digits % 10**places:0{places}d}"
        assert [claim.holds for claim in find_claims(f"{a} / {b} = {shown}")] == [True]
    off = cut + 2
    shown = f"{off // 10**places}.{off % 10**places:0{places}d}"
    assert [claim.holds for claim in find_claims(f"{a} / {b} = {shown}")] == [False]


@given(st.text(alphabet="0123456789+-*/=<>().,%$ xa\n\\{}≈", max_size=80))
def test_no_text_makes_it_raise(text: str) -> None:
    find_claims(text)


BITS = ["ab-cd-", "ab-c1 ", "1,234", "((1", "(1)", "1+", "1=1+", "=", "<<1=", "<<3*4=12>>", "ab ", "1/", "2^"]
BITS += ["\\frac{1}{2}", "\\frac{", "{", "\\text{", "```", "\n=", "= ~", "x 3", "9!", "**", "1 1/2 ", "- "]
BITS += ["of 3", "25% of ", "中文3+5=", "1.2.3", "aa'", "≈", "2(3)", "1-ab-", "( ab ", "[3]", "7"]


@pytest.mark.parametrize("bit", BITS)
def test_hostile_text_takes_linear_time(bit: str) -> None:
    start = time.process_time()
    find_claims("1=" + bit * (100_000 // len(bit)) + "=1")
    # 0.2 s on an idle core; a quadratic step would take minutes.
    assert time.process_time() - start < 5


def test_nested_brackets_take_linear_time() -> None:
    start = time.process_time()
    find_claims("(" * 50_000 + "1" + ")" * 50_000 + "*2=2")
    find_claims("(1+" * 20_000 + "1" + ")" * 20_000 + "=2")
    assert time.process_time() - start < 2


def test_stops_at_a_bound_that_no_solution_reaches() -> None:
    assert len(find_claims("1+1=2\n" * (MAX_CLAIMS + 5))) == MAX_CLAIMS
    assert len(find_claims("1+1=" * (MAX_CLAIMS + 5))) == MAX_CLAIMS
