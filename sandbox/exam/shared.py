"""Containers that both sides of an exam hold on to, so that a change on one side is seen on the other.

`Stack(items)` may keep the list that it was given, and `board.grid[0][0] = "X"` is meant to change the board. So
what tests hand to objects of the program, and what they read of such objects, is remembered on both sides by its
place in a list, the latest few and small ones; a side that finds some of it changed tells with its next message.
What is kept depends on the messages alone, so that both lists are the same without a word about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proctor.sandbox.exam.changes import is_array, members_of

_MAX_CONTAINERS = 32
_KEPT = frozenset({"new", "method", "set"})
_MAX_MEMBERS = 500  # looking through more for each message would take longer than the message


class Shared:
    """One side's end of the list."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._seen: list[Sequence[object]] = []

    def add(self, containers: Sequence[Any]) -> bool:
        """Remembers containers that a message holds; False where they are too many or too large."""
        known = set(map(id, self.items))
        new = [container for container in containers if id(container) not in known]
        if any(map(is_array, new)):
            return False
        seen = list(map(members_of, new))
        if len(new) > _MAX_CONTAINERS or sum(map(len, seen)) > _MAX_MEMBERS:
            return False
        self.items = [*self.items, *new][-_MAX_CONTAINERS:]
        self._seen = [*self._seen, *seen][-_MAX_CONTAINERS:]
        return True

    def have_changed(self) -> bool:
        return have_changed(self.items, self._seen)

    def settle(self) -> None:
        """What they hold now is what the other side knows. What has grown large is let go, there as here."""
        both = [(item, members_of(item)) for item in self.items]
        kept = [(item, members) for item, members in both if len(members) <= _MAX_MEMBERS]
        self.items, self._seen = [item for item, _ in kept], [members for _, members in kept]


def have_changed(items: Sequence[Any], seen: Sequence[Sequence[object]]) -> bool:
    """Whether containers hold other objects than `members_of` saw in them."""
    for item, members in zip(items, seen, strict=True):
        now = members_of(item)
        if len(now) != len(members) or not all(map(_is_same, now, members)):
            return True
    return False


def changes(items: Sequence[Any], seen: Sequence[Sequence[object]]) -> list[Any]:
    """Of containers, the place and the container of each that has changed since `members_of` saw it."""
    both = enumerate(zip(items, seen, strict=True))
    return [part for place, (item, one) in both if have_changed([item], [one]) for part in (place, item)]


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, bytes) and isinstance(other, bytes):
        return bool(one == other)
    return one is other


def is_kept(message: Sequence[object]) -> bool:
    """Whether a request hands its arguments to an object of the program's, which may keep them."""
    verb, target = message[:2]
    if verb == "call":
        return type(target) is not str
    return verb in _KEPT or (verb == "op" and target == "setitem")


def is_read(message: Sequence[object]) -> bool:
    """Whether a request reads what an object of the program's holds."""
    return message[0] == "get" or (message[0] == "op" and message[1] == "getitem")


def values_of(told: Mapping[str, Sequence[Any]], names: Sequence[str]) -> list[Any]:
    """Of what a program told about its names: the values, which its functions may change later."""
    return [told[name][1] for name in names if told[name][0] == "value"]
