"""Functions of normal forms: exact where a value is known, an opaque atom elsewhere.

sin(pi/6) = 1/2, log_2 8 = 3, 10! and |-3| have values; sin(x) is the atom `sin(1*x^1)`. Odd and even
functions take the sign out of their argument, tan is sin / cos, log_b x is ln x / ln b.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeAlias

from proctor.verifiers.maths.forms import Form, add, atom, constant, inverse, power, times
from proctor.verifiers.maths.polynomials import ONE, UNITY, NoValueError, prime_powers

Function: TypeAlias = Callable[[Sequence[Form]], Form]

MAX_FACTORIAL = 1_000
MAX_CHOICES = 2_000  # n of a binomial coefficient
_MAX_SYMBOLIC_CHOICES = 10  # k of a binomial coefficient that is multiplied out
# sin(q pi) is the root of the first, divided by the second
_SINES = {
    Fraction(0): (0, 1),
    Fraction(1, 6): (1, 2),
    Fraction(1, 4): (2, 2),
    Fraction(1, 3): (3, 2),
    Fraction(1, 2): (1, 1),
}


def apply(name: str, arguments: Sequence[Form]) -> Form:
    """The function of that name, applied. Raises NoValueError where it has no value."""
    function = _FUNCTIONS.get(name)
    return opaque(name, arguments) if function is None else function(arguments)


def opaque(name: str, arguments: Sequence[Form]) -> Form:
    return atom(f"{name}({', '.join(map(str, arguments))})")


def _on_rationals(name: str, compute: Callable[[list[Fraction]], Fraction | int | None]) -> Function:
    """A function that is exact on rational numbers where `compute` gives a value, and opaque elsewhere."""

    def function(arguments: Sequence[Form]) -> Form:
        values = [value for argument in arguments if (value := argument.rational) is not None]
        result = compute(values) if len(values) == len(arguments) else None
        return opaque(name, arguments) if result is None else constant(result)

    return function


def _whole(compute: Callable[..., int]) -> Callable[[list[Fraction]], int | None]:
    """A function of integers; None for other rationals."""

    def on_rationals(values: list[Fraction]) -> int | None:
        is_whole = all(value.denominator == 1 for value in values)
        return compute(*map(int, values)) if is_whole else None

    return on_rationals


def _factorial(n: int) -> int | None:
    if n < 0:
        raise NoValueError("a factorial of a negative number")
    return math.factorial(n) if n <= MAX_FACTORIAL else None


def _binomial(arguments: Sequence[Form]) -> Form:
    """n over k; with a symbolic n as n (n-1) ... (n-k+1) / k!."""
    top, bottom = arguments
    n, k = top.rational, bottom.rational
    if k is None or k.denominator != 1 or not 0 <= k <= MAX_CHOICES:
        return opaque("binom", arguments)
    if n is not None and n.denominator == 1 and 0 <= n <= MAX_CHOICES:
        return constant(math.comb(int(n), int(k)))
    if n is not None or k > _MAX_SYMBOLIC_CHOICES:
        return opaque("binom", arguments)
    result = constant(1)
    for i in range(int(k)):
        result = times(result, times(add(top, constant(-i)), constant(Fraction(1, i + 1))))
    return result


def _ratio(arguments: Sequence[Form]) -> Form:
    return times(arguments[0], inverse(arguments[1])) if len(arguments) == 2 else opaque("ratio", arguments)


def _absolute(arguments: Sequence[Form]) -> Form:
    (argument,) = arguments
    if len(argument.numerator) > 1 or argument.denominator is not UNITY:
        return opaque("abs", [_unsigned(argument)[1]])
    result = constant(1)
    for monomial, coefficient in argument.numerator.items():
        result = constant(abs(coefficient))
        for name, exponent in monomial:
            is_positive = name in ("pi", "e") or name[0] == "#" or exponent % 2 == 0
            result = times(result, atom(name if is_positive else f"abs({name})", exponent))
    return result if argument.numerator else constant(0)


def _unsigned(form: Form) -> tuple[int, Form]:
    """Sign of the first coefficient, and the form times that sign: f(-x) and f(x) share their argument."""
    first = min(form.numerator, default=ONE)
    return (1, form) if form.numerator.get(first, 0) >= 0 else (-1, times(form, constant(-1)))


def _turns(form: Form) -> Fraction | None:
    """The rational q of an argument q * pi."""
    if not form.numerator:
        return Fraction(0)
    if form.denominator is UNITY and len(form.numerator) == 1:
        return form.numerator.get((("pi", Fraction(1)),))
    return None


def _sine_of_turns(turns: Fraction) -> Form | None:
    """sin(q pi) for multiples of pi/6 and pi/4."""
    sign = -1 if turns % 2 >= 1 else 1
    place = min(turns % 1, 1 - turns % 1)
    if place not in _SINES:
        return None
    radicand, divisor = _SINES[place]
    return times(power(constant(radicand), constant(Fraction(1, 2))), constant(Fraction(sign, divisor)))


def _sine(arguments: Sequence[Form]) -> Form:
    turns = _turns(arguments[0])
    exact = None if turns is None else _sine_of_turns(turns)
    if exact is not None:
        return exact
    sign, argument = _unsigned(arguments[0])
    return times(constant(sign), opaque("sin", [argument]))


def _cosine(arguments: Sequence[Form]) -> Form:
    turns = _turns(arguments[0])
    exact = None if turns is None else _sine_of_turns(turns + Fraction(1, 2))
    return opaque("cos", [_unsigned(arguments[0])[1]]) if exact is None else exact


def _tangent(arguments: Sequence[Form]) -> Form:
    return times(_sine(arguments), inverse(_cosine(arguments)))


def _inverse_of(function: Function) -> Function:
    return lambda arguments: inverse(function(arguments))


def _logarithm(arguments: Sequence[Form]) -> Form:
    if len(arguments) == 2:
        return times(_logarithm(arguments[:1]), inverse(_logarithm(arguments[1:])))
    (argument,) = arguments
    if argument.denominator is not UNITY or len(argument.numerator) != 1:
        return opaque("ln", arguments)
    ((monomial, coefficient),) = argument.numerator.items()
    if coefficient < 0 or not all(name == "e" or name[0] == "#" for name, _ in monomial):
        return opaque("ln", arguments)
    primes = [(f"#{prime}", Fraction(count)) for prime, count in prime_powers(coefficient)]
    total = constant(0)
    for name, exponent in [*primes, *monomial]:
        part = constant(1) if name == "e" else atom(f"ln({name[1:]})")
        total = add(total, times(constant(exponent), part))
    return total


_FUNCTIONS: dict[str, Function] = {
    "factorial": _on_rationals("factorial", _whole(_factorial)),  # type: ignore[arg-type]
    "binom": _binomial,
    "abs": _absolute,
    "ratio": _ratio,
    "floor": _on_rationals("floor", lambda values: math.floor(values[0])),
    "ceil": _on_rationals("ceil", lambda values: math.ceil(values[0])),
    "max": _on_rationals("max", max),
    "min": _on_rationals("min", min),
    "gcd": _on_rationals("gcd", _whole(math.gcd)),
    "lcm": _on_rationals("lcm", _whole(math.lcm)),
    "sin": _sine,
    "cos": _cosine,
    "tan": _tangent,
    "cot": _inverse_of(_tangent),
    "sec": _inverse_of(_cosine),
    "csc": _inverse_of(_sine),
    "ln": _logarithm,
    "log": _logarithm,
}
