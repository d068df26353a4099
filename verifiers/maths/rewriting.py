"""Turns trees into trees of the same meaning: variables renamed, both signs written out, matrices computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    walk,
)

_MOST_SIGNED = 5  # entries whose signs are multiplied out: up to 32 tuples


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


def without_both_signs(tree: Tree) -> list[Tree]:
    r"""What a tree with \pm in it may mean: the list of its values, signs read together or independently."""
    if not has_both_signs(tree):
        return [tree]
    if isinstance(tree, Apply) and tree.name == "alternatives":
        return [Bracket(_values(tree))]
    if isinstance(tree, Bracket) and tree.is_unordered:
        spread = [value for item in tree.items for value in _values(item)]
        return [Bracket(tuple(spread), tree.left, tree.right)]
    together: list[Tree] = [Bracket(_both_signs(tree))]
    return [*together, Bracket(_all_signs(tree))] if isinstance(tree, Bracket) else together


def _values(tree: Tree) -> tuple[Tree, ...]:
    if isinstance(tree, Apply) and tree.name == "alternatives":
        return tuple(value for part in tree.arguments for value in _values(part))
    return _both_signs(tree) if has_both_signs(tree) else (tree,)


def _both_signs(tree: Tree) -> tuple[Tree, Tree]:
    r"""The tree with every \pm read as plus and \mp as minus, and the other way round."""
    return _signed(tree, upper=True), _signed(tree, upper=False)


def _all_signs(tree: Bracket) -> tuple[Tree, ...]:
    r"""A tuple with the signs of its entries read independently: (\pm 1, \pm 2) is four points."""
    entries = [_values(item) for item in tree.items[:_MOST_SIGNED]]
    rest = tree.items[_MOST_SIGNED:]
    return tuple(Bracket((*chosen, *rest), tree.left, tree.right) for chosen in product(*entries))


def _signed(tree: Tree, *, upper: bool) -> Tree:
    signs: dict[Tree, Tree] = {}
    for node in walk(tree):
        if isinstance(node, Apply) and node.name in ("pm", "mp"):
            left, right = node.arguments
            signs[node] = Sum((left, right if (node.name == "pm") is upper else negative(right)))
    replaced = mapped(tree, signs)
    return _signed(replaced, upper=upper) if has_both_signs(replaced) else replaced


def computed(tree: Tree) -> Tree:
    """Sums of matrices, multiples and transposes of a matrix, carried out."""
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
        case Power(Matrix(rows), Symbol("T")) if len({len(row) for row in rows}) == 1:
            return Matrix(tuple(zip(*rows, strict=True)))
        case Power(Bracket() as vector, Symbol("T")):
            return vector
        case Product((Matrix(left), Matrix(right))) if all(len(row) == len(right) for row in left):
            columns = list(zip(*right, strict=True)) if len({len(row) for row in right}) == 1 else []
            return Matrix(tuple(tuple(_dot(row, column) for column in columns) for row in left))
        case Product((*factors, Matrix(rows))) if not any(isinstance(factor, Matrix) for factor in factors):
            return Matrix(tuple(tuple(Product((*factors, cell)) for cell in row) for row in rows))
    return tree


def _dot(row: Sequence[Tree], column: Sequence[Tree]) -> Tree:
    return Sum(tuple(Product((one, other)) for one, other in zip(row, column, strict=True)))


def in_unit_vectors(tree: Tree, other: Tree) -> Tree:
    """A vector as 3i + 4j where the other tree is written so, otherwise the tree itself."""
    is_vector = isinstance(tree, Bracket) and tree.left in ("(", "[", "|") and len(tree.items) in (2, 3)
    if not isinstance(tree, Bracket) or not is_vector or isinstance(other, Bracket):
        return tree
    if Symbol("j") not in walk(other):
        return tree
    return Sum(tuple(Product((item, Symbol(name))) for item, name in zip(tree.items, "ijk", strict=False)))


def entries(tree: Tree) -> Tree:
    """A vector as its entries, a matrix as its rows, in brackets `|` that are neither round nor square."""
    if not isinstance(tree, Matrix):
        return tree
    if len(tree.rows) == 1 or all(len(row) == 1 for row in tree.rows):
        return Bracket(tuple(cell for row in tree.rows for cell in row), "|", "|")
    return Bracket(tuple(Bracket(row, "|", "|") for row in tree.rows), "|", "|")
