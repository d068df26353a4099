"""What the operators of an expression do with values, rollout by rollout. None never gets this far."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from proctor.verifiers import nodes
from proctor.verifiers.nodes import Node


def function_of(node: Node) -> Callable[..., float]:
    """The plain function of its operands' values that a node is."""
    match node:
        case nodes.Negative():
            return operator.neg
        case nodes.Abs():
            return abs
        case nodes.Not():
            return lambda value: 0.0 if value > 0 else 1.0
        case nodes.Clip(_, low, high):
            return lambda value: min(max(value, low), high)
        case nodes.Min():
            return min
        case nodes.Max():
            return max
    raise TypeError(f"{type(node).__name__} cannot be evaluated")


def weight_at(node: Node, step: int) -> float | None:
    """The number that a node is at this step of training; None where it depends on the rollout."""
    match node:
        case nodes.Number(value):
            return value
        case nodes.Schedule():
            return node.at(step)
        case nodes.Negative(operand):
            weight = weight_at(operand, step)
            return None if weight is None else -weight
        case nodes.Arithmetic("*", left, right):
            factors = weight_at(left, step), weight_at(right, step)
            return None if factors[0] is None or factors[1] is None else factors[0] * factors[1]
    return None


def divide(a: float, b: float) -> float:
    return a / b if b else math.nan  # what is not finite becomes a verdict, like an overflow


def equal(a: Any, b: Any) -> bool:
    """Raises TypeError for text against a number: "3" == 3 would send rows down the wrong branch unseen."""
    if isinstance(a, str) is not isinstance(b, str):
        raise TypeError(f"text is compared with a number: {a!r} and {b!r}")
    return bool(a == b)


def contains(a: Any, b: Any) -> bool:
    """Raises TypeError for text in numbers, and the other way round, as `equal` does."""
    kinds = {isinstance(item, str) for item in b if item is not None} if isinstance(b, (list, tuple)) else ()
    if kinds and isinstance(a, str) not in kinds:
        raise TypeError(f"text is looked for among numbers, or a number among text: {a!r} and {b!r}")
    return bool(a in b)


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": equal,
    "!=": lambda a, b: not equal(a, b),
    "in": contains,
    "not in": lambda a, b: not contains(a, b),
}
