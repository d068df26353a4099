"""Whether two values are equal: exact arithmetic first, then units, percent, rounding; refutation by evaluation.

The verdict is True, False, or None where only many digits or algebra could tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from proctor.verifiers.maths import sampling
from proctor.verifiers.maths.normal import normal
from proctor.verifiers.maths.polynomials import Form, NoFormError, TooLargeError, same_value
from proctor.verifiers.maths.rules import Rules
from proctor.verifiers.maths.trees import Number, Power, Product, Symbol, Tree, Unit, symbols
from proctor.verifiers.maths.units import NAMES

Decide: TypeAlias = Callable[[Tree, Tree], "bool | None"]

# A gold of 12.55 stands for every exact value that rounds to it; 0.5 or 3 is taken at its word.
ROUNDED_DIGITS = 3
# A decimal of this many digits is what a computer printed for an exact value: 0.3333333333333333 is 1/3.
PRINTED_DIGITS = 12
# What a plain value is multiplied by to be in the unit of the gold.
_SCALES = {(Unit("percent"),): 100.0, (Unit("degree"),): 180 / math.pi}
_PRINTED_NOISE = Fraction(1, 10**14)
# A letter after a number that may be a unit written without \text{}: 5m, 9.8 m/s.
_UNIT_LETTERS = frozenset(name for name in NAMES if len(name) == 1)


def undecided(one: Tree, other: Tree) -> bool | None:
    """The `decide` of the fast path: leaves it open."""
    return None


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value apart from the units that it is multiplied by."""

    whole: Tree
    bare: Tree
    units: tuple[Tree, ...] = ()

    @property
    def is_percent(self) -> bool:
        return self.units == (Unit("percent"),)


def same(gold: Tree, answer: Tree, rules: Rules, decide: Decide = undecided) -> bool | None:
    """Whether the answer has the value of the gold under the rules."""
    if gold == answer:
        return True
    wanted, given = quantity(gold, symbols(answer)), quantity(answer, symbols(gold))
    found = _same_quantity(wanted, given, rules, decide)
    if found is True or _is_rounded(wanted, given) or _is_printed(wanted, given):
        return True
    if rules.tolerance is not None and _is_near(wanted, given, rules.tolerance):
        return True
    return found


def quantity(tree: Tree, variables: frozenset[str] = frozenset()) -> Quantity:
    """Splits a value from its units. A letter that may be a unit is one where `variables` do not hold it."""
    if isinstance(tree, Unit):
        return Quantity(tree, Number(Fraction(1)), (tree,))
    kept: list[Tree] = []
    taken: list[Tree] = []
    for factor in _factors(tree):
        unit = _as_unit(factor, variables if kept and not any(map(symbols, kept)) else None)
        (taken if unit else kept).append(unit or factor)
    if not taken or not kept:
        return Quantity(tree, tree)
    return Quantity(
        Product((*kept, *taken)), kept[0] if len(kept) == 1 else Product(tuple(kept)), tuple(taken)
    )


def _as_unit(tree: Tree, variables: frozenset[str] | None) -> Tree | None:
    """A unit or a power of one; a letter that may be a unit as that unit, unless it is a variable (None: any is)."""
    match tree:
        case Unit():
            return tree
        case Symbol(name) if variables is not None and name in _UNIT_LETTERS and name not in variables:
            return Unit(NAMES[name])
        case Power(base, exponent) if (unit := _as_unit(base, variables)) is not None:
            return Power(unit, exponent)
        case _:
            return None


def _factors(tree: Tree) -> list[Tree]:
    if not isinstance(tree, Product):
        return [tree]
    return [factor for part in tree.factors for factor in _factors(part)]


def _same_quantity(gold: Quantity, answer: Quantity, rules: Rules, decide: Decide) -> bool | None:
    if rules.units == "ignore":
        return same_number(gold.bare, answer.bare, decide)
    if bool(gold.units) is bool(answer.units) or rules.units == "same":
        return same_number(gold.whole, answer.whole, decide)
    if gold.is_percent or answer.is_percent:
        if rules.percent == "fraction":
            return same_number(gold.whole, answer.whole, decide)
        if rules.percent == "number":
            return same_number(gold.bare, answer.bare, decide)
    bare = same_number(gold.bare, answer.bare, decide)
    return bare if bare else either(bare, same_number(gold.whole, answer.whole, decide))


def either(*found: bool | None) -> bool | None:
    """True if any is, otherwise open if any is open."""
    return True if True in found else None if None in found else False


def both(*found: bool | None) -> bool | None:
    """False if any is, otherwise open if any is open."""
    return False if False in found else None if None in found else True


def same_number(gold: Tree, answer: Tree, decide: Decide = undecided) -> bool | None:
    """Whether two trees are the same number or expression, exactly."""
    if isinstance(gold, Number) and isinstance(answer, Number):
        return gold.value == answer.value
    if gold == answer:
        return True
    one, other = form(gold), form(answer)
    if one is not None and other is not None:
        found = same_value(one, other)
        if found is not None:
            return found
    return False if sampling.refuted(gold, answer) else decide(gold, answer)


def form(tree: Tree) -> Form | None:
    """The normal form, or None where there is none within the bounds."""
    try:
        return normal(tree)
    except (NoFormError, TooLargeError):
        return None


def _is_rounded(gold: Quantity, answer: Quantity) -> bool:
    """Whether the gold is a decimal and the answer an exact value that rounds to it, or was cut there."""
    if not isinstance(gold.bare, Number) or _is_decimal(answer.bare) or symbols(answer.whole):
        return False
    places = gold.bare.places or 0
    if not places or _digits(gold.bare) < ROUNDED_DIGITS:
        return False
    value = sampling.real(answer.bare)
    if value is None or not math.isfinite(value):
        return False
    scale = 1.0 if answer.units else _SCALES.get(gold.units, 1.0)
    error = Fraction(value * scale) - gold.bare.value
    unit = Fraction(1, 10**places)
    return abs(error) <= unit / 2 or 0 <= error * (1 if gold.bare.value > 0 else -1) < unit


def _is_printed(gold: Quantity, answer: Quantity) -> bool:
    """Whether the answer is the full decimal that a computer prints for the gold."""
    if not isinstance(answer.bare, Number) or _digits(answer.bare) < PRINTED_DIGITS or symbols(gold.whole):
        return False
    value = sampling.real(gold.bare)
    if value is None or not value:
        return False
    error = abs(answer.bare.value / Fraction(value) - 1)
    if isinstance(gold.bare, Number) and gold.bare.value.denominator == 1:
        return error <= _PRINTED_NOISE
    return error <= Fraction(10) ** (1 - _digits(answer.bare)) + _PRINTED_NOISE


def _is_decimal(tree: Tree) -> bool:
    return isinstance(tree, Number) and tree.places is not None


def _digits(number: Number) -> int:
    """Significant digits as written."""
    return len(str(abs(number.value.numerator) * 10 ** (number.places or 0) // number.value.denominator))


def _is_near(gold: Quantity, answer: Quantity, tolerance: float) -> bool:
    """Whether the two are within a relative tolerance of the gold (an absolute one where the gold is 0)."""
    for wanted, given in ((gold.bare, answer.bare), (gold.whole, answer.whole)):
        one, other = sampling.real(wanted), sampling.real(given)
        if one is not None and other is not None and abs(one - other) <= tolerance * (abs(one) or 1.0):
            return True
    return False
