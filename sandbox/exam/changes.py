"""The containers inside a call's arguments, which the callee may change; and how a change is put back.

After a call the callee writes these containers anew where they changed, and the caller puts the new content
into its own, so that changes in place come back, through aliases too. Both sides list them in the same order.
Sets are not searched: what they hold is hashable. Objects that go by number change on their own side.
"""

from __future__ import annotations

import sys
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from proctor.sandbox.exam.arrays import make_array
from proctor.sandbox.exam.bounds import WireError
from proctor.sandbox.exam.classes import Classes
from proctor.sandbox.exam.plain import KINDS, SCALARS
from proctor.sandbox.exam.rich import state_of

FILL = {kind.tag: kind.fill for kind in KINDS if kind.fill is not None}
_TAGS: dict[type, str] = {kind.type: kind.tag for kind in KINDS if kind.new is not None} | {list: ""}
_ATOMS = SCALARS | {kind.type for kind in KINDS if kind.new is None and kind.type is not tuple}
_MEMBERS: tuple[tuple[type, Callable[[Any], Sequence[object]]], ...] = (
    (list, list.copy),
    (tuple, lambda v: tuple.__getitem__(v, slice(None))),
    (dict, lambda v: list(dict.values(v))),
    (deque, list),
)


def containers(
    values: Sequence[object],
    by_value: frozenset[str],
    is_numbered: Callable[[object], bool] = lambda value: False,
) -> list[Any]:
    """What can change inside `values`, each once, in the order of a walk from left to right.

    `is_numbered` tells the objects that went by number, whatever they hold.
    """
    found: list[Any] = []
    seen: set[int] = set()
    waiting = list(reversed(values))
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind in _ATOMS or id(value) in seen or is_numbered(value):
            continue
        seen.add(id(value))
        if tag_of(value, by_value) is not None:
            found.append(value)
        waiting.extend(reversed(_members(value, kind, by_value)))
    return found


def members_of(value: Any) -> Sequence[object]:
    """What a container holds itself: two lists of the very same objects are a container that did not change."""
    if isinstance(value, dict):
        return [*dict.keys(value), *dict.values(value)]
    if isinstance(value, list | set | deque | bytearray | array):
        return list(value)
    if is_array(value):
        return [value.tobytes()]
    return list(chain.from_iterable(state_of(value).items()))


def is_array(value: object) -> bool:
    return "numpy" in sys.modules and isinstance(value, sys.modules["numpy"].ndarray)


def tag_of(value: object, by_value: frozenset[str]) -> str | None:
    """The tag of a value that can change; "" for a list, None for what cannot change or is not plain."""
    kind = type(value)
    tag = _TAGS.get(kind)
    if tag is None:
        tag = next((tag for base, tag in _TAGS.items() if issubclass(kind, base)), None)
    if tag is None and kind.__name__ in by_value:
        return "o"
    return "np" if tag is None and is_array(value) else tag


def replace(target: Any, tag: str, content: Any) -> None:
    """Gives a container new content. Raises WireError where it is of another kind."""
    if tag == "o":
        vars(target).clear()
        Classes.fill_record(target, content)
        return
    if tag != tag_of(target, frozenset()):
        raise WireError(f"a {type(target).__name__} cannot become a value of kind '{tag}'")
    if tag == "":
        list.__setitem__(target, slice(None), content)
    elif tag == "np":
        target[...] = make_array(content)
    elif tag in ("a", "B"):  # of the same length, it may be in use as a memory view
        fresh = array(target.typecode) if tag == "a" else bytearray()
        FILL[tag](fresh, content)
        target[:] = fresh
    else:
        target.clear()
        FILL[tag](target, content)


def put_back(target: Any, fresh: Any) -> None:
    """Gives a container what a copy of it came to hold in a callback; of other kinds than these it keeps its own."""
    if isinstance(target, list) and isinstance(fresh, list):
        list.__setitem__(target, slice(None), fresh)
    elif isinstance(target, dict) and isinstance(fresh, dict):
        dict.clear(target)
        dict.update(target, fresh)
    elif isinstance(target, set) and isinstance(fresh, set):
        set.clear(target)
        set.update(target, fresh)
    elif isinstance(target, deque) and isinstance(fresh, deque):
        deque.clear(target)
        deque.extend(target, fresh)


def _members(value: Any, kind: type, by_value: frozenset[str]) -> Sequence[object]:
    for base, members in _MEMBERS:
        if issubclass(kind, base):
            items = members(value)
            return () if SCALARS.issuperset(map(type, items)) else items
    return list(state_of(value).values()) if kind.__name__ in by_value else ()
