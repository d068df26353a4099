"""Classes that tests derive from the program's: `class Inc(Plugin)`, with methods of the tests' own.

Such a class is made on both sides. The program has one with the same members, so that its own methods find them; its
methods are the tests' functions, called there as callbacks are. The tests have a stand-in with these functions, which
run here when tests call them. What else is in the class (data, what decorators of the program made) is asked for.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proctor.sandbox.exam.class_facts import own_names

_OF_PYTHON = frozenset({"__module__", "__qualname__", "__classcell__", "__dict__", "__weakref__", "__doc__"})
_WRAPPERS: Mapping[str, type] = {"class": classmethod, "static": staticmethod}


def taken_apart(bases: Sequence[type], names: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """What the body of such a class holds on the tests' side, and its members for the program's: name, sort, value.

    A base that is the tests' own is nothing that the program knows: what it has counts as if the class had it.
    """
    members: list[Any] = []
    for base in reversed(bases):
        if not hasattr(type(base), "_proctor_class_number"):
            for each in reversed(base.__mro__[:-1]):
                members += _members(vars(each))
    members += _members(names)
    own = {name: value for name, value in names.items() if name in _OF_PYTHON or _sort(value) != "data"}
    return own | {"__slots__": ()}, members


def _members(names: Mapping[str, Any]) -> list[Any]:
    return [
        part
        for name, value in names.items()
        if name not in _OF_PYTHON
        for part in (name, _sort(value), _parts(value))
    ]


def _sort(value: object) -> str:
    if isinstance(value, types.FunctionType):
        return "function"
    if isinstance(value, property):
        return "property"
    return next((sort for sort, kind in _WRAPPERS.items() if isinstance(value, kind)), "data")


def _parts(value: Any) -> Any:
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    return value.__func__ if isinstance(value, classmethod | staticmethod) else value


def build(name: str, bases: Sequence[type], members: Sequence[Any], how: Mapping[str, Any]) -> type:
    """The class on the program's side. Raises what the program's classes raise of it."""
    body = {
        each: _member(each, sort, value)
        for each, sort, value in zip(members[::3], members[1::3], members[2::3], strict=True)
    }
    return types.new_class(name, tuple(bases), dict(how), lambda names: names.update(body))


def _member(name: str, sort: str, value: Any) -> Any:
    if sort == "property":
        return property(*(part and _method(name, part) for part in value))
    if sort == "data":
        return value
    method = _method(name, value)
    return _WRAPPERS[sort](method) if sort in _WRAPPERS else method


def _method(name: str, function: Callable[..., Any]) -> Any:
    """A function, which binds to objects as the stand-in of one would not."""
    if isinstance(function, types.FunctionType):  # the program's own, back from the tests
        return function

    def method(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    method.__name__ = name
    return method


class Super:
    """`super()` in a method of such a class: whatever its attributes are called, the program has them."""

    __slots__ = ("_about",)

    @classmethod
    def of(cls, kind: Any, owner: object) -> Super:
        self = object.__new__(cls)
        object.__setattr__(self, "_about", (kind, owner))
        return self

    def __getattribute__(self, name: str) -> Any:
        kind, owner = object.__getattribute__(self, "_about")
        return kind._proctor_examinee.ask("super", kind, owner, name)


def super_of(*args: Any) -> Any:
    """`super` for tests that use it: Python's own but in such a class, whose bases are the program's."""
    if len(args) == 1:
        return super(*args)
    kind, owner = args or _of_caller()
    if "_proctor_class" in own_names(kind):
        return Super.of(kind, owner)
    return super(kind, owner)


def _of_caller() -> tuple[Any, Any]:
    """The class in whose body the function that says `super()` stands, and what it was called on."""
    frame = sys._getframe(2)
    held, first = frame.f_locals, frame.f_code.co_varnames[:1]
    if "__class__" not in held or not first or first[0] not in held:
        raise RuntimeError("super(): no arguments")
    return held["__class__"], held[first[0]]
