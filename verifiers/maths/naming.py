"""Equations that only give something a name: x = 3, f(n) = 2n, AB = 5, (x, y) = (1, 2), x in {1, 2}."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from proctor.verifiers.maths.trees import (
    Apply,
    Bracket,
    Number,
    Power,
    Product,
    Relation,
    Symbol,
    Tree,
    symbols,
    walk,
)
from proctor.verifiers.maths.vocabulary import word_set

_NO_NAMES = word_set("pi oo emptyset R")
_NAMING = word_set("prime subscript overline bar tilde abs sin cos tan ratio dot")
# Letters that stand for any integer or constant in a family of solutions: x = k pi, (3 + t, 2 - t), ... + C.
_PARAMETERS = word_set("k l m n r s t c j K C N M T")


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
    first, last = tree.sides[0], tree.sides[-1]
    if tree.signs == ("in",) and isinstance(last, Bracket) and last.left in ("\\{", ""):
        return Named((first,), last)
    if set(tree.signs) != {"="}:
        return None
    if is_name(first):
        return Named(tuple(filter(is_name, tree.sides[:-1])), last)
    if isinstance(last, Symbol) and is_name(last) and not symbols(first):
        return Named((last,), first)
    is_asked_for = asked is not None and symbols(first).isdisjoint(symbols(asked) | symbols(last))
    return Named((first,), last) if is_asked_for and _may_name(first) else None


def _may_name(tree: Tree) -> bool:
    """Whether an expression of several variables, and no multiple of one, may be what was asked for."""
    is_multiple = isinstance(tree, Product) and any(isinstance(factor, Number) for factor in tree.factors)
    return len(symbols(tree)) > 1 and not is_multiple


def unnamed(tree: Tree) -> Tree:
    """The value of an equation that names one, otherwise the tree itself."""
    found = named(tree)
    return tree if found is None else found.value


def is_name(tree: Tree) -> bool:
    """Whether a tree only names something: x, AB, f(x), T(10), S_n, (x, y), |AB|, sin A, AB / CD."""
    match tree:
        case Symbol(name):
            return name not in _NO_NAMES
        case Product((Symbol(name) | Power(Symbol(name), Number()), *arguments)):
            return name not in _NO_NAMES and all(map(_is_argument, arguments))
        case Product(factors):
            return all(map(is_name, factors))
        case Apply(name, arguments):
            return name in _NAMING and all(map(is_name, arguments))
        case Bracket(items):
            return bool(items) and all(map(is_name, items))
        case Power(base, Number()):
            return is_name(base) and all(name[0].isupper() for name in symbols(base))
        case _:
            return False


def _is_argument(tree: Tree) -> bool:
    """What may stand after the name of a function or a point: x, 10, (x, 2)."""
    if isinstance(tree, Bracket):
        return all(is_name(item) or not symbols(item) for item in tree.items)
    return isinstance(tree, Symbol) or not symbols(tree)


def labels(items: Sequence[Tree]) -> dict[Tree, Tree]:
    """Values by name, where every item has a name of its own; otherwise empty."""
    found = [named(item) for item in items]
    by_name = {item.names[0]: item.value for item in found if item is not None}
    return by_name if len(by_name) == len(items) else {}


def are_unknowns(names: Collection[Tree]) -> bool:
    """Whether names tell several unknowns apart, so that `6, 5` does not answer `x = 5, y = 6`; x_1 and x_2 do not."""
    letters = {name.name.partition("_")[0] for name in names if isinstance(name, Symbol)}
    return len(names) > 1 and len(letters) == len(names)


def unlabelled(items: Sequence[Tree]) -> list[Tree]:
    """Values without their names; names that come round again make tuples: `p=5, q=2, p=7, q=2` is (5, 2), (7, 2)."""
    values = [unnamed(item) for item in items]
    names = [item.names[0] if (item := named(tree)) is not None else None for tree in items]
    period = names.index(names[0], 1) if names and names[0] is not None and names[0] in names[1:] else 0
    if period < 2 or names != names[:period] * (len(names) // period):
        return values
    return [Bracket(tuple(values[at : at + period]), "(", ")") for at in range(0, len(values), period)]


def ordered_values(items: Sequence[Tree]) -> list[Tree]:
    """Values without their names, in the order of names that follow one another: `y = 3, x = -4` is (-4, 3)."""
    names = [item.names[0] if (item := named(tree)) is not None else None for tree in items]
    letters = [name.name for name in names if isinstance(name, Symbol) and len(name.name) == 1]
    ranks = sorted(map(ord, letters))
    if len(letters) < max(2, len(items)) or ranks != list(range(ranks[0], ranks[0] + len(items))):
        return [unnamed(item) for item in items]
    return [unnamed(item) for _, item in sorted(zip(letters, items, strict=True), key=lambda pair: pair[0])]


def matching(one: Named, other: Named) -> dict[str, str] | None:
    """How to rename the other's variables where both name the same thing; None where they do not."""
    if not set(one.names).isdisjoint(other.names):
        return {}
    match one.names[0], other.names[0]:
        case Symbol(name), Symbol(twin):
            bases = {name.partition("_")[0].lower(), twin.partition("_")[0].lower()}
            return {} if len(bases) == 1 and not ("_" in name and "_" in twin) else None
        case Product((Symbol(f), Symbol(x))), Product((Symbol(g), Symbol(y))):
            return {y: x} if f == g else None
        case (Product(), Symbol("y")) | (Symbol("y"), Product()):
            return {}
        case _:
            return None


def renaming(gold: Tree, answer: Tree, *, ignore_case: bool) -> dict[str, str]:
    """How to rename the answer's variables so that it may equal the gold; empty where there is no good way.

    A letter in another case is the same letter. A family of solutions may call its parameter anything.
    """
    missing, extra = symbols(gold) - symbols(answer), symbols(answer) - symbols(gold)
    if not missing or len(missing) != len(extra):
        return {}
    by_case = {name.lower(): name for name in missing}
    if ignore_case and all(name.lower() in by_case for name in extra):
        return {name: by_case[name.lower()] for name in extra}
    if len(missing) > 1:
        return {}
    (wanted,), (given,) = missing, extra
    is_family = isinstance(gold, Bracket) and isinstance(answer, Bracket) and gold.left == "("
    is_periodic = {wanted, given} <= _PARAMETERS and any(node == Symbol("pi") for node in walk(gold))
    return {given: wanted} if is_family or is_periodic else {}
