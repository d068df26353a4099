"""A value and the units that it is multiplied by, told apart."""

from __future__ import annotations

from dataclasses import dataclass

from proctor.verifiers.maths.trees import ONE, Power, Product, Symbol, Tree, Unit, symbols
from proctor.verifiers.maths.units import NAMES

# A letter after a number that may be a unit written without \text{}: 5m, 9.8 m/s.
_UNIT_LETTERS = frozenset(name for name in NAMES if len(name) == 1)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value apart from its units."""

    whole: Tree
    bare: Tree
    units: tuple[Tree, ...] = ()

    @property
    def is_percent(self) -> bool:
        return self.units == (Unit("percent"),)


def quantity(tree: Tree, variables: frozenset[str] = frozenset()) -> Quantity:
    """Splits a value from its units. A letter that may be a unit is one unless it is among `variables`."""
    if isinstance(tree, Unit):
        return Quantity(tree, ONE, (tree,))
    kept: list[Tree] = []
    taken: list[Tree] = []
    for factor in _factors(tree):
        letters = _UNIT_LETTERS - variables if kept and not any(map(symbols, kept)) else frozenset()
        unit = _as_unit(factor, letters)
        (taken if unit else kept).append(unit or factor)
    if not taken or not kept:
        return Quantity(tree, tree)
    bare = kept[0] if len(kept) == 1 else Product(tuple(kept))
    return Quantity(Product((*kept, *taken)), bare, tuple(taken))


def _factors(tree: Tree) -> list[Tree]:
    if not isinstance(tree, Product):
        return [tree]
    return [factor for part in tree.factors for factor in _factors(part)]


def _as_unit(tree: Tree, letters: frozenset[str]) -> Tree | None:
    """A unit, a letter that stands for one, or a power of either."""
    match tree:
        case Unit():
            return tree
        case Symbol(name) if name in letters:
            return Unit(NAMES[name])
        case Power(base, exponent) if (unit := _as_unit(base, letters)) is not None:
            return Power(unit, exponent)
        case _:
            return None
