"""What an answer becomes when it is read: a tree of frozen nodes. Plain data, equal where it is written equally."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Tree: TypeAlias = (
    "Number | Symbol | Unit | Sum | Product | Power | Apply | Bracket | Relation | Matrix | Words"
)


@dataclass(frozen=True, slots=True)
class Number:
    """A literal, held exactly. `0.50` is Fraction(1, 2) with two places; `1/2` and `3` have none."""

    value: Fraction
    places: int | None = None  # digits after the decimal point, where one was written


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable or a constant: `x`, `alpha`, `x_1`, `pi`, `e`, `i`, `oo`."""

    name: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure by its key in the table of `units`."""

    name: str


@dataclass(frozen=True, slots=True)
class Sum:
    terms: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A quotient is a product with a power of -1."""

    factors: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Power:
    base: Tree
    exponent: Tree


@dataclass(frozen=True, slots=True)
class Apply:
    """A function or a set operation by name: sin, log, abs, union, plus_minus ..."""

    name: str
    arguments: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Bracket:
    """Several things in order, with the brackets they stand in: `(1, 2)`, `[0, 1)`, `{1, 2}`; a bare list has none."""

    items: tuple[Tree, ...]
    left: str = ""
    right: str = ""

    @property
    def is_unordered(self) -> bool:
        """A set or a bare list."""
        return self.left in ("", "\\{")


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain: `sides[0] signs[0] sides[1] signs[1] ...`, signs being = != < > <= >= in ~ : |."""

    sides: tuple[Tree, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Tree, ...], ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Plain language, in lower case with single spaces."""

    text: str


PI, EULER, IMAGINARY, INFINITY = Symbol("pi"), Symbol("e"), Symbol("i"), Symbol("oo")
ZERO, ONE, MINUS_ONE = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(-1))
CONSTANTS = frozenset({"pi", "e", "i", "oo"})


def children(tree: Tree) -> tuple[Tree, ...]:
    """The direct parts of a node, in order."""
    match tree:
        case Sum(parts) | Product(parts) | Apply(_, parts) | Bracket(parts) | Relation(parts):
            return parts
        case Power(base, exponent):
            return (base, exponent)
        case Matrix(rows):
            return tuple(cell for row in rows for cell in row)
        case _:
            return ()


def walk(tree: Tree) -> Iterator[Tree]:
    """The node and everything under it."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(children(node))


def symbols(tree: Tree) -> frozenset[str]:
    """Names of the free variables: all symbols that are no constants."""
    return frozenset(
        node.name for node in walk(tree) if isinstance(node, Symbol) and node.name not in CONSTANTS
    )


def negative(tree: Tree) -> Tree:
    if isinstance(tree, Number):
        return Number(-tree.value, tree.places)
    return Product((MINUS_ONE, tree))


def quotient(top: Tree, bottom: Tree) -> Tree:
    return Product((top, Power(bottom, MINUS_ONE)))
