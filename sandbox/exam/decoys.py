"""Comparisons of a program's objects with plain values: `Money(5) == 5`, `Temperature(20) < 30`.

The class decides, for it is what is tested; but only about objects that the tests made themselves, and it is asked
about other values as well, in an order that it does not know. So one that is equal to everything, or less than
everything, gains nothing by it. Of two objects of its own it is asked the opposite as well. What is not covered: a
class that guesses which of a few values is meant.
"""

from __future__ import annotations

import math
from random import SystemRandom
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proctor.sandbox.exam.remote import RemoteObject

_LARGE = 10**6  # beyond it, the next number may be the same one to a class that rounds
_OPPOSITE = {"ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
_TURNED = ("lt", "gt")  # hold of two objects in one order only
_random = SystemRandom()  # not the one whose numbers tests count on


def is_equal(one: RemoteObject, other: Any) -> Any:
    """Whether the class calls an object equal to a value, and to none of others like it.

    NotImplemented where it says that of them all: to `==` that is no more than False. None where it says that it
    is equal to others too: then it is neither equal to the value nor unequal.
    """
    decoys = _values_like(other)
    found, *of_decoys = _answers("own_eq", one, [other, *decoys]) if decoys else [False]
    if found is NotImplemented:
        return found if all(each is NotImplemented for each in of_decoys) else False
    if found is not True:
        return False
    return True if all(each is False or each is NotImplemented for each in of_decoys) else None


def is_ordered(name: str, one: RemoteObject, other: Any) -> Any:
    """What the class says of an object and a number; NotImplemented where it says the same of all numbers."""
    if not _is_number(other):
        return NotImplemented
    far = _LARGE + 1000 * abs(other)
    is_less = name in ("lt", "le")
    told = _answers(name, one, [other, other - far, other + far])
    found, of_low, of_high = (None if each is None else each is True for each in told)
    return found if (of_low, of_high) == (not is_less, is_less) else NotImplemented


def agrees(name: str, one: RemoteObject, other: Any) -> bool:
    """Whether a class says `==`, `<` and so on of two objects of its own, and does not say the opposite as well.

    Nor that an object is equal to a number that nobody meant, as one does that is equal to everything.
    """
    if one._proctor_examinee.ask("op", name, one, other) is not True:
        if name == "eq":
            one._proctor_examinee.kinship.note(one, other, False)
        return False
    if name == "eq":
        one._proctor_examinee.kinship.note(one, other, True)
        return not (_says("ne", one, other) or _says("eq", one, _random.random()))
    if name in _TURNED and _says(name, other, one):
        return False
    return not _says(_OPPOSITE[name], one, other)


def _says(name: str, one: RemoteObject, other: Any) -> bool:
    return _answers(name, one, [other])[0] is True


def _answers(name: str, one: RemoteObject, values: list[Any]) -> list[Any]:
    """What the class says of each value, asked in any order; None where it raises."""
    found: list[Any] = [None] * len(values)
    places = list(range(len(values)))
    _random.shuffle(places)
    for place in places:
        try:
            found[place] = one._proctor_examinee.ask("op", name, one, values[place])
        except Exception:  # the border to the class: it need not know what to do with every value
            continue
    return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _values_like(value: Any) -> list[Any]:
    """Values of the same type that are not equal to it; none of a kind for which that is not known.

    Made so that whoever sees them all cannot tell which of them the others were made from.
    """
    if _is_number(value):
        return _numbers_like(value)
    if type(value) is str:
        return _texts_like(value)
    if type(value) in (list, tuple, set, frozenset):
        members = list(value) or [""]
        for place in _random.sample(range(len(members)), len(members)):
            if others := _values_like(members[place]):
                return [type(value)([*members[:place], each, *members[place + 1 :]]) for each in others]
    return []


def _numbers_like(number: Any) -> list[Any]:
    """Three steps up or down, each taken or not, as with texts; two of them leave it as round as it is.

    So neither the only multiple of ten among them nor the one in their middle is the number that was meant.
    """
    near = 1 if abs(number) < _LARGE else abs(number) // 1000
    round_to = near
    while number and number % (round_to * 10) == 0 and round_to < _LARGE:
        round_to *= 10
    found = [number]
    for step in (near, 3 * round_to, 7 * round_to):
        signed = _random.choice((step, -step))
        found += [each + signed for each in found]
    return found[1:]


def _texts_like(text: str) -> list[str]:
    """Three bits of it, each as it is or turned round: any of the eight texts makes the other seven."""
    if not text:
        return [_random.choice("bdgkmpt")]
    bits = _random.sample([(place, 1 << bit) for place in range(len(text)) for bit in range(3)], 3)
    found = [text]
    for place, bit in bits:
        found += [each[:place] + chr(ord(each[place]) ^ bit) + each[place + 1 :] for each in found]
    return found[1:]
