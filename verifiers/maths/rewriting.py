"""Turns trees into trees of the same meaning: names taken off, variables renamed, both signs written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from proctor.verifiers.maths.trees import (
    Apply,
    Bracket,
    Matrix,
    Number,
    Power,
    Product,
    Relation,
    Sum,
    Symbol,
    Tree,
    negative,
    symbols,
    walk,
)

_MOST_SIGNED = 5  # entries whose signs are multiplied out: up to 32 tuples
_NO_NAMES = frozenset({"pi", "oo", "emptyset", "R"})
_NAMING = frozenset(
    {"prime", "subscript", "overline", "bar", "tilde", "abs", "sin", "cos", "tan", "ratio", "dot"}
)


@dataclass(frozen=True, slots=True)
class Named:
    """`names[0] = names[1] = ... = value`."""

    names: tuple[Tree, ...]
    value: Tree


def named(tree: Tree, *, asked: Tree | None = None) -> Named | None:
    """The names and the value of an equation that gives something a value; None for any other tree.

    Where an expression was asked for, whatever has other variables than that expression may be the name:
    `x + y = 5` gives 5, and `a + b = 2k` gives 2k where the reference is in k.
    """
    if not isinstance(tree, Relation):
        return None
    if tree.signs == ("in",) and isinstance(tree.sides[1], Bracket) and tree.sides[1].left == "\\{":
        return Named(tree.sides[:1], tree.sides[1])
    if set(tree.signs) != {"="}:
        return None
    first, last = tree.sides[0], tree.sides[-1]
    if is_name(first):
        names = tuple(side for side in tree.sides[:-1] if is_name(side))
        return Named(names, last)
    if isinstance(last, Symbol) and is_name(last) and not symbols(first):
        return Named((last,), first)
    if (
        asked is not None
        and not _is_multiple(first)
        and len(symbols(first)) > 1
        and symbols(first).isdisjoint(symbols(asked) | symbols(last))
    ):
        return Named((first,), last)
    return None


def _is_multiple(tree: Tree) -> bool:
    return isinstance(tree, Product) and any(isinstance(factor, Number) for factor in tree.factors)


def unnamed(tree: Tree) -> Tree:
    """The value of an equation that names one, otherwise the tree itself."""
    found = named(tree)
    return tree if found is None else found.value


def is_name(tree: Tree) -> bool:
    """Whether a tree only names something: x, AB, f(x), T(10), S_n, (x, y), |AB|, sin A."""
    match tree:
        case Symbol(name):
            return name not in _NO_NAMES
        case Product((Symbol(name), *rest)) | Product((Power(Symbol(name), Number()), *rest)):
            return name not in _NO_NAMES and all(
                isinstance(part, Symbol) or not symbols(part) or _is_list_of_names(part) for part in rest
            )
        case Apply(name, arguments):
            return name in _NAMING and all(map(is_name, arguments))
        case Bracket(items):
            return bool(items) and all(map(is_name, items))
        case Product(factors) if all(map(is_name, factors)):  # ratios of segments: AB / CD
            return True
        case Power(base, Number()):
            return is_name(base) and all(name[0].isupper() for name in symbols(base))
        case _:
            return False


def _is_list_of_names(tree: Tree) -> bool:
    return isinstance(tree, Bracket) and all(is_name(item) or not symbols(item) for item in tree.items)


def renamed(tree: Tree, names: Mapping[str, str]) -> Tree:
    """The tree with variables renamed."""
    if not names:
        return tree
    return mapped(tree, {Symbol(old): Symbol(new) for old, new in names.items()})


def mapped(tree: Tree, replacements: Mapping[Tree, Tree]) -> Tree:
    """The tree with every occurrence of some nodes replaced."""
    if tree in replacements:
        return replacements[tree]
    match tree:
        case Sum(parts):
            return Sum(_each(parts, replacements))
        case Product(parts):
            return Product(_each(parts, replacements))
        case Power(base, exponent):
            return Power(mapped(base, replacements), mapped(exponent, replacements))
        case Apply(name, parts):
            return Apply(name, _each(parts, replacements))
        case Bracket(parts, left, right):
            return Bracket(_each(parts, replacements), left, right)
        case Relation(parts, signs):
            return Relation(_each(parts, replacements), signs)
        case Matrix(rows):
            return Matrix(tuple(_each(row, replacements) for row in rows))
        case _:
            return tree


def _each(parts: Sequence[Tree], replacements: Mapping[Tree, Tree]) -> tuple[Tree, ...]:
    return tuple(mapped(part, replacements) for part in parts)


def has_both_signs(tree: Tree) -> bool:
    return any(isinstance(node, Apply) and node.name in ("pm", "mp") for node in walk(tree))


def both_signs(tree: Tree) -> tuple[Tree, Tree]:
    r"""The tree with every \pm read as plus and \mp as minus, and the other way round."""
    return _signed(tree, upper=True), _signed(tree, upper=False)


def _dot(row: Sequence[Tree], column: Sequence[Tree]) -> Tree:
    return Sum(tuple(Product((one, other)) for one, other in zip(row, column, strict=True)))


def all_signs(tree: Bracket) -> list[Tree]:
    r"""A tuple with the signs of its entries read independently: (\pm 1, \pm 2) is four points."""
    entries = [both_signs(item) if has_both_signs(item) else (item,) for item in tree.items[:_MOST_SIGNED]]
    return [
        Bracket((*chosen, *tree.items[_MOST_SIGNED:]), tree.left, tree.right) for chosen in product(*entries)
    ]


def _signed(tree: Tree, *, upper: bool) -> Tree:
    signs = {
        node: Sum((left, right if (node.name == "pm") is upper else negative(right)))
        for node in walk(tree)
        if isinstance(node, Apply) and node.name in ("pm", "mp")
        for left, right in (node.arguments,)
    }
    replaced = mapped(tree, signs)
    return _signed(replaced, upper=upper) if has_both_signs(replaced) else replaced


def computed(tree: Tree) -> Tree:
    """Sums of matrices and multiples of a matrix, carried out."""
    match tree:
        case Sum((Matrix() as first, *rest)) if all(isinstance(term, Matrix) for term in rest):
            matrices = [first, *(term for term in rest if isinstance(term, Matrix))]
            if len({tuple(map(len, matrix.rows)) for matrix in matrices}) == 1:
                rows = zip(*(matrix.rows for matrix in matrices), strict=True)
                return Matrix(tuple(tuple(Sum(cells) for cells in zip(*row, strict=True)) for row in rows))
        case Sum(
            (
                Bracket() | Apply("union" | "builder") | Symbol("R") as one,
                Product((Number(), Bracket(_, "\\{") as other)),
            )
        ):
            return Apply("setminus", (one, other))
        case Product((Matrix(left), Matrix(right))) if all(len(row) == len(right) for row in left):
            columns = list(zip(*right, strict=True)) if len({len(row) for row in right}) == 1 else []
            return Matrix(tuple(tuple(_dot(row, column) for column in columns) for row in left))
        case Product((*factors, Matrix(rows))) if not any(isinstance(factor, Matrix) for factor in factors):
            return Matrix(tuple(tuple(Product((*factors, cell)) for cell in row) for row in rows))
    return tree
