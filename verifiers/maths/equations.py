"""Equations and inequalities as left minus right: multiples of each other, and solved for one variable."""

from __future__ import annotations

from fractions import Fraction

from proctor.verifiers.maths.naming import is_name
from proctor.verifiers.maths.normal import form
from proctor.verifiers.maths.polynomials import proportion
from proctor.verifiers.maths.rewriting import mapped
from proctor.verifiers.maths.trees import (
    Number,
    Product,
    Relation,
    Sum,
    Symbol,
    Tree,
    negative,
    symbols,
    walk,
)

_SOMEWHERE = Number(Fraction(1, 2))  # where arcsin, ln and roots have values
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def antiderivative(tree: Tree, constants: str) -> Tree | None:
    """An antiderivative with the constant that makes it 0 at one point in place of `+ C`; None for any other tree.

    constants: the letters that may stand for the constant.
    """
    if not isinstance(tree, Sum):
        return None
    kept = tuple(term for term in tree.terms if not (isinstance(term, Symbol) and term.name in constants))
    rest = kept[0] if len(kept) == 1 else Sum(kept)
    if len(kept) != len(tree.terms) - 1 or len(symbols(rest)) != 1:
        return None
    (name,) = symbols(rest)
    if name.isupper():
        return None  # in A + C, the C is no constant of integration
    return Sum((rest, negative(mapped(rest, {Symbol(name): _SOMEWHERE}))))


def turned(relation: Relation) -> Relation:
    """Read from right to left: a < b as b > a."""
    return Relation(relation.sides[::-1], tuple(FLIPPED.get(sign, sign) for sign in relation.signs[::-1]))


def same_multiple(gold: Relation, answer: Relation) -> bool | None:
    """Whether left minus right of one is a multiple of the other's: 2x - 2y = 4 is x = y + 2."""
    if len(gold.signs) != 1 or len(answer.signs) != 1:
        return False
    one, other = form(_difference(gold)), form(_difference(answer))
    if one is None or other is None:
        return None
    factor = proportion(one.numerator, other.numerator)
    if not factor:
        return False
    sign = answer.signs[0]
    return gold.signs[0] == (FLIPPED.get(sign, sign) if factor < 0 else sign)


def substituted(equation: Relation, expression: Tree) -> Tree | None:
    """Left minus right with the one variable that the expression does not have replaced by it.

    It is zero where the expression solves the equation for that variable. None where there is not one such
    variable, or it does not stand alone in the first degree, so that there may be other solutions.
    """
    if equation.signs != ("=",) or not symbols(expression) or _defines_function(equation):
        return None
    missing = symbols(equation) - symbols(expression)
    difference = _difference(equation)
    found = form(difference)
    if len(missing) != 1 or found is None or not found.is_linear_in(*missing):
        return None
    return mapped(difference, {Symbol(*missing): expression})


def _defines_function(equation: Relation) -> bool:
    """Whether the left side reads as a function of what is on the right: n solves f(n) = n^2 for no f."""
    left, right = equation.sides
    return isinstance(left, Product) and is_name(left) and not symbols(left).isdisjoint(symbols(right))


def is_to_solve(relation: Relation) -> bool:
    """Whether constants and a variable are still mixed: 2x + 1 < 7."""
    is_mixed = any(isinstance(node, Sum) and symbols(node) for node in walk(relation))
    return is_mixed and len(symbols(relation)) == 1


def _difference(relation: Relation) -> Tree:
    return Sum((relation.sides[0], negative(relation.sides[1])))
