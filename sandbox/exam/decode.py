"""Messages to values: the reading side of `encode.py`. The writer may be hostile.

Bytes and members are counted before anything is parsed, nesting is bounded by the interpreter's own check in
the parser, names are looked up and never imported, and no constructor runs but those of plain data. Whatever
is wrong, the answer is WireError.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from proctor.sandbox.exam.bounds import BOUNDS, Bounds, FloodError, WireError
from proctor.sandbox.exam.changes import FILL, replace
from proctor.sandbox.exam.classes import Classes
from proctor.sandbox.exam.plain import KINDS
from proctor.sandbox.exam.unfolding import unfolded

Known: TypeAlias = Callable[[], Sequence[Any]]  # the containers that a message may change, listed on demand

_MAKERS = {kind.tag: kind.make for kind in KINDS}
_NEW = {kind.tag: kind.new for kind in KINDS if kind.new is not None}
_HASHED = frozenset({"s", "f", "d", "C", "dd", "O", "dk", "di"})
_BODIES = frozenset({list, str, int})
_BUILDING = object()
_raw = json.JSONDecoder().raw_decode
_FEW = 4
# A longer number comes in hexadecimal. Where tests have lifted Python's own limit, reading one takes its square.
_USUAL_DIGITS = 4300
_digits_limit: Callable[[], int] = getattr(sys, "get_int_max_str_digits", lambda: 0)
_GRAPH = b'{"g":'
_CAUSES = (
    *(ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
    *(RecursionError, MemoryError, AssertionError, StopIteration, BufferError),
)


def _int(text: str) -> int:
    if len(text) > _USUAL_DIGITS:
        raise WireError("a number of too many digits")
    return int(text)


_raw_bounded = json.JSONDecoder(parse_int=_int).raw_decode


class Decoder:
    """Reads values. `adopt` turns the body of a handle, tag and body, into what stands for it here."""

    def __init__(
        self,
        classes: Classes | None = None,
        adopt: Callable[[str, Any], object] | None = None,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self.classes = classes or Classes()
        self._bounds = bounds
        self._bytes = self._items = 0  # of all messages so far
        # No copy of the table of kinds: in a forked process, touching all its functions takes 0.1 ms.
        self._makers: dict[str, Callable[[Any], Any]] = {**self.classes.makers, "o": self._record}
        if adopt is not None:
            self._makers["h"] = lambda body: adopt("h", body)
            self._makers["y"] = lambda body: adopt("y", body)
        self._parse = self._hooked(None)

    def decode(self, data: bytes, known: Known = tuple) -> Any:
        """The value of one line. Containers that `known()` lists are changed in place where it says so.

        Raises WireError for whatever is wrong with the message.
        """
        self._count(data)
        try:
            text = data.decode("utf-8", "surrogatepass")
            is_usual = len(data) < _USUAL_DIGITS or _digits_limit() == _USUAL_DIGITS
            if data.startswith(_GRAPH):
                node, end = (_raw if is_usual else _raw_bounded)(text)
                if end != len(text):
                    raise WireError("more than one value in a message")
                return _Graph(self.make, self.classes, known).build(
                    node, text.count("{"), self._bounds.unfolded
                )
            value, end = (self._parse if is_usual else self._hooked(_int))(text)
        except WireError:
            raise
        except _CAUSES as error:
            raise WireError(f"{type(error).__name__}: {error}"[:300]) from None
        if end != len(text):
            raise WireError("more than one value in a message")
        return value

    def _hooked(self, parse_int: Callable[[str], int] | None) -> Callable[[str], tuple[Any, int]]:
        return json.JSONDecoder(object_hook=self._hook, parse_int=parse_int).raw_decode

    def _count(self, data: bytes) -> None:
        """Raises FloodError where this message, or all of them together, hold more than they may."""
        bounds, members = self._bounds, data.count(b",")
        self._bytes += len(data)
        self._items += members
        if len(data) > bounds.bytes or members > bounds.items:
            raise FloodError(f"a message of {len(data)} bytes and {members} members")
        if self._bytes > bounds.all_bytes or self._items > bounds.all_items:
            raise FloodError(f"messages of {self._bytes} bytes and {self._items} members in all")

    def _hook(self, node: dict[str, Any]) -> Any:
        """Builds the value of a one-key object; its members are built already."""
        ((tag, body),) = node.items()
        return self.make(tag, body)

    def make(self, tag: str, body: Any) -> Any:
        """The value that a tag and the members behind it stand for."""
        if type(body) not in _BODIES:
            raise WireError("a value for the members of another")
        value = (_MAKERS.get(tag) or self._makers[tag])(body)
        if tag == "r" and (value.stop - value.start) // value.step > self._bounds.range:
            raise FloodError("a range of too many members")
        return value

    def _record(self, body: Any) -> Any:
        value = self.classes.new_record(body)
        self.classes.fill_record(value, body)
        return value


class _Graph:
    """Builds a heap of nodes that refer to one another.

    A mutable container is made empty when first referred to and filled later; an immutable one is built at
    once, members first. So every cycle that Python allows can be built, and no other.
    """

    def __init__(self, make: Callable[[str, Any], Any], classes: Classes, known: Known) -> None:
        self._make = make
        self._new = _NEW | {"o": classes.new_record}
        self._fill = FILL | {"o": classes.fill_record}
        self._find_known = known
        self._known: Sequence[Any] = ()
        self._heap: list[Any] = []
        self._built: dict[int, Any] = {}
        self._to_fill: list[tuple[Any, Any]] = []
        self._records_to_fill: list[tuple[Any, Any]] = []

    def build(self, node: Any, braces: int, most: int) -> Any:
        ((_, (self._heap, changes, root)),) = node.items()
        may_multiply = braces > _FEW  # each reference has a brace, however else it is written
        if may_multiply and unfolded([root, *changes], self._heap, most) > most:
            raise FloodError(f"a value of more than {most} members")
        if changes:
            self._known = self._find_known()
        if len(changes) != len(self._known):
            raise WireError("changes to other arguments than those that were sent")
        value = self._value(root)
        contents = [self._content(node) for node in changes]
        while waiting := self._records_to_fill or self._to_fill:
            self._put(*waiting.pop())
        if changes:
            for target, (tag, content) in zip(self._known, contents, strict=True):
                replace(target, tag, content)
        return value

    def _value(self, node: Any) -> Any:
        if type(node) is list:
            return [self._value(member) for member in node]
        if type(node) is not dict:
            return node
        ((tag, body),) = node.items()
        if tag == "#":
            return self._refer(body)
        if tag == "@":
            return self._known[_index(body)]
        return self._make(tag, self._members(tag, body))

    def _refer(self, number: int) -> Any:
        if number in self._built:
            if self._built[number] is _BUILDING:
                raise WireError("a cycle of immutable values")
            return self._built[number]
        node = self._heap[_index(number)]
        new = self._new.get(next(iter(node))) if type(node) is dict else None
        if type(node) is list or new is not None:
            self._built[number] = shell = [] if new is None else new(next(iter(node.values())))
            is_record = type(node) is dict and "o" in node
            (self._records_to_fill if is_record else self._to_fill).append((shell, node))
            return shell
        self._built[number] = _BUILDING
        self._built[number] = value = self._value(node)
        return value

    def _content(self, node: Any) -> tuple[str, Any]:
        """Tag and members of a container's node; the tag of a list is empty."""
        if type(node) is list:
            return "", self._value(node)
        ((tag, body),) = node.items()
        return tag, self._members(tag, body)

    def _members(self, tag: str, body: Any) -> Any:
        """Members, built. What will be hashed has its attributes already: its hash may depend on them."""
        if type(body) is dict:
            raise WireError("a value for the members of another")
        mark = len(self._records_to_fill)
        members = self._value(body)
        while tag in _HASHED and len(self._records_to_fill) > mark:
            self._put(*self._records_to_fill.pop())
        return members

    def _put(self, target: Any, node: Any) -> None:
        tag, members = self._content(node)
        if tag:
            self._fill[tag](target, members)
        else:
            target.extend(members)


def _index(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise WireError("a reference that is not a number")
    return number
