"""Range of an expression's values, from the ranges of its parts, by interval arithmetic.

The range always contains the values; it may be wider, since two places of the same part are taken to
vary apart (`math - math` has range -1 to 1). EMPTY is the range of what never has a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

from proctor.verifiers import nodes
from proctor.verifiers.nodes import Node
from proctor.verifiers.part import Bounds, Part

EMPTY = Bounds(math.inf, -math.inf)
EVERYTHING = Bounds(-math.inf, math.inf)
_ZERO, _ONE, _EITHER = Bounds(0.0, 0.0), Bounds(1.0, 1.0), Bounds(0.0, 1.0)
_COLUMNS = {"truncated": _EITHER, "num_tokens": Bounds(0.0, math.inf)}


def range_of(node: Node, *, step: int | None = None) -> Bounds:
    """Range of the node's values at a step of training, or over all steps."""
    match node:
        case Part():
            return node.bounds
        case nodes.Number(value):
            return Bounds(value, value)
        case nodes.Constant():
            return EMPTY
        case nodes.Field(column):
            return _COLUMNS.get(column, EVERYTHING)
        case nodes.Schedule(start, end):
            return Bounds(min(start, end), max(start, end)) if step is None else _point(node.at(step))
    under = [range_of(child, step=step) for child in nodes.children(node)]
    match node:
        case nodes.Compare(symbol):
            return _compared(symbol, *under) if EMPTY not in under else _EITHER
        case nodes.When():
            return _either(under[0], passing=under[1], failing=under[2])
        case nodes.And():
            return _either(under[0], passing=under[1], failing=_ZERO)
        case nodes.Or():
            positive = Bounds(max(under[0].low, 0.0), under[0].high)
            return _either(under[0], passing=positive, failing=under[1])
        case nodes.Not():
            return _either(under[0], passing=_ZERO, failing=_ONE)
    return EMPTY if EMPTY in under else _calculated(node, under)


def can_pass(bounds: Bounds) -> bool:
    """Whether a gate of that range can be open (above 0)."""
    return bounds.high > 0


def can_fail(bounds: Bounds) -> bool:
    """Whether a gate of that range can be closed."""
    return bounds.low <= 0


def span_of(bounds: Bounds) -> float:
    """How far values of that range can lie apart."""
    return 0.0 if bounds == EMPTY else bounds.high - bounds.low


def join(left: Bounds, right: Bounds) -> Bounds:
    """The range that holds both."""
    return Bounds(min(left.low, right.low), max(left.high, right.high))


def _point(value: float) -> Bounds:
    return Bounds(value, value)


def _either(condition: Bounds, *, passing: Bounds, failing: Bounds) -> Bounds:
    if condition == EMPTY:
        return EMPTY
    result = passing if can_pass(condition) else EMPTY
    return join(result, failing) if can_fail(condition) else result


def _compared(symbol: str, left: Bounds, right: Bounds) -> Bounds:
    apart = left.high < right.low or right.high < left.low
    same = left.low == left.high == right.low == right.high
    always, never = {
        "<": (left.high < right.low, left.low >= right.high),
        "<=": (left.high <= right.low, left.low > right.high),
        ">": (left.low > right.high, left.high <= right.low),
        ">=": (left.low >= right.high, left.high < right.low),
        "==": (same, apart),
        "!=": (apart, same),
    }.get(symbol, (False, False))
    return _ONE if always else _ZERO if never else _EITHER


def _calculated(node: Node, under: list[Bounds]) -> Bounds:
    """Arithmetic and functions, none of whose operands is empty."""
    match node:
        case nodes.Arithmetic("+", _, _):
            return Bounds(under[0].low + under[1].low, under[0].high + under[1].high)
        case nodes.Arithmetic("-", _, _):
            return Bounds(under[0].low - under[1].high, under[0].high - under[1].low)
        case nodes.Arithmetic("*", _, _):
            return _corners(_times, *under)
        case nodes.Arithmetic("/", _, _):
            has_zero = under[1].low <= 0 <= under[1].high
            return EVERYTHING if has_zero else _corners(_over, *under)
        case nodes.Negative():
            return Bounds(0.0 - under[0].high, 0.0 - under[0].low)  # 0.0, and never -0.0
        case nodes.Abs():
            ends = abs(under[0].low), abs(under[0].high)
            return Bounds(0.0 if under[0].low <= 0 <= under[0].high else min(ends), max(ends))
        case nodes.Clip(_, low, high):
            return Bounds(min(max(under[0].low, low), high), min(max(under[0].high, low), high))
        case nodes.Min():
            return Bounds(min(each.low for each in under), min(each.high for each in under))
        case nodes.Max():
            return Bounds(max(each.low for each in under), max(each.high for each in under))
    raise TypeError(f"no range is known for {type(node).__name__}")


def _corners(apply: Callable[[float, float], float], left: Bounds, right: Bounds) -> Bounds:
    """Of an operation that is monotone in each operand: its extremes lie at the corners."""
    values = [apply(a, b) for a, b in product((left.low, left.high), (right.low, right.high))]
    return Bounds(min(values), max(values))


def _times(a: float, b: float) -> float:
    return a * b if a and b else 0.0  # infinity times 0: the values themselves are finite


def _over(a: float, b: float) -> float:
    return 0.0 if math.isinf(b) else a / b  # the limit; the other corner has the infinity, if there is one
