"""Quotients of polynomials over named atoms, in exact and bounded arithmetic.

Atoms are indeterminates: variables, pi, e, i, units' base dimensions (`unit kg`), primes under a root (`#2`),
sums under a power (`[1+x]`) and opaque function values (`sin(...)`). Coefficients are fractions, exponents too.
Every step is bounded: digits, number of terms, expansion of powers. Past a bound a part stays opaque or
TooLargeError is raised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Monomial: TypeAlias = tuple[tuple[str, Fraction], ...]
Polynomial: TypeAlias = dict[Monomial, Fraction]

MAX_TERMS = 400
MAX_BITS = 20_000  # of a coefficient: about 6,000 digits
MAX_EXPANSION = 24  # (a + b)^n is multiplied out up to this n
_FACTOR_LIMIT = 20_000  # trial division finds prime factors below this
ONE: Monomial = ()
UNITY: Polynomial = {ONE: Fraction(1)}
_OPAQUE_MARKS = "(["


class TooLargeError(ValueError):
    """The value would outgrow the bounds of exact arithmetic."""


class NoFormError(ValueError):
    """A tuple, relation or text: not a value that arithmetic applies to; or a division by zero."""


@dataclass(frozen=True, slots=True)
class Form:
    """numerator / denominator; the denominator is 1 unless it has several terms."""

    numerator: Polynomial
    denominator: Polynomial

    @property
    def rational(self) -> Fraction | None:
        """The value where it is a rational number."""
        if self.denominator is not UNITY:
            return None
        if not self.numerator:
            return Fraction(0)
        if len(self.numerator) == 1:
            return self.numerator.get(ONE)
        return None

    @property
    def opaque(self) -> bool:
        """Whether a part was not taken apart, so that different forms may still be equal values."""
        return any(
            mark in atom
            for polynomial in (self.numerator, self.denominator)
            for monomial in polynomial
            for atom, _ in monomial
            for mark in _OPAQUE_MARKS
        )

    def is_linear_in(self, name: str) -> bool:
        """Whether the numerator is a * name + b with a and b free of the name."""
        powers = {power for monomial in self.numerator for part, power in monomial if part == name}
        inside = any(name in part for monomial in self.numerator for part, _ in monomial if part != name)
        return powers == {1} and not inside


def same_value(one: Form, other: Form) -> bool | None:
    """Whether two forms are the same value; None where an opaque part leaves it open."""
    if one.denominator is UNITY and other.denominator is UNITY:
        equal = one.numerator == other.numerator
    else:
        equal = _multiply(one.numerator, other.denominator) == _multiply(other.numerator, one.denominator)
    return True if equal else None if one.opaque or other.opaque else False


def constant(value: Fraction | int) -> Form:
    return Form({ONE: Fraction(value)} if value else {}, UNITY)


def atom(name: str, exponent: Fraction | int = 1) -> Form:
    return Form({((name, Fraction(exponent)),): Fraction(1)}, UNITY)


def add(one: Form, other: Form) -> Form:
    if one.denominator == other.denominator:
        return _reduced(_plus(one.numerator, other.numerator), one.denominator)
    top = _plus(_multiply(one.numerator, other.denominator), _multiply(other.numerator, one.denominator))
    return _reduced(top, _multiply(one.denominator, other.denominator))


def times(one: Form, other: Form) -> Form:
    return _reduced(_multiply(one.numerator, other.numerator), _multiply(one.denominator, other.denominator))


def inverse(form: Form) -> Form:
    if not form.numerator:
        raise NoFormError("division by zero")
    return _reduced(form.denominator, form.numerator)


def _reduced(top: Polynomial, bottom: Polynomial) -> Form:
    """The quotient, with a denominator of one term divided out."""
    if bottom is UNITY or bottom == UNITY:
        return Form(top, UNITY)
    if len(bottom) == 1:
        ((monomial, coefficient),) = bottom.items()
        inverted = _tidied(tuple((atom, -power) for atom, power in monomial), 1 / coefficient)
        return Form(_multiply(top, inverted), UNITY)
    if len(top) > 1 or top == {}:
        ratio = proportion(top, bottom)
        if ratio is not None:
            return constant(ratio)
    return Form(top, bottom)


def proportion(top: Polynomial, bottom: Polynomial) -> Fraction | None:
    """The number c with top = c * bottom, if there is one."""
    if not top:
        return Fraction(0)
    if top.keys() != bottom.keys():
        return None
    ratios = {top[monomial] / bottom[monomial] for monomial in top}
    return ratios.pop() if len(ratios) == 1 else None


def _plus(one: Polynomial, other: Polynomial) -> Polynomial:
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


def _multiply(one: Polynomial, other: Polynomial) -> Polynomial:
    if one is UNITY:
        return other
    if other is UNITY:
        return one
    if len(one) * len(other) > MAX_TERMS * 4:
        raise TooLargeError(f"a product of {len(one)} and {len(other)} terms")
    total: Polynomial = {}
    for first, a in one.items():
        for second, b in other.items():
            _accumulate(total, _joined(first, second, a * b))
    return total


def _joined(one: Monomial, other: Monomial, coefficient: Fraction) -> Polynomial:
    """The product of two monomials. Roots that become whole and powers of i go to the coefficient."""
    _check_size(coefficient)
    if not one or not other:
        return {one or other: coefficient}
    powers = dict(one)
    for atom, power in other:
        powers[atom] = powers.get(atom, 0) + power
    kept: list[tuple[str, Fraction]] = []
    sums: Polynomial = UNITY
    for atom, power in sorted(powers.items()):
        if atom[0] == "#" and power:  # the root of a prime
            whole = math.floor(power)
            coefficient *= Fraction(int(atom[1:])) ** whole
            power -= whole
        elif atom == "i" and power.denominator == 1:
            turns = int(power) % 4
            coefficient, power = (-coefficient if turns >= 2 else coefficient), Fraction(turns % 2)
        elif isinstance(atom, Radicand) and power.denominator == 1 and 0 < power <= MAX_EXPANSION:
            sums = _multiply(sums, _repeated(atom.polynomial, int(power)))
            continue
        if power:
            kept.append((atom, power))
    return _multiply(sums, {tuple(kept): coefficient})


def _tidied(monomial: Monomial, coefficient: Fraction) -> Polynomial:
    """The monomial with every power of a root or of i taken out of it that can be."""
    return _joined(
        monomial, monomial[:0] + tuple((atom, Fraction(0)) for atom, _ in monomial[:1]), coefficient
    )


def _check_size(coefficient: Fraction) -> None:
    if max(coefficient.numerator.bit_length(), coefficient.denominator.bit_length()) > MAX_BITS:
        raise TooLargeError(f"a coefficient of more than {MAX_BITS} bits")


def _repeated(polynomial: Polynomial, times: int) -> Polynomial:
    result = UNITY
    for _ in range(times):
        result = _multiply(result, polynomial)
    return result


def power(base: Form, exponent: Form) -> Form:
    by = exponent.rational
    if by is None:
        return _symbolic_power(base, exponent)
    if by < 0:
        return inverse(power(base, constant(-by)))
    if by == 0:
        return constant(1)
    if base.denominator is not UNITY:
        return times(
            power(Form(base.numerator, UNITY), exponent),
            inverse(power(Form(base.denominator, UNITY), exponent)),
        )
    if not base.numerator:
        return constant(0)
    if len(base.numerator) == 1:
        ((monomial, coefficient),) = base.numerator.items()
        return Form(_monomial_power(monomial, coefficient, by), UNITY)
    if by.denominator == 1 and by <= MAX_EXPANSION:
        return Form(_repeated(base.numerator, int(by)), UNITY)
    content, primitive = _primitive(base.numerator)
    radicand = Radicand(primitive)
    return Form(_multiply(_monomial_power(ONE, content, by), {((radicand, by),): Fraction(1)}), UNITY)


def _monomial_power(monomial: Monomial, coefficient: Fraction, by: Fraction) -> Polynomial:
    result = _rational_power(coefficient, by)
    for atom, power in monomial:
        raised = power * by
        if (
            by.denominator % 2 == 0
            and power.denominator == 1
            and power % 2 == 0
            and raised % 2
            and _is_signed(atom)
        ):
            atom = f"abs({atom})"  # the root of a square
        result = _multiply(result, _joined(((atom, raised),), ((atom, Fraction(0)),), Fraction(1)))
    return result


def _is_signed(atom: str) -> bool:
    return atom != "pi" and atom != "e" and atom[0] != "#" and not atom.startswith("abs(")


def _rational_power(value: Fraction, by: Fraction) -> Polynomial:
    """value ** by with the roots of primes as atoms. Odd roots of negative numbers are real, even ones imaginary."""
    sign: Polynomial = UNITY
    if value < 0:
        if by.denominator == 1:
            sign = {ONE: Fraction(-1 if by % 2 else 1)}
        elif by.denominator % 2:
            sign = {ONE: Fraction(-1 if by.numerator % 2 else 1)}
        elif by.denominator == 2:
            sign = _joined((("i", Fraction(by.numerator)),), (("i", Fraction(0)),), Fraction(1))
        else:
            raise NoFormError("an even root of a negative number")
        value = -value
    size = max(value.numerator.bit_length(), value.denominator.bit_length())
    if size * abs(by.numerator) > MAX_BITS:
        if size * 8 > MAX_BITS:
            raise TooLargeError(f"a power of more than {MAX_BITS} bits")
        return _multiply(sign, {((f"({value})", by),): Fraction(1)})
    if by.denominator == 1:
        return _multiply(sign, {ONE: value ** int(by)})
    for prime, count in prime_powers(value):
        sign = _multiply(
            sign, _joined(((f"#{prime}", count * by),), ((f"#{prime}", Fraction(0)),), Fraction(1))
        )
    return sign


def prime_powers(value: Fraction) -> list[tuple[int, int]]:
    return _factors(value.numerator) + [(prime, -count) for prime, count in _factors(value.denominator)]


def _factors(number: int) -> list[tuple[int, int]]:
    """Prime factors with their multiplicity. What is left over beyond the bound counts as prime unless a square."""
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
    if number > 1:
        root = math.isqrt(number)
        found.append((root, 2) if root * root == number else (number, 1))
    return found


def _primitive(polynomial: Polynomial) -> tuple[Fraction, Polynomial]:
    """The positive rational content of a sum, and the sum divided by it."""
    numerators = math.gcd(*(abs(value.numerator) for value in polynomial.values()))
    denominators = math.lcm(*(value.denominator for value in polynomial.values()))
    content = Fraction(numerators, denominators)
    return content, {monomial: value / content for monomial, value in polynomial.items()}


def _symbolic_power(base: Form, exponent: Form) -> Form:
    """a^(n + 1) = a * a^n, with every a^n an atom: bases are split into primes, exponents into terms."""
    if exponent.denominator is not UNITY or base.denominator is not UNITY:
        raise TooLargeError("a quotient of sums in a power")
    result = constant(1)
    for monomial, coefficient in exponent.numerator.items():
        if monomial == ONE:
            result = times(result, power(base, constant(coefficient)))
            continue
        suffix = f"^[{_show_monomial(monomial)}]"
        for part, count in _bases(base.numerator):
            result = times(result, atom(part + suffix, coefficient * count))
    return result


def _bases(polynomial: Polynomial) -> list[tuple[str, Fraction]]:
    if len(polynomial) != 1:
        return [(f"[{show(polynomial)}]", Fraction(1))]
    ((monomial, coefficient),) = polynomial.items()
    parts = [(f"{prime}", Fraction(count)) for prime, count in prime_powers(abs(coefficient))]
    if coefficient < 0:
        parts.append(("-1", Fraction(1)))
    return parts + list(monomial)


def show(polynomial: Polynomial) -> str:
    """The polynomial as text, equal for equal polynomials."""
    return "+".join(f"{value}*{_show_monomial(monomial)}" for monomial, value in sorted(polynomial.items()))


def _show_monomial(monomial: Monomial) -> str:
    return "*".join(f"{atom}^{power}" for atom, power in monomial)


def show_form(form: Form) -> str:
    top = show(form.numerator)
    return top if form.denominator is UNITY else f"{top} / {show(form.denominator)}"


class Radicand(str):
    """The atom of a sum under a power, written out in brackets; it keeps the sum to multiply it out again."""

    polynomial: Polynomial

    def __new__(cls, polynomial: Polynomial) -> Radicand:
        atom = super().__new__(cls, f"[{show(polynomial)}]")
        atom.polynomial = polynomial
        return atom
