"""Evaluates trees at points, to refute equality before anything dearer is tried.

Values that differ at one point where both are defined are different; values that agree everywhere are only
*probably* equal, and that is for others to settle.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator, Mapping
from typing import Any

from proctor.verifiers.maths.evaluation import evaluate
from proctor.verifiers.maths.floats import Floats
from proctor.verifiers.maths.trees import (
    IMAGINARY,
    INFINITY,
    Number,
    Product,
    Sum,
    Tree,
    symbols,
    walk,
)

# Two floats further apart than this, relative to the largest term that went into them, are different numbers.
REFUTES = 1e-9
_REAL = 1e-12  # an imaginary part below this share is noise
# Values of the first variable and steps to the next: between 0 and 1, positive, natural, large, negative.
_STARTS = (
    (0.318, 0.137),
    (1.271, 0.713),
    (2.0, 1.0),
    (5.0, 2.0),
    (11.37, 3.91),
    (-0.412, 0.151),
    (-3.117, 0.619),
)
_FLOATS = Floats()


def points(*trees: Tree) -> Iterator[dict[str, float]]:
    """Where to evaluate: one empty point if there are no variables, otherwise one of every kind of _STARTS."""
    names = sorted(frozenset().union(*map(symbols, trees)))
    if not names:
        yield {}
        return
    for start, step in _STARTS:
        yield {name: start + step * place for place, name in enumerate(names)}


def is_complex(*trees: Tree) -> bool:
    """Whether i occurs, so that values are compared as complex numbers; without it only real ones are."""
    return any(node == IMAGINARY for tree in trees for node in walk(tree))


def refuted(one: Tree, other: Tree) -> bool:
    """Whether the two differ at some point where both have a value. False proves nothing."""
    only_real = not is_complex(one, other)
    return any(_differ(one, other, at, only_real=only_real and bool(at)) for at in points(one, other))


def _differ(one: Tree, other: Tree, at: Mapping[str, float], *, only_real: bool) -> bool:
    try:
        a, b = evaluate(one, at, _FLOATS), evaluate(other, at, _FLOATS)
        size = max(_largest_term(one, at), _largest_term(other, at), abs(a), abs(b))
    except (ArithmeticError, ValueError, TypeError):  # a pole, an overflow, max of a complex number
        return False
    if only_real and not (_is_real(a) and _is_real(b)):
        return False
    return cmath.isfinite(a) and cmath.isfinite(b) and abs(a - b) > REFUTES * size


def real(tree: Tree) -> float | None:
    """The value of a constant as a float, infinities too; None where it has none."""
    match tree:
        case Product((Number(sign), end)) if end == INFINITY:
            return math.copysign(math.inf, sign)
        case end if end == INFINITY:
            return math.inf
    try:
        value = evaluate(tree, {}, _FLOATS)
    except (ArithmeticError, ValueError, TypeError):
        return None
    if not _is_real(value):
        return None
    return value.real if isinstance(value, complex) else float(value)


def _is_real(value: Any) -> bool:
    return not isinstance(value, complex) or abs(value.imag) <= _REAL * abs(value)


def _largest_term(tree: Tree, at: Mapping[str, float]) -> float:
    """The largest term of a sum: what is left after terms cancel is noise below this times 1e-16."""
    return max(abs(evaluate(term, at, _FLOATS)) for term in tree.terms) if isinstance(tree, Sum) else 0.0
