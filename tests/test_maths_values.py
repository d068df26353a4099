"""Whether two values are equal: units, percent, rounding, tolerance."""

from __future__ import annotations

import pytest

from proctor.verifiers.maths.reading import read
from proctor.verifiers.maths.rules import Rules
from proctor.verifiers.maths.values import same


def equal(gold: str, answer: str, **rules: object) -> bool | None:
    (wanted, *_), (given, *_) = read(gold).trees, read(answer).trees
    return same(wanted, given, Rules(**rules))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("10 cm", "0.1 m"), ("2 hours", "120 minutes"), ("60 km/h", "1 km/min"), (r"\$1.50", "150 cents"), ("5 ft 6 in.", "66 inches"),
     ("64 square feet", r"64\text{ ft}^2"), ("1.5 hours", "1 hour 30 minutes"), ("5 kg", "5000 g"), (r"45^\circ", r"\frac{\pi}{4}"),
     ("9.8 m/s^2", r"9.8\ \text{m/s}^2"), ("25 °C", "25 degrees celsius")],
)  # fmt: skip
def test_units_convert(gold: str, answer: str) -> None:
    assert equal(gold, answer) is True
    assert equal(gold, answer, units="same") is True


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("5 cm", "5 m"), (r"64\text{ cm}^2", r"64\text{ cm}^3"), (r"\$5", "€5"), ("2 hours", "2 minutes"), ("100", "1 m"), (r"\frac{\pi}{4}", "45")],
)  # fmt: skip
def test_contradicting_units_are_wrong(gold: str, answer: str) -> None:
    assert equal(gold, answer) is False


def test_missing_unit_has_the_benefit_of_the_doubt() -> None:
    assert equal("5 cm", "5") is True
    assert equal("5", "5 cm") is True
    assert equal("5 cm", "5", units="same") is False


def test_units_ignored() -> None:
    assert equal("5 cm", "5 m", units="ignore") is True


@pytest.mark.parametrize(
    ("gold", "answer", "either", "fraction", "number"),
    [("50\\%", "1/2", True, True, False), ("50\\%", "50", True, False, True), ("0.5", "50\\%", True, True, False),
     ("50\\%", "5", False, False, False)],
)  # fmt: skip
def test_percent_policies(gold: str, answer: str, either: bool, fraction: bool, number: bool) -> None:
    assert equal(gold, answer) is either
    assert equal(gold, answer, percent="fraction") is fraction
    assert equal(gold, answer, percent="number") is number


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("12.55", r"\frac{640}{51}", True),  # 12.549
        ("41.494", r"17+10\sqrt{6}", True),  # 41.49489, cut and not rounded
        ("6.67\\%", "1/15", True),
        ("18.8 degrees", r"\arctan(0.3404)", True),  # 18.80 degrees
        ("12.55", r"\frac{640}{50}", False),
        ("12.55", "12.549", False),  # a decimal is taken at its word
        ("0.5", "6/11", False),  # one digit is no rounding
        ("12.55 dollars", r"\frac{640}{51} euros", False),
    ],
)
def test_decimal_reference_stands_for_what_rounds_to_it(gold: str, answer: str, expected: bool) -> None:
    assert equal(gold, answer) is expected


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        (r"\sqrt{2}", "1.4142135623730951", True),
        ("1/432", "2.314814814815e-3", True),
        ("16", "15.999999999999998", True),
        (r"\sqrt{2}", "1.41421356", False),
        ("7", "7.00001", False),
        ("1/3", "0.3333", False),
    ],
)
def test_printed_decimals_are_the_value_that_prints_so(gold: str, answer: str, expected: bool) -> None:
    assert equal(gold, answer) is expected


def test_tolerance_only_where_asked_for() -> None:
    assert equal(r"\pi", "3.14") is False
    assert equal(r"\pi", "3.14", tolerance=0.001) is True  # 0.0016 / 3.14 = 0.0005
    assert equal(r"\pi", "3.15", tolerance=0.001) is False
    assert equal("0", "0.0005", tolerance=0.001) is True  # absolute where the reference is 0
