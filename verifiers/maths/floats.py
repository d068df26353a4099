"""Machine arithmetic for `evaluate`: real where it can be, complex where it has to be, never with integers.

Python's integers would write out 9 ** 9 ** 9; a float overflows, which is an ArithmeticError and no harm.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from proctor.verifiers.maths.evaluation import UndefinedError

_LARGEST_FACTORIAL = 170  # beyond it a float overflows
_LARGEST_WHOLE = 1000  # exponents up to here are multiplied out, which keeps negative bases real


class Floats:
    """An `Arithmetic` of float and complex."""

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        return _FUNCTIONS

    @property
    def constants(self) -> Mapping[str, Any]:
        return _CONSTANTS

    def number(self, value: Fraction) -> float:
        return float(value)

    def power(self, base: Any, exponent: Any, exact: Fraction | None) -> Any:
        if base == 0 and not isinstance(exponent, complex) and exponent < 0:
            raise UndefinedError("division by zero")
        if exact is not None and exact.denominator == 1 and abs(exact) < _LARGEST_WHOLE:
            return base ** int(exact)
        if exact is not None and exact.denominator % 2 and not isinstance(base, complex) and base < 0:
            root = (-base) ** float(exact)
            return -root if exact.numerator % 2 else root
        return base**exponent


def _on_reals(real: Callable[[float], float], otherwise: Callable[[Any], complex]) -> Callable[[Any], Any]:
    """The real function where it is defined, the complex one elsewhere."""

    def function(value: Any) -> Any:
        if not isinstance(value, complex):
            try:
                return real(value)
            except ValueError:
                pass
        return otherwise(value)

    return function


def _factorial(value: Any) -> float:
    if isinstance(value, complex) or not 0 <= value <= _LARGEST_FACTORIAL:
        raise UndefinedError("factorial")
    return math.gamma(value + 1)


def _binomial(top: Any, bottom: Any) -> float:
    return _factorial(top) / (_factorial(bottom) * _factorial(top - bottom))


def _logarithm(value: Any, base: Any = None) -> Any:
    if value == 0:
        raise UndefinedError("log 0")
    if base is not None:
        return _logarithm(value) / _logarithm(base)
    return cmath.log(value) if isinstance(value, complex) or value < 0 else math.log(value)


_NAMES = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh")
_BASIC = {name: _on_reals(getattr(math, name), getattr(cmath, name)) for name in _NAMES}
_CONSTANTS: Mapping[str, Any] = {"pi": math.pi, "e": math.e, "i": 1j}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name.replace("a", "arc", 1) if name.startswith("a") else name: _BASIC[name] for name in _NAMES},
    "cot": lambda value: 1 / _BASIC["tan"](value),
    "sec": lambda value: 1 / _BASIC["cos"](value),
    "csc": lambda value: 1 / _BASIC["sin"](value),
    "coth": lambda value: 1 / _BASIC["tanh"](value),
    "sech": lambda value: 1 / _BASIC["cosh"](value),
    "csch": lambda value: 1 / _BASIC["sinh"](value),
    "arccot": lambda value: _BASIC["atan"](1 / value),
    "arcsec": lambda value: _BASIC["acos"](1 / value),
    "arccsc": lambda value: _BASIC["asin"](1 / value),
    "ln": _logarithm,
    "log": _logarithm,
    "abs": abs,
    "factorial": _factorial,
    "binom": _binomial,
    "floor": lambda value: float(math.floor(value)),
    "ceil": lambda value: float(math.ceil(value)),
    "max": max,
    "min": min,
    "sgn": lambda value: math.copysign(1.0, value) if value else 0.0,
}
