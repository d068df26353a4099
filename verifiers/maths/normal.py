"""Normal forms of trees: equal forms are equal values, and different forms without opaque parts are different.

So 1/2 = 0.5, sqrt(8) = 2 sqrt(2), (x+1)^2 = x^2 + 2x + 1, 3^(n-1) = 3^n / 3, 10 cm = 0.1 m, sin 30° = 1/2 and
log_2 8 = 3 are settled by exact arithmetic, in the trainer's own process.

Roots are taken as in school: variables are positive under an even root unless they came squared
(sqrt(x^2) = |x|), and odd roots of negative numbers are real.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeAlias

from proctor.verifiers.maths.polynomials import (
    ONE,
    UNITY,
    Form,
    NoFormError,
    add,
    atom,
    constant,
    inverse,
    power,
    prime_powers,
    show_form,
    times,
)
from proctor.verifiers.maths.trees import Apply, Number, Power, Product, Sum, Symbol, Tree, Unit
from proctor.verifiers.maths.units import MEASURES

MAX_FACTORIAL = 1_000
MAX_CHOICES = 2_000  # n of a binomial coefficient
Function: TypeAlias = Callable[[Sequence[Form]], "Form | None"]


def normal(tree: Tree) -> Form:
    """The normal form of a value. Raises NoFormError where it is none, TooLargeError where a bound is passed."""
    match tree:
        case Number(value):
            return constant(value)
        case Symbol("oo" | "emptyset"):
            raise NoFormError("infinity takes part in no arithmetic")
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
            return _applied(name, [normal(argument) for argument in arguments])
        case _:
            raise NoFormError(f"{type(tree).__name__} is no value")


def _fold(operation: Callable[[Form, Form], Form], parts: Sequence[Tree]) -> Form:
    result = normal(parts[0])
    for part in parts[1:]:
        result = operation(result, normal(part))
    return result


def _unit(name: str) -> Form:
    if name == "degree":
        return Form({(("pi", Fraction(1)),): Fraction(1, 180)}, UNITY)
    measure = MEASURES[name]
    monomial = tuple((f"unit {base}", Fraction(exponent)) for base, exponent in measure.dimensions)
    return Form({monomial: measure.factor}, UNITY)


def _applied(name: str, arguments: list[Form]) -> Form:
    exact = _FUNCTIONS.get(name, _unknown)(arguments)
    if exact is not None:
        return exact
    return atom(f"{name}({', '.join(map(show_form, arguments))})")


def _unknown(arguments: Sequence[Form]) -> Form | None:
    return None


def _rationals(arguments: Sequence[Form]) -> list[Fraction] | None:
    values = [argument.rational for argument in arguments]
    return None if None in values else [value for value in values if value is not None]


def _on_rationals(compute: Callable[[list[Fraction]], Fraction | None]) -> Function:
    """A function that is exact on rational numbers where `compute` gives a value, and opaque elsewhere."""

    def apply(arguments: Sequence[Form]) -> Form | None:
        values = _rationals(arguments)
        result = None if values is None else compute(values)
        return None if result is None else constant(result)

    return apply


def _factorial(values: list[Fraction]) -> Fraction | None:
    (n,) = values
    if n.denominator != 1 or n < 0:
        raise NoFormError("a factorial of what is no natural number")
    return Fraction(math.factorial(int(n))) if n <= MAX_FACTORIAL else None


def _binomial(arguments: Sequence[Form]) -> Form | None:
    if len(arguments) != 2:
        return None
    top, bottom = arguments
    n, k = top.rational, bottom.rational
    if k is None or k.denominator != 1 or not 0 <= k <= MAX_CHOICES:
        return None
    if n is not None:
        return constant(math.comb(int(n), int(k))) if n.denominator == 1 and 0 <= n <= MAX_CHOICES else None
    if k > 10:
        return None
    result = constant(1)  # n (n-1) ... (n-k+1) / k!
    for i in range(int(k)):
        result = times(result, times(add(top, constant(-i)), constant(Fraction(1, i + 1))))
    return result


def _whole(compute: Callable[..., int]) -> Function:
    def apply(values: list[Fraction]) -> Fraction | None:
        if any(value.denominator != 1 for value in values):
            return None
        return Fraction(compute(*map(int, values)))

    return _on_rationals(apply)


def _absolute(arguments: Sequence[Form]) -> Form | None:
    (argument,) = arguments
    value = argument.rational
    if value is not None:
        return constant(abs(value))
    if len(argument.numerator) == 1 and argument.denominator is UNITY:
        ((monomial, coefficient),) = argument.numerator.items()
        if all(name == "pi" or name == "e" or name[0] == "#" for name, _ in monomial):
            return Form({monomial: abs(coefficient)}, UNITY)
        return times(
            constant(abs(coefficient)), atom(f"abs({show_form(Form({monomial: Fraction(1)}, UNITY))})")
        )
    return atom(f"abs({show_form(_unsigned(argument)[1])})")


def _unsigned(form: Form) -> tuple[int, Form]:
    """Sign of the first coefficient, and the form times that sign: f(-x) and f(x) share their argument."""
    first = min(form.numerator, default=ONE)
    if form.numerator.get(first, 0) >= 0:
        return 1, form
    return -1, times(form, constant(-1))


def _of_pi(form: Form) -> Fraction | None:
    """The rational q of an argument q * pi."""
    if not form.numerator:
        return Fraction(0)
    if form.denominator is UNITY and len(form.numerator) == 1:
        return form.numerator.get((("pi", Fraction(1)),))
    return None


def _root(radicand: int, divisor: int) -> Form:
    return times(power(constant(radicand), constant(Fraction(1, 2))), constant(Fraction(1, divisor)))


def _sine_of_turns(turns: Fraction) -> Form | None:
    """sin(q pi) for multiples of pi/6 and pi/4."""
    turns %= 2
    if turns >= 1:
        positive = _sine_of_turns(turns - 1)
        return None if positive is None else times(positive, constant(-1))
    turns = min(turns, 1 - turns)
    exact = {
        Fraction(0): (0, 1),
        Fraction(1, 6): (1, 2),
        Fraction(1, 4): (2, 2),
        Fraction(1, 3): (3, 2),
        Fraction(1, 2): (1, 1),
    }
    return _root(*exact[turns]) if turns in exact else None


def _sine(arguments: Sequence[Form]) -> Form | None:
    turns = _of_pi(arguments[0])
    exact = None if turns is None else _sine_of_turns(turns)
    if exact is not None:
        return exact
    sign, argument = _unsigned(arguments[0])
    return times(constant(sign), atom(f"sin({show_form(argument)})"))


def _cosine(arguments: Sequence[Form]) -> Form | None:
    turns = _of_pi(arguments[0])
    exact = None if turns is None else _sine_of_turns(turns + Fraction(1, 2))
    return exact or atom(f"cos({show_form(_unsigned(arguments[0])[1])})")


def _ratio_of(top: Function | None, bottom: Function) -> Function:
    def apply(arguments: Sequence[Form]) -> Form | None:
        above = constant(1) if top is None else top(arguments)
        below = bottom(arguments)
        assert above is not None and below is not None
        return times(above, inverse(below))

    return apply


def _logarithm(arguments: Sequence[Form]) -> Form | None:
    """ln x, or log_b x as ln x / ln b. Logarithms of rationals are sums over primes, so that log_2 8 = 3."""
    if len(arguments) == 2:
        above, below = _logarithm(arguments[:1]), _logarithm(arguments[1:])
        assert above is not None and below is not None
        return times(above, inverse(below))
    (argument,) = arguments
    if argument.denominator is UNITY and len(argument.numerator) == 1:
        ((monomial, coefficient),) = argument.numerator.items()
        if coefficient > 0 and all(name == "e" or name[0] == "#" for name, _ in monomial):
            total = constant(0)
            for prime, count in prime_powers(coefficient):
                total = add(total, times(constant(count), atom(f"ln({prime})")))
            for name, exponent in monomial:
                part = constant(1) if name == "e" else atom(f"ln({name[1:]})")
                total = add(total, times(constant(exponent), part))
            return total
    return atom(f"ln({show_form(argument)})")


_FUNCTIONS: dict[str, Function] = {
    "factorial": _on_rationals(_factorial),
    "binom": _binomial,
    "abs": _absolute,
    "ratio": lambda arguments: times(arguments[0], inverse(arguments[1])) if len(arguments) == 2 else None,
    "floor": _on_rationals(lambda values: Fraction(math.floor(values[0]))),
    "ceil": _on_rationals(lambda values: Fraction(math.ceil(values[0]))),
    "max": _on_rationals(max),
    "min": _on_rationals(min),
    "gcd": _whole(math.gcd),
    "lcm": _whole(math.lcm),
    "sin": _sine,
    "cos": _cosine,
    "tan": _ratio_of(_sine, _cosine),
    "cot": _ratio_of(_cosine, _sine),
    "sec": _ratio_of(None, _cosine),
    "csc": _ratio_of(None, _sine),
    "ln": _logarithm,
    "log": _logarithm,
}
