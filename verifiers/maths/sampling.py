"""Evaluates trees at points, to refute equality before anything dearer is tried.

`evaluate` works in any arithmetic that has the operations below: machine floats here, many digits in the
worker (`high_precision`). Values that differ at one point where both are defined are different; values that
agree everywhere are only *probably* equal, and that is for others to settle.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, Protocol

from proctor.verifiers.maths.trees import (
    Apply,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    Tree,
    Unit,
    symbols,
    walk,
)
from proctor.verifiers.maths.units import MEASURES

# Two floats further apart than this, relative to the largest term that went into them, are different numbers.
REFUTES = 1e-9
# Every set of points: positive and between 0 and 1, positive, natural, large, negative.
_STARTS = ((0.318, 0.137), (1.271, 0.713), (2, 1), (5, 2), (11.37, 3.91), (-0.412, 0.151), (-3.117, 0.619))


class UndefinedError(ArithmeticError):
    """No value here: a pole, a root outside of the reals, a function that is not known."""


class Arithmetic(Protocol):
    """The operations that `evaluate` needs."""

    functions: Mapping[str, Callable[..., Any]]
    constants: Mapping[str, Any]

    def number(self, value: Fraction) -> Any: ...

    def power(self, base: Any, exponent: Any, exact: Fraction | None) -> Any: ...


class Floats:
    """Machine arithmetic, complex where it has to be."""

    constants: Mapping[str, Any] = {"pi": math.pi, "e": math.e, "i": 1j}

    def number(self, value: Fraction) -> float:
        return float(value)

    def power(self, base: Any, exponent: Any, exact: Fraction | None) -> Any:
        if base == 0 and not isinstance(exponent, complex) and exponent < 0:
            raise UndefinedError("division by zero")
        if exact is not None and exact.denominator == 1 and abs(exact) < 1000:
            return base ** int(exact)
        if exact is not None and exact.denominator % 2 and not isinstance(base, complex) and base < 0:
            root = (-base) ** float(exact)
            return -root if exact.numerator % 2 else root
        return base**exponent

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        return _FLOAT_FUNCTIONS


def evaluate(tree: Tree, at: Mapping[str, Any], arithmetic: Arithmetic) -> Any:
    """The value of a tree at a point. Raises UndefinedError, or an ArithmeticError of the arithmetic."""
    match tree:
        case Number(value):
            return arithmetic.number(value)
        case Symbol(name):
            if name in at:
                return at[name]
            if name in arithmetic.constants:
                return arithmetic.constants[name]
            raise UndefinedError(name)
        case Unit(name):
            return _unit(name, arithmetic)
        case Sum(terms):
            return sum(
                (evaluate(term, at, arithmetic) for term in terms[1:]), evaluate(terms[0], at, arithmetic)
            )
        case Product(factors):
            value = evaluate(factors[0], at, arithmetic)
            for factor in factors[1:]:
                value = value * evaluate(factor, at, arithmetic)
            return value
        case Power(base, exponent):
            return arithmetic.power(
                evaluate(base, at, arithmetic), evaluate(exponent, at, arithmetic), rational(exponent)
            )
        case Apply("base", (value, *_)):
            return evaluate(value, at, arithmetic)
        case Apply(name, arguments) if name in arithmetic.functions:
            return arithmetic.functions[name](*(evaluate(argument, at, arithmetic) for argument in arguments))
        case _:
            raise UndefinedError(type(tree).__name__)


def rational(tree: Tree) -> Fraction | None:
    """The exact value of an exponent such as 2, -1 or 1/3; None where it is not that simple."""
    match tree:
        case Number(value):
            return value
        case Product((first, second)):
            one, other = rational(first), rational(second)
            return None if one is None or other is None else one * other
        case Power(base, Number(value)) if value == -1:
            bottom = rational(base)
            return 1 / bottom if bottom else None
        case _:
            return None


def points(*trees: Tree) -> Iterator[dict[str, float]]:
    """Where to evaluate: one empty point if there are no variables, otherwise one of every kind of _STARTS."""
    names = sorted(frozenset().union(*map(symbols, trees)))
    if not names:
        yield {}
        return
    for start, step in _STARTS:
        yield {name: start + step * place for place, name in enumerate(names)}


def refuted(one: Tree, other: Tree) -> bool:
    """Whether the two differ at some point where both have a value. False proves nothing."""
    is_complex = any(node == Symbol("i") for tree in (one, other) for node in walk(tree))
    arithmetic = Floats()
    for at in points(one, other):
        try:
            a, b = evaluate(one, at, arithmetic), evaluate(other, at, arithmetic)
            size = max(_scale(one, at, arithmetic), _scale(other, at, arithmetic))
        except (ArithmeticError, ValueError, TypeError):
            continue
        if not is_complex and at and not (is_real(a) and is_real(b)):
            continue
        if not (cmath.isfinite(a) and cmath.isfinite(b)):
            continue
        if abs(a - b) > REFUTES * max(size, abs(a), abs(b)):
            return True
    return False


def is_real(value: Any) -> bool:
    return not isinstance(value, complex) or abs(value.imag) <= 1e-12 * abs(value)


def real(tree: Tree) -> float | None:
    """The value of a constant as a float, infinities too; None where it has none."""
    match tree:
        case Symbol("oo"):
            return math.inf
        case Product((Number(value), Symbol("oo"))) if value < 0:
            return -math.inf
    try:
        value = evaluate(tree, {}, Floats())
    except (ArithmeticError, ValueError, TypeError):
        return None
    return (value.real if isinstance(value, complex) else float(value)) if is_real(value) else None


def _scale(tree: Tree, at: Mapping[str, Any], arithmetic: Arithmetic) -> float:
    """The largest term of the sums at the top of a tree: what cancels below this times 1e-16 is noise."""
    match tree:
        case Sum(terms):
            return max(abs(evaluate(term, at, arithmetic)) for term in terms)
        case _:
            return 0.0


def _unit(name: str, arithmetic: Arithmetic) -> Any:
    if name == "degree":
        return arithmetic.constants["pi"] / 180
    measure = MEASURES[name]
    if measure.dimensions:
        raise UndefinedError(f"a {name} is no number")
    return arithmetic.number(measure.factor)


def _factorial(value: Any) -> float:
    if isinstance(value, complex) or value < 0 or value > 170:
        raise UndefinedError("factorial")
    return math.gamma(value + 1)


def _binomial(top: Any, bottom: Any) -> float:
    return _factorial(top) / (_factorial(bottom) * _factorial(top - bottom))


def _logarithm(value: Any, base: Any = math.e) -> Any:
    if value == 0:
        raise UndefinedError("log 0")
    return (
        cmath.log(value) / cmath.log(base)
        if isinstance(value, complex) or value < 0
        else math.log(value) / math.log(base)
    )


def _either(
    real_function: Callable[[float], float], complex_function: Callable[[Any], complex]
) -> Callable[[Any], Any]:
    """The real function where it is defined, the complex one elsewhere."""

    def apply(value: Any) -> Any:
        if not isinstance(value, complex):
            try:
                return real_function(value)
            except ValueError:
                pass
        return complex_function(value)

    return apply


def _inverse(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: 1 / function(value)


def _of_inverse(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: function(1 / value)


_SIN, _COS, _TAN = _either(math.sin, cmath.sin), _either(math.cos, cmath.cos), _either(math.tan, cmath.tan)
_SINH, _COSH, _TANH = (
    _either(math.sinh, cmath.sinh),
    _either(math.cosh, cmath.cosh),
    _either(math.tanh, cmath.tanh),
)
_ASIN, _ACOS, _ATAN = (
    _either(math.asin, cmath.asin),
    _either(math.acos, cmath.acos),
    _either(math.atan, cmath.atan),
)
_FLOAT_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "sin": _SIN, "cos": _COS, "tan": _TAN, "cot": _inverse(_TAN), "sec": _inverse(_COS), "csc": _inverse(_SIN),
    "sinh": _SINH, "cosh": _COSH, "tanh": _TANH, "coth": _inverse(_TANH), "sech": _inverse(_COSH), "csch": _inverse(_SINH),
    "arcsin": _ASIN, "arccos": _ACOS, "arctan": _ATAN, "arccot": _of_inverse(_ATAN), "arcsec": _of_inverse(_ACOS),
    "arccsc": _of_inverse(_ASIN), "arcsinh": _either(math.asinh, cmath.asinh),
    "arccosh": _either(math.acosh, cmath.acosh), "arctanh": _either(math.atanh, cmath.atanh),
    "ln": _logarithm, "log": _logarithm, "abs": abs, "factorial": _factorial, "binom": _binomial,
    "floor": math.floor, "ceil": math.ceil, "max": max, "min": min, "sgn": lambda value: (value > 0) - (value < 0),
}  # fmt: skip
