"""Runs in a killable worker: settles by many digits, then by algebra, what exact arithmetic left open.

Values that agree to 40 digits at every point where both are defined are equal. Where both sides are sums,
integrals or limits that are written out, math-verify's LaTeX parser and sympy decide. Nothing here
evaluates Python: trees are ours, and of math-verify only the LaTeX grammar is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypedDict

import mpmath

from proctor.verifiers.maths.evaluation import Arithmetic, UndefinedError, evaluate
from proctor.verifiers.maths.grading import rule
from proctor.verifiers.maths.reading import read
from proctor.verifiers.maths.rules import Rules
from proctor.verifiers.maths.sampling import is_complex, points
from proctor.verifiers.maths.trees import Sum, Tree, walk

DIGITS = 60
_AGREE = mpmath.mpf(10) ** -40
_LARGE = mpmath.mpf(10) ** 20  # from here on agreement in the first digits may hide another term
_MOST_DIGITS = 50_000  # of a sum that is written out; more take seconds
_ENOUGH = 2  # points of agreement that an equality of expressions with variables needs
_MOST_BITS = 10_000_000  # of a power: 10^(3,000,000); beyond it an exponent alone would fill the memory
_LARGEST_ANGLE = mpmath.mpf(10) ** 300  # beyond it as many digits of pi are needed as the angle has
_LARGEST_FACTORIAL = 1_000_000


class Verdict(TypedDict):
    """What crosses back to the trainer's process."""

    equal: bool
    why: str


class ManyDigits:
    """An `Arithmetic` of mpmath's numbers, with powers bounded."""

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        return _FUNCTIONS

    @property
    def constants(self) -> Mapping[str, Any]:
        return {"pi": mpmath.mp.pi, "e": mpmath.mp.e, "i": mpmath.mpc(0, 1)}

    def number(self, value: Fraction) -> Any:
        return mpmath.mpf(value.numerator) / value.denominator

    def power(self, base: Any, exponent: Any, exact: Fraction | None) -> Any:
        if base == 0:
            if mpmath.re(exponent) <= 0:
                raise UndefinedError("a power of zero")
            return base
        if abs(exponent) * max(1, abs(mpmath.log(abs(base), 2))) > _MOST_BITS:
            raise UndefinedError("a power beyond any bound")
        if exact is not None and exact.denominator % 2 and mpmath.im(base) == 0 and mpmath.re(base) < 0:
            root = mpmath.power(-base, self.number(exact))
            return -root if exact.numerator % 2 else root
        return mpmath.power(base, exponent)


def equal(gold: str, answer: str, rules: Mapping[str, Any]) -> Verdict:
    """Whether the answer is the gold. What stays open is not equal."""
    one, other = read(gold), read(answer)
    if one.operation and other.operation:
        found = by_algebra(gold, answer)
        return Verdict(equal=found, why="algebra" if found else "algebra does not show it equal")
    with mpmath.workdps(DIGITS):
        ruling = rule(one, other, Rules(**rules), by_digits)
    if ruling.equal:
        return Verdict(equal=True, why=f"{ruling.why} to {DIGITS} digits")
    return Verdict(equal=False, why="digits do not show it equal" if ruling.equal is None else ruling.why)


def by_digits(gold: Tree, answer: Tree) -> bool | None:
    """Whether two trees agree to many digits wherever both are defined; None where that is nowhere."""
    arithmetic = ManyDigits()
    only_real = not is_complex(gold, answer)
    agreed, wanted = 0, 1
    for at in points(gold, answer):
        wanted = _ENOUGH if at else 1
        point = {name: mpmath.mpf(value) for name, value in at.items()}
        one, other = _value(gold, point, arithmetic), _value(answer, point, arithmetic)
        if one is None or other is None:
            continue
        if only_real and at and not (_is_real(one) and _is_real(other)):
            continue
        if abs(one - other) > _AGREE * max(abs(one), abs(other)):
            return False
        if abs(one) > _LARGE and not _agree_in_full(gold, answer, point, abs(one)):
            return False
        agreed += 1
    return True if agreed >= wanted else None


def _agree_in_full(gold: Tree, answer: Tree, at: Mapping[str, Any], size: Any) -> bool:
    """Whether two sums agree to the unit: beside 2024^4046 a term of 1 is lost in any 60 digits."""
    if not any(isinstance(node, Sum) for tree in (gold, answer) for node in walk(tree)):
        return True
    digits = int(mpmath.log10(size)) + DIGITS
    if digits > _MOST_DIGITS:
        return False
    with mpmath.workdps(digits):
        one, other = (_value(tree, at, ManyDigits()) for tree in (gold, answer))
        return one is not None and other is not None and bool(abs(one - other) < _AGREE)


def by_algebra(gold: str, answer: str) -> bool:
    """Whether math-verify's LaTeX parser and sympy find the two equal."""
    from math_verify import LatexExtractionConfig, parse, verify

    config = (LatexExtractionConfig(),)
    one, other = (parse(f"${text.strip(' $')}$", config, parsing_timeout=None) for text in (gold, answer))
    return bool(one and other and verify(one, other, timeout_seconds=None))


def _value(tree: Tree, at: Mapping[str, Any], arithmetic: Arithmetic) -> Any:
    try:
        value = mpmath.mpmathify(evaluate(tree, at, arithmetic))
    except (ArithmeticError, ValueError, TypeError):
        return None
    return value if mpmath.isfinite(value) else None


def _is_real(value: Any) -> bool:
    return bool(abs(mpmath.im(value)) <= _AGREE * abs(value))


def _bounded(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if abs(value) > _LARGEST_ANGLE:
            raise UndefinedError("an angle beyond any bound")
        return function(value)

    return apply


def _factorial(value: Any) -> Any:
    if mpmath.im(value) or value < 0 or value > 1_000_000:
        raise UndefinedError("factorial")
    return mpmath.factorial(value)


def _binomial(top: Any, bottom: Any) -> Any:
    return _factorial(top) / (_factorial(bottom) * _factorial(top - bottom))


def _logarithm(value: Any, base: Any = None) -> Any:
    if value == 0:
        raise UndefinedError("log 0")
    return mpmath.log(value) if base is None else mpmath.log(value) / mpmath.log(base)


_CIRCULAR = ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: _bounded(getattr(mpmath, name)) for name in (*_CIRCULAR, "coth", "sech", "csch")},
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    **{f"arc{name}": getattr(mpmath, f"a{name}") for name in _CIRCULAR},
    "ln": _logarithm,
    "log": _logarithm,
    "abs": abs,
    "factorial": _factorial,
    "binom": _binomial,
    "max": max,
    "min": min,
    "sgn": mpmath.sign,
}
