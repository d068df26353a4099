"""Normal forms of trees: equal forms are equal values, and different forms without opaque parts are different.

So 1/2 = 0.5, sqrt(8) = 2 sqrt(2), (x+1)^2 = x^2 + 2x + 1, 3^(n-1) = 3^n / 3, 10 cm = 0.1 m, sin 30° = 1/2 and
log_2 8 = 3 are settled by exact arithmetic, in the trainer's own process.

Roots are taken as in school: variables are positive under an even root unless they came squared
(sqrt(x^2) = |x|), and odd roots of negative numbers are real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

from proctor.verifiers.maths import functions
from proctor.verifiers.maths.forms import Form, add, atom, constant, power, times
from proctor.verifiers.maths.polynomials import NoValueError, TooLargeError
from proctor.verifiers.maths.trees import Apply, Number, Power, Product, Sum, Symbol, Tree, Unit
from proctor.verifiers.maths.units import MEASURES

_KEPT = 512  # every item of a list is compared with every other


@lru_cache(maxsize=_KEPT)
def form(tree: Tree) -> Form | None:
    """The normal form; None where the tree is no value, or too large for exact arithmetic."""
    try:
        return normal(tree)
    except (NoValueError, TooLargeError):
        return None


def normal(tree: Tree) -> Form:
    """The normal form. Raises NoValueError where there is no value, TooLargeError where a bound is passed."""
    match tree:
        case Number(value):
            return constant(value)
        case Symbol("oo" | "emptyset"):
            raise NoValueError("infinity takes part in no arithmetic")
        case Symbol(name):
            return atom(name)
        case Unit(name):
            return _unit(name)
        case Sum(terms):
            return _fold(add, terms)
        case Product(factors):
            return _fold(times, factors)
        case Power(base, exponent):
            return power(normal(base), normal(exponent))
        case Apply("base", (value, *_)):
            return normal(value)
        case Apply(name, arguments):
            return functions.apply(name, [normal(argument) for argument in arguments])
        case _:
            raise NoValueError(f"{type(tree).__name__} is no value")


def _fold(operation: Callable[[Form, Form], Form], parts: Sequence[Tree]) -> Form:
    result = normal(parts[0])
    for part in parts[1:]:
        result = operation(result, normal(part))
    return result


def _unit(name: str) -> Form:
    if name == "degree":
        return Form({(("pi", Fraction(1)),): Fraction(1, 180)})
    measure = MEASURES[name]
    monomial = tuple((f"unit {base}", Fraction(exponent)) for base, exponent in measure.dimensions)
    return Form({monomial: measure.factor})
