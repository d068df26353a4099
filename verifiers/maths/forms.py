"""Quotients of polynomials, with the four operations and powers."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from proctor.verifiers.maths.polynomials import (
    ONE,
    UNITY,
    NoValueError,
    Polynomial,
    TooLargeError,
    inverted,
    is_opaque,
    multiply,
    plus,
    prime_powers,
    proportion,
    raised,
    show,
    show_monomial,
)


@dataclass(frozen=True, slots=True)
class Form:
    """numerator / denominator; the denominator is UNITY unless it has several terms."""

    numerator: Polynomial
    denominator: Polynomial = field(default_factory=lambda: UNITY)

    @property
    def rational(self) -> Fraction | None:
        """The value where it is a rational number."""
        if self.denominator is not UNITY or len(self.numerator) > 1:
            return None
        return self.numerator.get(ONE) if self.numerator else Fraction(0)

    def is_linear_in(self, name: str) -> bool:
        """Whether the numerator is a * name + b with a and b free of the name."""
        exponents = {power for monomial in self.numerator for part, power in monomial if part == name}
        inside = any(name in part for monomial in self.numerator for part, _ in monomial if part != name)
        return exponents == {1} and not inside

    def __str__(self) -> str:
        top = show(self.numerator)
        return top if self.denominator is UNITY else f"{top} / {show(self.denominator)}"


def same_value(one: Form, other: Form) -> bool | None:
    """Whether two forms are the same value; None where an opaque part leaves it open."""
    if one.denominator is UNITY and other.denominator is UNITY:
        equal = one.numerator == other.numerator
    else:
        equal = multiply(one.numerator, other.denominator) == multiply(other.numerator, one.denominator)
    parts = (one.numerator, one.denominator, other.numerator, other.denominator)
    return True if equal else None if any(map(is_opaque, parts)) else False


def constant(value: Fraction | int) -> Form:
    return Form({ONE: Fraction(value)} if value else {})


def atom(name: str, exponent: Fraction | int = 1) -> Form:
    return Form({((name, Fraction(exponent)),): Fraction(1)})


def add(one: Form, other: Form) -> Form:
    if one.denominator == other.denominator:
        return _reduced(plus(one.numerator, other.numerator), one.denominator)
    top = plus(multiply(one.numerator, other.denominator), multiply(other.numerator, one.denominator))
    return _reduced(top, multiply(one.denominator, other.denominator))


def times(one: Form, other: Form) -> Form:
    return _reduced(multiply(one.numerator, other.numerator), multiply(one.denominator, other.denominator))


def inverse(form: Form) -> Form:
    if not form.numerator:
        raise NoValueError("division by zero")
    return _reduced(form.denominator, form.numerator)


def _reduced(top: Polynomial, bottom: Polynomial) -> Form:
    """The quotient, with a denominator of one term or one that cancels divided out."""
    if bottom == UNITY:
        return Form(top)
    if len(bottom) == 1:
        return Form(multiply(top, inverted(bottom)))
    ratio = proportion(top, bottom)
    return Form(top, bottom) if ratio is None else constant(ratio)


def power(base: Form, exponent: Form) -> Form:
    by = exponent.rational
    if by is None:
        return _symbolic_power(base, exponent)
    if by == 0:
        return constant(1)
    if by < 0:
        return inverse(power(base, constant(-by)))
    top = Form(raised(base.numerator, by))
    return top if base.denominator is UNITY else times(top, inverse(Form(raised(base.denominator, by))))


def _symbolic_power(base: Form, exponent: Form) -> Form:
    """a^(n + 1) = a * a^n, with every a^n an atom: bases are split into primes, exponents into terms."""
    if exponent.denominator is not UNITY or base.denominator is not UNITY:
        raise TooLargeError("a quotient of sums in a power")
    result = constant(1)
    for monomial, coefficient in exponent.numerator.items():
        if monomial == ONE:
            result = times(result, power(base, constant(coefficient)))
            continue
        for name, count in _bases(base.numerator):
            result = times(result, atom(f"{name}^[{show_monomial(monomial)}]", coefficient * count))
    return result


def _bases(polynomial: Polynomial) -> list[tuple[str, Fraction]]:
    """What a power is taken of, factor by factor, with the exponents that the factors have."""
    if len(polynomial) != 1:
        return [(f"[{show(polynomial)}]", Fraction(1))]
    ((monomial, coefficient),) = polynomial.items()
    parts = [(str(prime), Fraction(count)) for prime, count in prime_powers(abs(coefficient))]
    sign = [("-1", Fraction(1))] if coefficient < 0 else []
    return [*sign, *parts, *((name.removeprefix("#"), count) for name, count in monomial)]
