"""The value of a tree at a point, in any arithmetic that has the operations below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Protocol

from proctor.verifiers.maths.trees import Apply, Number, Power, Product, Sum, Symbol, Tree, Unit
from proctor.verifiers.maths.units import MEASURES


class UndefinedError(ArithmeticError):
    """No value here: a pole, a root outside of the reals, a function that is not known."""


class Arithmetic(Protocol):
    """The operations that `evaluate` needs, on numbers of its own type."""

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]: ...

    @property
    def constants(self) -> Mapping[str, Any]: ...

    def number(self, value: Fraction) -> Any: ...

    def power(self, base: Any, exponent: Any, exact: Fraction | None) -> Any:
        """base ** exponent; `exact` is the exponent where it is a plain rational, for odd roots of negatives."""


def evaluate(tree: Tree, at: Mapping[str, Any], arithmetic: Arithmetic) -> Any:
    """The value of a tree at a point. Raises UndefinedError, or an ArithmeticError of the arithmetic."""
    match tree:
        case Number(value):
            return arithmetic.number(value)
        case Symbol(name):
            return _symbol(name, at, arithmetic)
        case Unit(name):
            return _unit(name, arithmetic)
        case Sum((first, *terms)):
            value = evaluate(first, at, arithmetic)
            for term in terms:
                value = value + evaluate(term, at, arithmetic)
            return value
        case Product((first, *factors)):
            value = evaluate(first, at, arithmetic)
            for factor in factors:
                value = value * evaluate(factor, at, arithmetic)
            return value
        case Power(base, exponent):
            values = evaluate(base, at, arithmetic), evaluate(exponent, at, arithmetic)
            return arithmetic.power(*values, _rational(exponent))
        case Apply("base", (value, *_)):
            return evaluate(value, at, arithmetic)
        case Apply(name, arguments) if name in arithmetic.functions:
            return arithmetic.functions[name](*(evaluate(part, at, arithmetic) for part in arguments))
        case _:
            raise UndefinedError(type(tree).__name__)


def _symbol(name: str, at: Mapping[str, Any], arithmetic: Arithmetic) -> Any:
    if name in at:
        return at[name]
    if name in arithmetic.constants:
        return arithmetic.constants[name]
    raise UndefinedError(name)


def _unit(name: str, arithmetic: Arithmetic) -> Any:
    if name == "degree":
        return arithmetic.constants["pi"] / 180
    measure = MEASURES[name]
    if measure.dimensions:
        raise UndefinedError(f"a {name} is no number")
    return arithmetic.number(measure.factor)


def _rational(tree: Tree) -> Fraction | None:
    """The exact value of an exponent such as 2, -1 or 1/3; None where it is not that simple."""
    match tree:
        case Number(value):
            return value
        case Product((first, second)):
            one, other = _rational(first), _rational(second)
            return None if one is None or other is None else one * other
        case Power(base, Number(value)) if value == -1:
            bottom = _rational(base)
            return 1 / bottom if bottom else None
        case _:
            return None
