"""Nodes of a reward expression: frozen dataclasses that pickle, compare, and print as their source.

In Python the same nodes come from operators (`Math() * 0.9 + Format("boxed") * 0.1`), from `&`, `|`, `~`
for `and`, `or`, `not`, and from `when`, `clip`, `minimum`, `maximum`. `==` compares nodes; a comparison
that is part of the reward is `field("task").equals("code")`.

The value of each node on a rollout is a float or None (no reward):

    a + b, a - b, a * b, a / b, -a, abs(a), min(a, b), max(a, b), clip(a, low, high)    arithmetic
    a < b, a == b, column in ("x", "y") ...    1.0 where it holds, 0.0 where not
    a and b         the gate: b where a passes (is above 0), 0.0 where it does not; b is then never run
    a or b          a where a passes, otherwise b
    not a           0.0 where a passes, 1.0 where not
    x if a else y   x where a passes, otherwise y; the branch not taken is never run
    when(a, x)      x if a else 0
    schedule(s, e, steps=n)    a number that goes in a straight line from s at training step 0 to e at step n
    None            no reward

None in, None out: a node has no value where an operand that it needs has none. Not needed are what a
gate or a branch left out, and what is multiplied by a weight that is exactly 0 (still run, and reported).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from proctor.verifiers.core import COLUMNS
from proctor.verifiers.expressions.literals import write_literal

Operand: TypeAlias = "Node | float"

# Words with a meaning of their own; no part can be called so, nor like a column of every rollout.
FUNCTIONS = ("clip", "min", "max", "abs", "when", "schedule", "field")


class Node:
    """Anything that can stand in an expression; carries the operators (`+ - * / & | ~`, comparisons)."""

    __slots__ = ()

    def __add__(self, other: Operand) -> Node:
        return Arithmetic("+", self, as_node(other))

    def __radd__(self, other: Operand) -> Node:
        return Arithmetic("+", as_node(other), self)

    def __sub__(self, other: Operand) -> Node:
        return Arithmetic("-", self, as_node(other))

    def __rsub__(self, other: Operand) -> Node:
        return Arithmetic("-", as_node(other), self)

    def __mul__(self, other: Operand) -> Node:
        return Arithmetic("*", self, as_node(other))

    def __rmul__(self, other: Operand) -> Node:
        return Arithmetic("*", as_node(other), self)

    def __truediv__(self, other: Operand) -> Node:
        return Arithmetic("/", self, as_node(other))

    def __rtruediv__(self, other: Operand) -> Node:
        return Arithmetic("/", as_node(other), self)

    def __neg__(self) -> Node:
        return Negative(self)

    def __abs__(self) -> Node:
        return Abs(self)

    def __and__(self, other: Node) -> Node:
        return And(self, _node(other, "&"))

    def __or__(self, other: Node) -> Node:
        return Or(self, _node(other, "|"))

    def __rand__(self, other: object) -> NoReturn:
        raise _not_a_node(other, "&")

    def __ror__(self, other: object) -> NoReturn:
        raise _not_a_node(other, "|")

    def __invert__(self) -> Node:
        return Not(self)

    def __lt__(self, other: Operand) -> Node:
        return Compare("<", self, as_node(other))

    def __le__(self, other: Operand) -> Node:
        return Compare("<=", self, as_node(other))

    def __gt__(self, other: Operand) -> Node:
        return Compare(">", self, as_node(other))

    def __ge__(self, other: Operand) -> Node:
        return Compare(">=", self, as_node(other))

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{self} has no truth value before it is scored; write & for 'and', | for 'or', ~ for 'not', "
            "when(condition, x, y) for 'x if condition else y', and parentheses around comparisons"
        )

    def __str__(self) -> str:
        return _render(self)


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number, finite and not negative (`-2` is Negative(Number(2)), as in Python's own syntax tree)."""

    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value) + 0.0)  # 1 is 1.0 and -0.0 is 0.0: one text each
        if not 0 <= self.value < math.inf:
            raise ValueError(f"a number must be finite and at least 0, got {self.value}")


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """Text, True, False or None, or a tuple of these and numbers: what a column is compared with.

    None also stands where a number could: it is no reward.
    """

    value: Any


@dataclass(frozen=True, slots=True)
class Field(Node):
    """A column of the rollout. As a number: True is 1, False is 0; without one there is no value."""

    column: str

    def equals(self, value: str | float | bool | None) -> Node:
        return Compare("==", self, _constant(value))

    def one_of(self, *values: str | float | bool | None) -> Node:
        return Compare("in", self, Constant(values))


@dataclass(frozen=True, slots=True)
class Schedule(Node):
    """start + (end - start) * min(step / steps, 1): a weight that changes over training."""

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"start and end of a schedule must be finite, got {self.start} and {self.end}")
        if self.steps < 1:
            raise ValueError(f"steps of a schedule must be at least 1, got {self.steps}")

    def at(self, step: int) -> float:
        value = self.start + (self.end - self.start) * min(max(step, 0), self.steps) / self.steps
        return min(max(value, min(self.start, self.end)), max(self.start, self.end))


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """`+ - * /`. Where the result is not a finite number, division by zero included, there is none."""

    symbol: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """`< <= > >= == != in`, and `not in`."""

    symbol: str
    left: Node
    right: Node

    def __post_init__(self) -> None:
        is_in, sides = self.symbol in ("in", "not in"), (self.left, self.right)
        if Constant(None) in sides and self.symbol not in ("==", "!="):
            raise ValueError("None is compared by == and != only")
        holds_many = isinstance(self.right, Constant) and isinstance(self.right.value, (tuple, str))
        if is_in and not (holds_many or isinstance(self.right, Field)):
            raise ValueError(f"'{self.symbol}' wants a list, text or a column on its right")


@dataclass(frozen=True, slots=True)
class Negative(Node):
    operand: Node


@dataclass(frozen=True, slots=True)
class Abs(Node):
    operand: Node


@dataclass(frozen=True, slots=True)
class Not(Node):
    operand: Node


@dataclass(frozen=True, slots=True)
class And(Node):
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Or(Node):
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class When(Node):
    """`then if condition else otherwise`; prints as `when(condition, then)` where otherwise is 0."""

    condition: Node
    then: Node
    otherwise: Node = Number(0)


@dataclass(frozen=True, slots=True)
class Clip(Node):
    """min(max(operand, low), high)."""

    operand: Node
    low: float
    high: float

    def __post_init__(self) -> None:
        if not -math.inf < self.low <= self.high < math.inf:
            raise ValueError(f"clip needs low <= high, both finite, got {self.low} and {self.high}")


@dataclass(frozen=True, slots=True)
class Min(Node):
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Max(Node):
    operands: tuple[Node, ...]


def field(column: str) -> Field:
    """The column of that name."""
    return Field(column)


def when(condition: Node, then: Operand, otherwise: Operand = 0) -> When:
    """`then if condition else otherwise`."""
    return When(condition, as_node(then), as_node(otherwise))


def clip(operand: Node, low: float, high: float) -> Clip:
    return Clip(operand, low, high)


def minimum(*operands: Operand) -> Min:
    return Min(tuple(map(as_node, operands)))


def maximum(*operands: Operand) -> Max:
    return Max(tuple(map(as_node, operands)))


def as_node(value: Operand) -> Node:
    """A node as it is, a number as Number, a negative one as Negative(Number). Raises TypeError otherwise."""
    if isinstance(value, Node):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"a reward expression is made of parts, columns and numbers, got {value!r}")
    return Negative(Number(-value)) if value < 0 else Number(value)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly under this one, in the order of the source, conditions first."""
    for name in getattr(node, "__match_args__", ()):
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Node))


def walk(node: Node) -> Iterator[Node]:
    """The node and everything under it, depth first."""
    yield node
    for child in children(node):
        yield from walk(child)


def _node(value: Node, symbol: str) -> Node:
    if isinstance(value, Node):
        return value
    raise _not_a_node(value, symbol)


def _not_a_node(value: object, symbol: str) -> TypeError:
    # `a > 0.5 & b` means `a > (0.5 & b)` in Python; a number beside & is nearly always that mistake.
    return TypeError(f"{symbol} joins two expressions, got {value!r}; put parentheses around comparisons")


def _constant(value: str | float | bool | None) -> Node:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return as_node(value) if is_number else Constant(value)  # type: ignore[arg-type]


_TERNARY, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _ATOM = range(1, 10)


def _precedence(node: Node) -> int:
    match node:
        case When():
            return _ATOM if node.otherwise == Number(0) else _TERNARY
        case Arithmetic():
            return _SUM if node.symbol in "+-" else _PRODUCT
        case Or():
            return _OR
        case And():
            return _AND
        case Not():
            return _NOT
        case Compare():
            return _COMPARE
        case Negative():
            return _SIGN
    return _ATOM


def _render(node: Node) -> str:
    """Source text with the fewest parentheses that give the same tree back."""
    match node:
        case Number(value) | Constant(value):
            return write_literal(value)
        case Field(column):
            return column if column in COLUMNS else f"field({write_literal(column)})"
        case Schedule(start, end, steps):
            return f"schedule({write_literal(start)}, {write_literal(end)}, steps={steps})"
        case Arithmetic(symbol, left, right):
            level = _precedence(node)
            return f"{_inside(left, level)} {symbol} {_inside(right, level + 1)}"
        case Compare(symbol, left, right):
            return f"{_inside(left, _COMPARE + 1)} {symbol} {_inside(right, _COMPARE + 1)}"
        case And(left, right):
            return f"{_inside(left, _AND)} and {_inside(right, _AND + 1)}"
        case Or(left, right):
            return f"{_inside(left, _OR)} or {_inside(right, _OR + 1)}"
        case Not(operand):
            return f"not {_inside(operand, _NOT)}"
        case Negative(operand):
            return f"-{_inside(operand, _SIGN)}"
        case Abs(operand):
            return f"abs({operand})"
        case Clip(operand, low, high):
            return f"clip({operand}, {write_literal(low)}, {write_literal(high)})"
        case Min(operands):
            return f"min({', '.join(map(str, operands))})"
        case Max(operands):
            return f"max({', '.join(map(str, operands))})"
        case When(condition, then, otherwise):
            if otherwise == Number(0):
                return f"when({condition}, {then})"
            branches = _inside(then, _TERNARY + 1), _inside(otherwise, _TERNARY)
            return f"{branches[0]} if {_inside(condition, _TERNARY + 1)} else {branches[1]}"
    raise TypeError(f"no source text for {type(node).__name__}")


def _inside(node: Node, least: int) -> str:
    """The node's text, in parentheses where it binds more loosely than its surroundings allow."""
    return f"({node})" if _precedence(node) < least else str(node)
