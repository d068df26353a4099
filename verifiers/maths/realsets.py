"""Sets of real numbers: intervals, unions, inequalities, finite sets, all as one sorted list of pieces."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from proctor.verifiers.maths import sampling
from proctor.verifiers.maths.naming import is_name
from proctor.verifiers.maths.trees import (
    INFINITY,
    Apply,
    Bracket,
    Number,
    Relation,
    Symbol,
    Tree,
    negative,
    walk,
)
from proctor.verifiers.maths.vocabulary import word_set

_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
_ORDERINGS = frozenset({"<", ">", "<=", ">=", "!="})
_OPERATIONS = word_set("union intersection setminus builder any_of all_of")
_MINUS_INFINITY = negative(INFINITY)


@dataclass(frozen=True, slots=True)
class End:
    """One end of a piece; `at` orders it, `tree` is what it is."""

    tree: Tree
    at: float
    closed: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Everything between two ends; a point has two closed ends at the same place."""

    low: End
    high: End

    @property
    def is_empty(self) -> bool:
        return self.low.at > self.high.at or (
            self.low.at == self.high.at and not (self.low.closed and self.high.closed)
        )


Pieces = tuple[Piece, ...]
_LOWEST, _HIGHEST = End(_MINUS_INFINITY, -math.inf, False), End(INFINITY, math.inf, False)
_EVERYTHING: Pieces = (Piece(_LOWEST, _HIGHEST),)


def is_set(tree: Tree) -> bool:
    """Whether a tree can only be meant as a set of reals. (1, 2) and {1, 2} may be other things."""
    match tree:
        case Relation(_, signs):
            return not _ORDERINGS.isdisjoint(signs) or signs == ("in",)
        case Apply(name):
            return name in _OPERATIONS
        case Symbol(name):
            return name in ("R", "emptyset")
        case Bracket((Apply("builder"),)):
            return True
        case Bracket((low, high), "(" | "[" as left, right):
            return (left, right) in (("(", "]"), ("[", ")")) or any(map(_is_infinite, (low, high)))
        case _:
            return False


def _is_infinite(tree: Tree) -> bool:
    return any(node == INFINITY for node in walk(tree))


def pieces(tree: Tree) -> Pieces | None:
    """The set that a tree describes, sorted and merged; None where it describes none that is plain to see."""
    match tree:
        case Symbol("R"):
            return _EVERYTHING
        case Symbol("emptyset"):
            return ()
        case Bracket((low, high), "(" | "[" as left, ")" | "]" as right):
            return _interval(low, left == "[", high, right == "]")
        case Bracket((Apply("builder", (_, *conditions)),), "\\{", "\\}"):
            return _all_of(list(conditions))
        case Bracket(items, "\\{", "\\}"):
            return _points(items)
        case Apply("union", (one, other)):
            return _combined(one, other, _union)
        case Apply("intersection", (one, other)):
            return _combined(one, other, _intersection)
        case Apply("setminus", (one, other)):
            return _combined(one, other, lambda a, b: _intersection(a, _complement(b)))
        case Apply("any_of", parts):
            return _any_of(list(parts))
        case Apply("all_of", parts):
            return _all_of(list(parts))
        case Relation():
            return _solved(tree)
        case _:
            return None


def same_pieces(one: Pieces, other: Pieces, same: Callable[[Tree, Tree], bool | None]) -> bool | None:
    """Whether two sets are equal, given what tells whether two ends are."""
    if len(one) != len(other):
        return False
    found: bool | None = True
    for a, b in zip(one, other, strict=True):
        if (a.low.closed, a.high.closed) != (b.low.closed, b.high.closed):
            return False
        for end, counterpart in ((a.low, b.low), (a.high, b.high)):
            if math.isinf(end.at) or math.isinf(counterpart.at):
                equal: bool | None = end.at == counterpart.at
            else:
                equal = same(end.tree, counterpart.tree)
            if equal is False:
                return False
            found = found and equal
    return found


def variable(relation: Relation) -> Tree | None:
    """What an inequality is about: x, f(x), or |x|; None where it is not solved."""
    for side in relation.sides:
        inner = side.arguments[0] if isinstance(side, Apply) and side.name == "abs" else side
        if is_name(inner) and inner not in (Symbol("e"), Symbol("i")):
            return side
    return None


def _end(tree: Tree, *, closed: bool) -> End | None:
    at = sampling.real(tree)
    return None if at is None else End(tree, at, closed and math.isfinite(at))


def _interval(low: Tree, low_closed: bool, high: Tree, high_closed: bool) -> Pieces | None:
    start, stop = _end(low, closed=low_closed), _end(high, closed=high_closed)
    if start is None or stop is None:
        return None
    return (Piece(start, stop),) if start.at < stop.at else None  # (8, -2) is a point of the plane


def _points(items: tuple[Tree, ...]) -> Pieces | None:
    ends = [_end(item, closed=True) for item in items]
    if any(end is None for end in ends):
        return None
    return _merged([Piece(end, end) for end in ends if end is not None])


def _combined(one: Tree, other: Tree, combine: Callable[[Pieces, Pieces], Pieces]) -> Pieces | None:
    first, second = pieces(one), pieces(other)
    return None if first is None or second is None else combine(first, second)


def _merged(found: list[Piece]) -> Pieces:
    """Sorted, with pieces that touch or overlap made one."""
    result: list[Piece] = []
    for piece in sorted(found, key=lambda piece: (piece.low.at, not piece.low.closed)):
        if piece.is_empty:
            continue
        if result and _touches(result[-1].high, piece.low):
            result[-1] = Piece(result[-1].low, _later(result[-1].high, piece.high))
        else:
            result.append(piece)
    return tuple(result)


def _touches(high: End, low: End) -> bool:
    return low.at < high.at or (_is_close(low.at, high.at) and (low.closed or high.closed))


def _is_close(one: float, other: float) -> bool:
    return one == other or math.isclose(one, other, rel_tol=1e-12)


def _later(one: End, other: End) -> End:
    if _is_close(one.at, other.at):
        return one if one.closed else other
    return one if one.at > other.at else other


def _union(one: Pieces, other: Pieces) -> Pieces:
    return _merged([*one, *other])


def _complement(found: Pieces) -> Pieces:
    gaps = []
    low = _LOWEST
    for piece in found:
        gaps.append(Piece(low, replace(piece.low, closed=not piece.low.closed)))
        low = replace(piece.high, closed=not piece.high.closed)
    gaps.append(Piece(low, _HIGHEST))
    return tuple(gap for gap in gaps if not gap.is_empty)


def _intersection(one: Pieces, other: Pieces) -> Pieces:
    return _complement(_union(_complement(one), _complement(other)))


def _any_of(parts: list[Tree]) -> Pieces | None:
    found = [pieces(part) for part in parts]
    if any(piece is None for piece in found):
        return None
    return _merged([piece for part in found if part is not None for piece in part])


def _all_of(parts: list[Tree]) -> Pieces | None:
    """Conditions that hold together; where nothing meets all of them, `x < 1, x > 3` was meant as either."""
    result = _EVERYTHING
    for part in parts:
        found = pieces(part)
        if found is None:
            return None
        result = _intersection(result, found)
    return result or _any_of(parts)


def _solved(relation: Relation) -> Pieces | None:
    """The solutions of `x in A` or of a chain such as `1 <= x < 3`, `|x| > 2`."""
    about = variable(relation)
    if about is None:
        return None
    if relation.signs == ("in",):
        return pieces(relation.sides[1])
    result = _EVERYTHING
    for left, sign, right in zip(relation.sides, relation.signs, relation.sides[1:], strict=False):
        if sign not in _FLIPPED or (left == about) == (right == about):
            return None
        bound, sign = (right, sign) if left == about else (left, _FLIPPED[sign])
        found = _half_line(bound, sign)
        if found is None:
            return None
        result = _intersection(result, _mirrored(found) if isinstance(about, Apply) else found)
    return result


def _half_line(bound: Tree, sign: str) -> Pieces | None:
    end = _end(bound, closed=sign in ("<=", ">=", "=", "!="))
    if end is None:
        return None
    match sign:
        case "<" | "<=":
            return (Piece(_LOWEST, end),)
        case ">" | ">=":
            return (Piece(end, _HIGHEST),)
        case "=":
            return (Piece(end, end),)
        case _:
            return _complement((Piece(end, end),))


def _mirrored(found: Pieces) -> Pieces:
    """All x whose absolute value lies in the set."""
    zero = End(Number(Fraction(0)), 0.0, True)
    right = _intersection(found, (Piece(zero, _HIGHEST),))
    left = [
        Piece(
            End(negative(piece.high.tree), -piece.high.at, piece.high.closed),
            End(negative(piece.low.tree), -piece.low.at, piece.low.closed),
        )
        for piece in right
    ]
    return _merged([*left, *right])
