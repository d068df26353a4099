"""Nodes from the parts that the grammar has found: what a product, a bracket or an accent comes to."""

from __future__ import annotations

from fractions import Fraction

from proctor.verifiers.maths import literals
from proctor.verifiers.maths.lexer import UnreadableError
from proctor.verifiers.maths.trees import (
    EULER,
    IMAGINARY,
    PI,
    ZERO,
    Apply,
    Bracket,
    Matrix,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    Tree,
    Unit,
)
from proctor.verifiers.maths.vocabulary import word_set

_VARIADIC = word_set("gcd lcm max min")


def sum_of(terms: list[Tree]) -> Tree:
    if len(terms) == 1:
        return terms[0]
    return Sum(tuple(map(grouped, terms))) if terms else ZERO


def grouped(tree: Tree) -> Tree:
    """What square brackets hold that only group, as in 2[1 + x]; alone, [2] is a list."""
    match tree:
        case Bracket((inner,), "["):
            return inner
        case _:
            return tree


def product_of(factors: list[Tree]) -> Tree:
    if len(factors) == 1:
        return factors[0]
    factors = list(map(grouped, factors))
    if len(factors) == 2 and isinstance(factors[0], Number):
        return literals.scientific(factors[0], factors[1]) or Product(tuple(factors))
    return Product(tuple(factors))


def multiplies_number(factors: list[Tree]) -> bool:
    """Whether a number that follows multiplies: after $, pi, i or a bracket; not after a number, x or a unit."""
    last = factors[-1]
    if isinstance(last, Unit):
        return len(factors) == 1
    if isinstance(last, Number | Symbol):
        return last in (PI, IMAGINARY)
    return not has_unit(last)


def has_unit(tree: Tree) -> bool:
    parts = tree.factors if isinstance(tree, Product) else (tree,)
    return any(isinstance(part.base if isinstance(part, Power) else part, Unit) for part in parts)


def primed(tree: Tree) -> Tree:
    return Symbol(tree.name + "'") if isinstance(tree, Symbol) else Apply("prime", (tree,))


def accented(accent: str, inner: Tree) -> Tree:
    r"""A bar over points names a segment (\overline{AB} is AB); over anything else it has a meaning."""
    points = inner.factors if isinstance(inner, Product) else ()
    if points and all(isinstance(point, Symbol) and point.name.isupper() for point in points):
        return inner
    return Apply(accent, (inner,))


def applied(name: str, arguments: tuple[Tree, ...]) -> Tree:
    most = len(arguments) if name in _VARIADIC else 2 if name == "log" else 1
    if not 1 <= len(arguments) <= most:
        raise UnreadableError(f"{name} of {len(arguments)} arguments")
    if name == "exp":
        return Power(EULER, arguments[0])
    return Apply("log", (arguments[0], Number(Fraction(10)))) if name == "lg" else Apply(name, arguments)


def bracketed(items: list[Tree], left: str, right: str) -> Tree:
    if not items and left == "{":
        raise UnreadableError("an empty group")  # \frac{}{} is a form that nobody has filled in
    if not items:
        return Bracket((), left, right)
    if left in ("floor", "ceil"):
        return Apply(left, tuple(items))
    if (left, right) in (("(", "]"), ("[", ")")) and len(items) != 2:
        raise UnreadableError(f"{left} closed by {right}")
    if len(items) == 1 and (left in ("{", "(") or isinstance(items[0], Matrix)):
        return items[0]
    return Bracket(tuple(items), "" if left == "{" else left, "" if left == "{" else right)
