"""Values to messages: one line of JSON each, in which whatever JSON has no word for is a one-key object.

None, bool, int, float and str stand for themselves, a list is an array, and {"t": [...]} is a tuple,
{"s": [...]} a set, {"d": [k, v, k, v]} a dict, and so on (`plain.py`, `rich.py`). JSON is chosen because its
C parser and printer are in every interpreter and safe on hostile text; Python touches only what is not JSON.

Two forms:
    tree   nodes inside nodes; for values in which no container occurs twice
    graph  {"g": [heap, changes, root]}: every container is an entry of the heap, {"#": n} refers to it;
           for shared, cyclic and deep values

A value is taken by its real type (`type(x)`, never `__class__`), and an instance of a subclass of a built-in
by the built-in's own data, whatever its methods claim.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from proctor.sandbox.exam.bounds import BOUNDS, TooLargeError, UnsendableError
from proctor.sandbox.exam.plain import BASES, KINDS, SCALARS
from proctor.sandbox.exam.rich import is_named_tuple, pack_rich

_SCALARS_BUT_INT = SCALARS - {int}
_PACKERS = {kind.type: (kind.tag, kind.pack) for kind in KINDS}
# Beyond this an int is written in hexadecimal: the interpreter refuses decimal conversion from 4,300 digits.
_INT_BITS = 13_000
_USUAL_DIGITS_LIMIT = 4300
_digits_limit: Callable[[], int] = getattr(sys, "get_int_max_str_digits", lambda: 0)

_dump = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class Handles(Protocol):
    """Objects that stay on their side and go by number."""

    def existing(self, value: object) -> Any | None:
        """The node of an object that goes by number already."""

    def export(self, value: object) -> Any | None:
        """The node of an object that has no plain form; None where it may not be handed out."""


class _NotATreeError(Exception):
    """A container occurs twice or lies too deep: the value has to be written as a graph."""


class Encoder:
    """Writes values. `by_value` names the classes that both sides define, whose instances go as data."""

    def __init__(self, handles: Handles | None = None) -> None:
        self.by_value: frozenset[str] = frozenset()
        self._handles = handles
        self._scalars = SCALARS
        self._child: Callable[[object], Any] = self._branch
        self._seen: set[int] = set()
        self._depth = 0

    def encode(self, value: object, known: Sequence[object] = ()) -> bytes:
        """One line without its newline. Raises UnsendableError where a part has no plain form.

        known: containers that the other end has too; a value that holds one of them is written as a graph.
        """
        self._scalars = SCALARS if _digits_limit() == _USUAL_DIGITS_LIMIT else _SCALARS_BUT_INT
        try:
            return self._encode_tree(value, known)
        except (_NotATreeError, ValueError):  # ValueError: a long int, whose decimal form is refused
            pass
        return self.encode_graph(value, known)

    def encode_graph(self, root: object, known: Sequence[object] = ()) -> bytes:
        """The graph form. `known` are containers that the other end has too, by position: written anew."""
        self._scalars, self._depth = _SCALARS_BUT_INT, 0
        graph = _Graph(self, known)
        self._child = graph.refer
        top = graph.refer(root)
        changes = [self._pack(item) for item in known]
        heap: list[Any] = []
        for item in graph.heap:  # grows while its members are packed
            heap.append(self._pack(item))
        return _text({"g": [heap, changes, top]})

    def is_scalar(self, value: object) -> bool:
        return type(value) in self._scalars or (type(value) is int and value.bit_length() < _INT_BITS)

    def _encode_tree(self, value: object, known: Sequence[object]) -> bytes:
        self._seen.clear()
        self._seen.update(map(id, known))
        self._depth = 0
        self._child = self._branch
        return _text(self._branch(value))

    def _items(self, values: Sequence[object]) -> Sequence[Any]:
        """Nodes of members; the members themselves where JSON can say them all."""
        if self._scalars.issuperset(map(type, values)):
            return values
        if self._depth > BOUNDS.depth:
            raise _NotATreeError
        self._depth += 1
        child = self._child
        nodes = [child(value) for value in values]
        self._depth -= 1
        return nodes

    def _branch(self, value: object) -> Any:
        """The node of a value inside a tree."""
        if type(value) in self._scalars:
            return value
        if id(value) in self._seen and type(value) is not tuple:
            raise _NotATreeError
        self._seen.add(id(value))
        return self._pack(value)

    def _pack(self, value: Any) -> Any:
        kind = type(value)
        if kind is list:
            return self._items(value)
        if kind is int:
            return value if value.bit_length() < _INT_BITS else {"i": hex(value)}
        if kind in self._scalars:
            return value
        packer = _PACKERS.get(kind)
        if packer is not None:
            return {packer[0]: packer[1](self._items, value)}
        return self._pack_instance(value, kind)

    def _pack_instance(self, value: Any, kind: type) -> Any:
        handles = self._handles
        node = handles.existing(value) if handles is not None else None
        if node is None:
            node = pack_rich(self._items, value, kind, self.by_value)
        if node is not None:
            return node
        for base, copy in BASES:
            if issubclass(kind, base) and not is_named_tuple(kind):
                return self._pack(copy(value))
        node = handles.export(value) if handles is not None else None
        if node is None:
            raise UnsendableError(f"a value of type '{kind.__name__}' has no plain form")
        return node


class _Graph:
    """Numbers containers as they are met. Holds them, so that no number is given to two objects."""

    def __init__(self, encoder: Encoder, known: Sequence[object]) -> None:
        self.heap: list[object] = []
        self._encoder = encoder
        self._nodes: dict[int, Any] = {id(item): {"@": number} for number, item in enumerate(known)}

    def refer(self, value: object) -> Any:
        if self._encoder.is_scalar(value):
            return value
        node = self._nodes.get(id(value))
        if node is None:
            node = self._nodes[id(value)] = {"#": len(self.heap)}
            self.heap.append(value)
        return node


def _text(node: Any) -> bytes:
    data = _dump(node).encode("utf-8", "surrogatepass")
    if len(data) > BOUNDS.bytes or data.count(b",") > BOUNDS.items:
        raise TooLargeError(
            f"a value of {len(data)} bytes and {data.count(b',')} members is too large to send"
        )
    return data
