"""Whether a class of the program tells its own objects apart: one to which all of them are equal earns nothing by it.

`__eq__ = lambda self, other: isinstance(other, Vector)` says yes to `Vector(1, 2) + Vector(3, 4) == Vector(4, 6)`. So
behind the tests, a class that never said no is asked about objects that they made of other arguments, and that they
never called equal themselves. At least three must be there: two might be equal by right.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

_MOST = 200  # objects, and pairs, that are remembered
_ASKED = 3  # objects, of which each pair is asked about


class Kinship:
    """What one program's classes said of their objects."""

    def __init__(self) -> None:
        self._made: dict[bytes, Any] = {}  # by what they were made with
        self._equal: list[tuple[Any, Any]] = []
        self._apart: set[Any] = set()

    def note_made(self, value: Any, line: bytes) -> None:
        """Of objects made of objects nothing is known: those may be equal though their numbers differ."""
        if line.count(b'{"y":') + line.count(b'{"h":') == 1 and len(self._made) < _MOST:
            self._made.setdefault(line, value)

    def note(self, one: Any, other: Any, is_equal: bool) -> None:
        if not is_equal:
            self._apart.add(one._proctor_class)
        elif len(self._equal) < _MOST:
            self._equal.append((one, other))

    def agreeing(self, agrees: Callable[[Any, Any], bool]) -> str:
        """The name of a class that calls all of its objects equal; "" where there is none."""
        for kind in {one._proctor_class for one, _ in self._equal} - self._apart:
            found = self._unrelated([each for each in self._made.values() if each._proctor_class is kind])
            if len(found) == _ASKED and all(agrees(*pair) for pair in combinations(found, 2)):
                return str(kind.name)
        return ""

    def _unrelated(self, values: list[Any]) -> list[Any]:
        """A few of the values, none of which the tests found equal to another one of them."""
        groups: dict[int, set[int]] = {}
        for pair in self._equal:
            both: set[int] = set().union(*(groups.get(id(each), {id(each)}) for each in pair))
            groups.update(dict.fromkeys(both, both))
        found: dict[int, Any] = {}
        for value in values:
            found.setdefault(min(groups.get(id(value), {id(value)})), value)
        return list(found.values())[:_ASKED]
