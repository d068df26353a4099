"""Whether an answer is carried out as far as the reference is: restating the question is no answer.

A verifier does not see what was asked. It sees that the reference is 1024 and the answer 2^{10}, 5/6 and
1/2 + 1/3, 5 sqrt(2) and sqrt(50), 1/2 and sin 30°: equal values, and nothing but the operation that the
question asked for. For a reference that is a plain number an answer may be a number, a fraction, a sum of
integers (3 + 2), a power of ten, or hold a root that cancels; it may not be any other arithmetic that is
still to be done. A reference in factors is not answered by the product multiplied out. The other way round
is accepted: (x + 1)^2 for x^2 + 2x + 1 is labelled right by some test tables and wrong by others.
"""

from __future__ import annotations

import math
from fractions import Fraction

from proctor.verifiers.maths.trees import Apply, Number, Power, Product, Sum, Tree, Unit, symbols, walk
from proctor.verifiers.maths.vocabulary import word_set

_OPERATIONS = word_set(
    """sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln gcd lcm max min floor ceil factorial
    binom"""
)
_LARGEST_ROOT = 1_000  # squares above its square are not looked for in a radicand


def is_unfinished(gold: Tree, answer: Tree) -> bool:
    """Whether the answer leaves an operation that the reference has carried out."""
    match answer:
        case Power(Number(base), Number(exponent)) if exponent.denominator == 2:
            return _is_simplified_surd(gold) and not _is_squarefree(int(base))
        case Apply(name):
            return (
                name in _OPERATIONS and not symbols(gold) and not any(map(_is_decimal_or_applied, walk(gold)))
            )
        case Sum(terms) if all(map(_is_integer, terms)):
            return False
        case Sum() if symbols(answer):
            return _is_factored(gold) and _is_expanded(answer)
        case Sum() | Product() | Power():
            return _is_plain(gold) and not _is_plain(answer) and _is_arithmetic(answer)
        case _:
            return False


def _is_decimal_or_applied(tree: Tree) -> bool:
    return isinstance(tree, Apply) or (isinstance(tree, Number) and tree.places is not None)


def _is_plain(tree: Tree) -> bool:
    """A number or a fraction of numbers, with a sign or a unit; a power of ten."""
    match tree:
        case (
            Number() | Unit() | Power(Unit()) | Power(Number(), Number(Fraction(numerator=-1, denominator=1)))
        ):
            return True
        case Power(Number(Fraction(numerator=10, denominator=1)), Number()):
            return True
        case Product(factors):
            numbers = [factor for factor in factors if isinstance(factor, Number) and abs(factor.value) != 1]
            return len(numbers) < 2 and all(map(_is_plain, factors))
        case _:
            return False


def _is_arithmetic(tree: Tree) -> bool:
    """Sums, products and whole powers of numbers, and nothing else."""
    return all(isinstance(node, Number | Sum | Product) or _is_whole_power(node) for node in walk(tree))


def _is_whole_power(tree: Tree) -> bool:
    return (
        isinstance(tree, Power) and isinstance(tree.exponent, Number) and tree.exponent.value.denominator == 1
    )


def _is_integer(tree: Tree) -> bool:
    match tree:
        case Number(value):
            return value.denominator == 1
        case Product((Number(), Number() as number)):
            return _is_integer(number)
        case _:
            return False


def _is_factored(tree: Tree) -> bool:
    """A product of at least two sums with variables in them, or of powers of such."""
    if not isinstance(tree, Product):
        return False
    return sum(bool(symbols(part)) and _is_sum_or_power(part) for part in tree.factors) > 1


def _is_sum_or_power(tree: Tree) -> bool:
    match tree:
        case Power(Sum(), Number(exponent)):
            return exponent > 0
        case _:
            return isinstance(tree, Sum)


def _is_expanded(tree: Sum) -> bool:
    return not any(isinstance(node, Sum) for term in tree.terms for node in walk(term))


def _is_simplified_surd(tree: Tree) -> bool:
    return isinstance(tree, Product) and len(tree.factors) > 1 and isinstance(tree.factors[0], Number)


def _is_squarefree(number: int) -> bool:
    return all(number % (root * root) for root in range(2, min(math.isqrt(abs(number)), _LARGEST_ROOT) + 1))
