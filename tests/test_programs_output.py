"""When printed output equals the expected one."""

from __future__ import annotations

import pytest

from proctor.verifiers.programs.output import Match, compare, first_difference

EQUAL, SPACING, DIFFERENT = Match.EQUAL, Match.SPACING, Match.DIFFERENT
# got, expected: what exact, token and float say
CASES = [
    ("3\n", "3\n", EQUAL, EQUAL, EQUAL),
    ("3", "3\n", EQUAL, EQUAL, EQUAL),
    ("3  \n", "3", EQUAL, EQUAL, EQUAL),
    ("3\r\n", "3\n", EQUAL, EQUAL, EQUAL),
    ("3\n\n\n", "3\n", EQUAL, EQUAL, EQUAL),
    ("", "", EQUAL, EQUAL, EQUAL),
    ("\n", "", EQUAL, EQUAL, EQUAL),
    ("1  2\n", "1 2\n", SPACING, EQUAL, EQUAL),
    ("  1 2\n", "1 2\n", SPACING, EQUAL, EQUAL),
    ("1\n2\n", "1 2\n", SPACING, DIFFERENT, DIFFERENT),
    ("1 2\n", "1\n2\n", SPACING, DIFFERENT, DIFFERENT),
    ("1\n\n2\n", "1\n2\n", SPACING, DIFFERENT, DIFFERENT),
    ("\n1\n", "1\n", SPACING, DIFFERENT, DIFFERENT),
    ("1\n", "\n1\n", SPACING, EQUAL, EQUAL),
    ("\n1\n", "\n1\n", EQUAL, EQUAL, EQUAL),
    ("2\n", "\n1\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("", "0\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("1\n2\n3\n", "2\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("1\n", "1\n2\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("1 2\n", "2 1\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("12\n", "1 2\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("YES\n", "Yes\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("0.3333333\n", "0.333333333333\n", DIFFERENT, DIFFERENT, EQUAL),
    ("1000000.5\n", "1000000\n", DIFFERENT, DIFFERENT, EQUAL),
    ("1e3\n", "1000.0\n", DIFFERENT, DIFFERENT, EQUAL),
    ("-0.0\n", "0\n", DIFFERENT, DIFFERENT, EQUAL),
    ("0.34\n", "0.33\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("x 1.0000001\n", "x 1\n", DIFFERENT, DIFFERENT, EQUAL),
    ("x 1\n", "y 1\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("nan\n", "1\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("nan\n", "nan\n", EQUAL, EQUAL, EQUAL),
    ("inf\n", "1\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("1\n", "inf\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("Infinity\n", "inf\n", DIFFERENT, DIFFERENT, EQUAL),
    ("1e999\n", "inf\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("inf\n", f"1{'0' * 350}\n", DIFFERENT, DIFFERENT, DIFFERENT),
    (f"2{'0' * 350}\n", f"1{'0' * 350}\n", DIFFERENT, DIFFERENT, DIFFERENT),
    (f"1{'0' * 350}\n", f"1{'0' * 350}\n", EQUAL, EQUAL, EQUAL),
    ("1_0\n", "10\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("١\n", "1\n", DIFFERENT, DIFFERENT, DIFFERENT),
    ("\udcff\n", "1\n", DIFFERENT, DIFFERENT, DIFFERENT),
]


@pytest.mark.parametrize(("got", "expected", "exact", "token", "close"), CASES)
def test_comparisons(got: str, expected: str, exact: Match, token: Match, close: Match) -> None:
    assert compare(got, expected, "exact", 1e-6) is exact
    assert compare(got, expected, "token", 1e-6) is token
    assert compare(got, expected, "float", 1e-6) is close


def test_tolerance_is_absolute_below_one_and_relative_above() -> None:
    assert compare("0.001", "0.0", "float", 0.01) is EQUAL
    assert compare("1009", "1000", "float", 0.01) is EQUAL
    assert compare("1011", "1000", "float", 0.01) is DIFFERENT
    assert compare("1.0", "1", "float", 0.0) is EQUAL


def test_the_first_difference_is_a_line() -> None:
    assert first_difference("1\n2\n3", "1\n5\n3") == 2
    assert first_difference("1\n", "1\n2\n") == 2
