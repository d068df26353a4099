"""Polynomials over named atoms, in exact and bounded arithmetic.

Atoms are indeterminates, by name: variables, pi, e, i, base dimensions of units (`unit kg`), primes under a
root (`#2`), sums under a power (`[1+x]`), and whatever is not taken apart (`sin(x)`), which is called opaque.
Coefficients and exponents are fractions. Products of primes to exponents in [0, 1) are linearly independent
over the rationals (Besicovitch 1940), so that equal polynomials have equal coefficients and, where no
atom is opaque, different ones have different values.

Every step is bounded: digits, number of terms, factors of integers. Past a bound TooLargeError is raised.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TypeAlias

Monomial: TypeAlias = tuple[tuple[str, Fraction], ...]  # names and exponents, sorted by name
Polynomial: TypeAlias = dict[Monomial, Fraction]  # never changed once it is made

MAX_TERMS = 400
MAX_PAIRS = 1_600  # of terms that are multiplied in one product
MAX_BITS = 14_000  # of a coefficient: 4,200 digits, just below what Python writes out
MAX_EXPANSION = 24  # (a + b)^n is multiplied out up to this n
_MOST_OPAQUE_BITS = 1_000  # of a number whose power is too large and stays as it is written
_FACTOR_LIMIT = 20_000  # trial division finds prime factors below this
ONE: Monomial = ()
UNITY: Polynomial = {ONE: Fraction(1)}


class TooLargeError(ValueError):
    """The value would outgrow the bounds of exact arithmetic."""


class NoValueError(ValueError):
    """No number: a division by zero, a root that is neither real nor imaginary, a tuple, a text."""


class Radicand(str):
    """The atom of a sum under a power, written out in brackets; it keeps the sum to multiply it out again."""

    polynomial: Polynomial

    def __new__(cls, polynomial: Polynomial) -> Radicand:
        made = super().__new__(cls, f"[{show(polynomial)}]")
        made.polynomial = polynomial
        return made


def is_opaque(polynomial: Polynomial) -> bool:
    """Whether an atom was not taken apart, so that a different polynomial may have the same value."""
    return any("(" in name or "[" in name for monomial in polynomial for name, _ in monomial)


def show(polynomial: Polynomial) -> str:
    """The polynomial as text, the same for equal polynomials."""
    return "+".join(f"{value}*{show_monomial(monomial)}" for monomial, value in sorted(polynomial.items()))


def show_monomial(monomial: Monomial) -> str:
    return "*".join(f"{name}^{exponent}" for name, exponent in monomial)


def plus(one: Polynomial, other: Polynomial) -> Polynomial:
    total = dict(one)
    _accumulate(total, other)
    return total


def _accumulate(total: Polynomial, other: Polynomial) -> None:
    for monomial, coefficient in other.items():
        value = total.get(monomial, 0) + coefficient
        if value:
            total[monomial] = value
        else:
            total.pop(monomial, None)
    if len(total) > MAX_TERMS:
        raise TooLargeError(f"more than {MAX_TERMS} terms")


def multiply(one: Polynomial, other: Polynomial) -> Polynomial:
    if one is UNITY:
        return other
    if other is UNITY:
        return one
    if len(one) * len(other) > MAX_PAIRS:
        raise TooLargeError(f"a product of {len(one)} and {len(other)} terms")
    total: Polynomial = {}
    for first, a in one.items():
        for second, b in other.items():
            _accumulate(total, _term([*first, *second], a * b))
    return total


def repeated(polynomial: Polynomial, times: int) -> Polynomial:
    """The polynomial to a natural power."""
    result = UNITY
    for _ in range(times):
        result = multiply(result, polynomial)
    return result


def proportion(top: Polynomial, bottom: Polynomial) -> Fraction | None:
    """The number c with top = c * bottom, if there is one."""
    if not top:
        return Fraction(0)
    if top.keys() != bottom.keys():
        return None
    ratios = {top[monomial] / bottom[monomial] for monomial in top}
    return ratios.pop() if len(ratios) == 1 else None


def inverted(polynomial: Polynomial) -> Polynomial:
    """1 / polynomial, for a polynomial of one term."""
    ((monomial, coefficient),) = polynomial.items()
    return _term([(name, -exponent) for name, exponent in monomial], 1 / coefficient)


def _term(factors: list[tuple[str, Fraction]], coefficient: Fraction) -> Polynomial:
    """coefficient * product of atoms, with roots that become whole, sums and powers of i multiplied out."""
    if max(coefficient.numerator.bit_length(), coefficient.denominator.bit_length()) > MAX_BITS:
        raise TooLargeError(f"a coefficient of more than {MAX_BITS} bits")
    exponents: dict[str, Fraction] = {}
    for name, exponent in factors:
        exponents[name] = exponents.get(name, Fraction(0)) + exponent
    kept: list[tuple[str, Fraction]] = []
    sums = UNITY
    for name, exponent in sorted(exponents.items()):
        if isinstance(name, Radicand) and exponent.denominator == 1 and 0 < exponent <= MAX_EXPANSION:
            sums = multiply(sums, repeated(name.polynomial, int(exponent)))
            continue
        factor, exponent = _whole_part(name, exponent)
        coefficient *= factor
        if exponent:
            kept.append((name, exponent))
    return multiply(sums, {tuple(kept): coefficient})


def _whole_part(name: str, exponent: Fraction) -> tuple[Fraction, Fraction]:
    """What of a power is a number, and the exponent that remains: 2^(3/2) is 2 and 1/2, i^3 is -1 and 1."""
    if name[0] == "#":
        whole = math.floor(exponent)
        return Fraction(int(name[1:])) ** whole, exponent - whole
    if name == "i" and exponent.denominator == 1:
        turns = int(exponent) % 4
        return Fraction(-1 if turns >= 2 else 1), Fraction(turns % 2)
    return Fraction(1), exponent


def raised(polynomial: Polynomial, by: Fraction) -> Polynomial:
    """The polynomial to a positive rational power."""
    if not polynomial:
        return {}
    if len(polynomial) == 1:
        ((monomial, coefficient),) = polynomial.items()
        return multiply(_number_raised(coefficient, by), _monomial_raised(monomial, by))
    if by.denominator == 1 and by <= MAX_EXPANSION:
        return repeated(polynomial, int(by))
    content, primitive = _primitive(polynomial)
    return multiply(_number_raised(content, by), {((Radicand(primitive), by),): Fraction(1)})


def _monomial_raised(monomial: Monomial, by: Fraction) -> Polynomial:
    factors = []
    for name, exponent in monomial:
        power = exponent * by
        is_square = by.denominator % 2 == 0 and exponent % 2 == 0 and power % 2 != 0
        factors.append((f"abs({name})" if is_square and _may_be_negative(name) else name, power))
    return _term(factors, Fraction(1))


def _may_be_negative(name: str) -> bool:
    return name not in ("pi", "e") and name[0] != "#" and not name.startswith(("abs(", "unit "))


def _number_raised(value: Fraction, by: Fraction) -> Polynomial:
    """value ** by. Odd roots of negative numbers are real, square roots imaginary."""
    sign = UNITY
    if value < 0:
        if by.denominator > 2 and by.denominator % 2 == 0:
            raise NoValueError("an even root of a negative number")
        if by.denominator == 2:
            sign = _term([("i", Fraction(by.numerator))], Fraction(1))
        elif by.numerator % 2:
            sign = {ONE: Fraction(-1)}
        value = -value
    bits = max(value.numerator.bit_length(), value.denominator.bit_length())
    if bits * abs(by.numerator) > MAX_BITS:
        if bits > _MOST_OPAQUE_BITS:
            raise TooLargeError(f"a power of a number of {bits} bits")
        return multiply(sign, {((f"({value})", by),): Fraction(1)})
    if by.denominator == 1:
        return multiply(sign, {ONE: value ** int(by)})
    return multiply(
        sign, _term([(f"#{prime}", count * by) for prime, count in prime_powers(value)], Fraction(1))
    )


def prime_powers(value: Fraction) -> list[tuple[int, int]]:
    """Primes and their exponents, negative ones for the denominator, of a positive rational."""
    return _factors(value.numerator) + [(prime, -count) for prime, count in _factors(value.denominator)]


def _factors(number: int) -> list[tuple[int, int]]:
    found = []
    divisor = 2
    while divisor * divisor <= number and divisor < _FACTOR_LIMIT:
        count = 0
        while number % divisor == 0:
            number //= divisor
            count += 1
        if count:
            found.append((divisor, count))
        divisor += 1 if divisor == 2 else 2
    root = math.isqrt(number)
    if number > 1 and root * root == number:
        return found + [(prime, 2 * count) for prime, count in _factors(root)]
    if divisor * divisor <= number:
        raise TooLargeError("a factor that is not known to be prime")
    return [*found, (number, 1)] if number > 1 else found


def _primitive(polynomial: Polynomial) -> tuple[Fraction, Polynomial]:
    """The positive rational content of a sum, and the sum divided by it."""
    numerators = math.gcd(*(abs(value.numerator) for value in polynomial.values()))
    denominators = math.lcm(*(value.denominator for value in polynomial.values()))
    content = Fraction(numerators, denominators)
    return content, {monomial: value / content for monomial, value in polynomial.items()}
