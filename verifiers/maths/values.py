"""Whether two values are equal: exact arithmetic first, then units, percent, rounding; refutation by evaluation.

The verdict is True, False, or None where only many digits or algebra could tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

from proctor.verifiers.maths import sampling
from proctor.verifiers.maths.forms import same_value
from proctor.verifiers.maths.normal import form
from proctor.verifiers.maths.polynomials import TooLargeError
from proctor.verifiers.maths.quantities import Quantity, may_go_without_unit, quantity
from proctor.verifiers.maths.rules import Rules
from proctor.verifiers.maths.trees import PI, Number, Tree, Unit, symbols, walk

Decide: TypeAlias = Callable[[Tree, Tree], "bool | None"]

# A gold of 12.55 stands for every exact value that rounds to it or was cut there; 0.5 is taken at its word.
ROUNDED_DIGITS = 3
# A decimal of this many digits is what a computer printed for an exact value: 0.3333333333333333 is 1/3.
PRINTED_DIGITS = 12
_PRINTED_NOISE = Fraction(1, 10**14)
# What a plain value is multiplied by to be in the unit of the gold.
_SCALES: dict[tuple[Tree, ...], float] = {(Unit("percent"),): 100.0, (Unit("degree"),): 180 / math.pi}


def undecided(one: Tree, other: Tree) -> bool | None:
    """The `decide` of the fast path: leaves it open."""
    return None


def either(*found: bool | None) -> bool | None:
    """True if any is, otherwise open if any is open."""
    return True if True in found else None if None in found else False


def both(*found: bool | None) -> bool | None:
    """False if any is, otherwise open if any is open."""
    return False if False in found else None if None in found else True


def same(gold: Tree, answer: Tree, rules: Rules, decide: Decide = undecided) -> bool | None:
    """Whether the answer has the value of the gold under the rules."""
    if gold == answer:
        return True
    wanted, given = quantity(gold, symbols(answer)), quantity(answer, symbols(gold))
    if not given.units and not may_go_without_unit(gold, wanted.units):
        wanted = Quantity(gold, gold)
    found = _same_quantity(wanted, given, rules, decide)
    if found is True:
        return True
    may_share_unit = not given.units or not wanted.units or given.units == wanted.units
    if may_share_unit and (_is_rounded(wanted, given) or _is_printed(wanted, given)):
        return True
    if rules.tolerance is not None and _is_near(wanted, given, rules.tolerance):
        return True
    return found


def _same_quantity(gold: Quantity, answer: Quantity, rules: Rules, decide: Decide) -> bool | None:
    if rules.units == "ignore":
        return same_number(gold.bare, answer.bare, decide)
    if bool(gold.units) is bool(answer.units) or rules.units == "same":
        return same_number(gold.whole, answer.whole, decide)
    if _is_angle(gold, answer) or _is_angle(answer, gold):
        return same_number(gold.whole, answer.whole, decide)
    policy = rules.percent if gold.is_percent or answer.is_percent else "either"
    bare = same_number(gold.bare, answer.bare, decide) if policy != "fraction" else False
    whole = (
        same_number(gold.whole, answer.whole, decide) if policy != "number" and bare is not True else False
    )
    return either(bare, whole)


def _is_angle(radians: Quantity, degrees: Quantity) -> bool:
    """Whether one is a multiple of pi and the other says degrees: pi/4 is 45° and never pi/4 degrees."""
    has_pi = any(node == PI for node in walk(radians.bare))
    return has_pi and not radians.units and degrees.units == (Unit("degree"),)


def same_number(gold: Tree, answer: Tree, decide: Decide = undecided) -> bool | None:
    """Whether two trees are the same number or expression, exactly."""
    if isinstance(gold, Number) and isinstance(answer, Number):
        return gold.value == answer.value
    if gold == answer:
        return True
    found = _same_form(gold, answer)
    if found is not None:
        return found
    return False if sampling.refuted(gold, answer) else decide(gold, answer)


def _same_form(one: Tree, other: Tree) -> bool | None:
    first, second = form(one), form(other)
    try:
        return None if first is None or second is None else same_value(first, second)
    except TooLargeError:
        return None


def _is_rounded(gold: Quantity, answer: Quantity) -> bool:
    """Whether the gold is a decimal and the answer an exact value that rounds to it, or was cut there."""
    if not isinstance(gold.bare, Number) or not gold.bare.places or _digits(gold.bare) < ROUNDED_DIGITS:
        return False
    is_decimal = isinstance(answer.bare, Number) and answer.bare.places is not None
    value = None if is_decimal else _finite(answer.bare)
    if value is None:
        return False
    scale = 1.0 if answer.units else _SCALES.get(gold.units, 1.0)
    error = Fraction(value * scale) - gold.bare.value
    unit = Fraction(1, 10**gold.bare.places)
    return abs(error) <= unit / 2 or 0 <= error * (1 if gold.bare.value > 0 else -1) < unit


def _is_printed(gold: Quantity, answer: Quantity) -> bool:
    """Whether the answer is the full decimal that a computer prints for the gold."""
    if not isinstance(answer.bare, Number) or not answer.bare.places:
        return False
    if _digits(answer.bare) < PRINTED_DIGITS:
        return False
    value = _finite(gold.bare)
    if not value:
        return False
    error = abs(answer.bare.value / Fraction(value) - 1)
    if isinstance(gold.bare, Number) and gold.bare.value.denominator == 1:
        return error <= _PRINTED_NOISE
    return error <= Fraction(10) ** (1 - _digits(answer.bare)) + _PRINTED_NOISE


def _digits(number: Number) -> int:
    """Significant digits as written."""
    return len(str(abs(number.value.numerator) * 10 ** (number.places or 0) // number.value.denominator))


def _is_near(gold: Quantity, answer: Quantity, tolerance: float) -> bool:
    """Whether the two are within a relative tolerance of the gold (an absolute one where the gold is 0)."""
    for wanted, given in ((gold.bare, answer.bare), (gold.whole, answer.whole)):
        one, other = _finite(wanted), _finite(given)
        if one is not None and other is not None and abs(one - other) <= tolerance * (abs(one) or 1.0):
            return True
    return False


def _finite(tree: Tree) -> float | None:
    """The value of a constant as a float, where it has one."""
    value = sampling.real(tree)
    return value if value is not None and math.isfinite(value) else None
