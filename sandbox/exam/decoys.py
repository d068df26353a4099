"""Comparisons of a program's objects with plain values: `Money(5) == 5`, `Temperature(20) < 30`.

The class decides, for it is what is tested; but only about objects that the tests made themselves, and it is asked
about other values as well, in an order that it does not know. So one that is equal to everything, or less than
everything, gains nothing by it. What is not covered: a class that guesses which of a few values is meant.
"""

from __future__ import annotations

import math
from random import SystemRandom
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proctor.sandbox.exam.remote import RemoteObject

_NUM_DECOYS = 3
_LARGE = 10**6  # beyond it, the next number may be the same one to a class that rounds
_random = SystemRandom()  # not the one whose numbers tests count on


def is_equal(one: RemoteObject, other: Any) -> bool:
    """Whether the class calls an object equal to a value, and to none of others like it."""
    decoys = _values_like(other)
    return bool(decoys) and _answers("eq", one, [other, *decoys]) == [True, *[False] * len(decoys)]


def is_ordered(name: str, one: RemoteObject, other: Any) -> Any:
    """What the class says of an object and a number; NotImplemented where it says the same of all numbers."""
    if not _is_number(other):
        return NotImplemented
    far = _LARGE + 1000 * abs(other)
    is_less = name in ("lt", "le")
    found, of_low, of_high = _answers(name, one, [other, other - far, other + far])
    return found if (of_low, of_high) == (not is_less, is_less) else NotImplemented


def _answers(name: str, one: RemoteObject, values: list[Any]) -> list[bool | None]:
    """What the class says of each value, asked in any order; None where it raises."""
    found: list[bool | None] = [None] * len(values)
    places = list(range(len(values)))
    _random.shuffle(places)
    for place in places:
        try:
            found[place] = one._proctor_examinee.ask("op", name, one, values[place]) is True
        except Exception:  # the border to the class: it need not know what to do with every value
            continue
    return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _values_like(value: Any) -> list[Any]:
    """Values of the same type that are not equal to it; none of a kind for which that is not known."""
    if _is_number(value):
        step = 1 if abs(value) < _LARGE else abs(value) // 1000
        first = _random.randint(-_NUM_DECOYS, 0)  # so that it may be any of them by size
        return [value + step * n for n in range(first, first + _NUM_DECOYS + 1) if n]
    if type(value) is str:
        mark = _random.choice("bdgkmpt")
        return [value + mark, mark + value, *([value[1:]] if value else [])]
    if type(value) in (list, tuple, set, frozenset):
        members = list(value)
        more = [*members, _other_than(members)]
        return [type(value)(each) for each in (more, *([members[1:]] if members else []))]
    return []


def _other_than(members: list[Any]) -> Any:
    """A member like the others, and unequal to them."""
    if members and all(map(_is_number, members)):
        return max(members) + _random.randint(1, 9)
    return "".join([*(each for each in members if type(each) is str), _random.choice("bdgkmpt")])
