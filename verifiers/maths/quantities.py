"""A value and the units that it is multiplied by, told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from proctor.verifiers.maths.trees import ONE, Number, Power, Product, Symbol, Tree, Unit, symbols
from proctor.verifiers.maths.units import NAMES

# A letter after a number that may be a unit written without \text{}: 5m, 9.8 m/s.
_UNIT_LETTERS = frozenset(name for name in NAMES if len(name) == 1)
_MOSTLY_VARIABLES = frozenset("dhlst")
_AREA_OR_VOLUME = (Power(Unit(NAMES["m"]), Number(Fraction(2))), Power(Unit(NAMES["m"]), Number(Fraction(3))))


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


def may_go_without_unit(tree: Tree, units: Sequence[Tree]) -> bool:
    """Whether the bare number says the same: 5 for 5m and 9.8 for 9.8 m/s, but not 4 for 4t, nor 6 for 6g^2."""
    letters = symbols(tree)
    if not letters or len(units) != 1:
        return True
    is_power = isinstance(units[0], Power) and units[0] not in _AREA_OR_VOLUME
    return letters.isdisjoint(_MOSTLY_VARIABLES) and not is_power


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
