"""The special methods of stand-ins: each has those that its class has in the program, and no others.

So `callable`, `isinstance(x, Iterable)` and a `TypeError` for what a class cannot do are as they would be with
the real thing. What they may let the candidate see is said in `remote.py`.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from proctor.sandbox.exam.ancestry import claims
from proctor.sandbox.exam.decoys import agrees, is_ordered
from proctor.sandbox.exam.operations import BINARY, COMPARE, IN_PLACE, OPERATIONS, UNARY
from proctor.sandbox.exam.remote import (
    ClassInfo,
    RemoteClass,
    RemoteGenerator,
    RemoteObject,
    comparable,
    is_remote,
    made,
    told,
)
from proctor.sandbox.exam.remote_function import RemoteFunction

if TYPE_CHECKING:
    from proctor.sandbox.exam.examinee import Examinee

_set = object.__setattr__
_SHOWING = frozenset({"str", "repr", "format"})
# How tests measure an answer by what they expect.
_DISTANCES = frozenset({"sub", "rsub", "isub", "truediv", "rtruediv", "itruediv"})


def make_class(examinee: Examinee, info: ClassInfo, sort: str) -> RemoteClass:
    """The stand-in of a class, told about in `info`; `sort` is that of the object with which it came."""
    base = RemoteGenerator if sort == "generator" else RemoteObject
    names: dict[str, Any] = {name: _SPECIAL[name] for name in info.methods & _SPECIAL.keys()}
    names |= {"__slots__": (), "__module__": "solution", "__doc__": told("__doc__")} | claims(info)
    kind: RemoteClass = type.__new__(RemoteClass, info.name, (base,), names)
    kind._proctor_class, kind._proctor_examinee = info, examinee
    return kind


def _unary(name: str) -> Any:
    def method(self: RemoteObject, *operands: object) -> Any:
        if name not in _SHOWING and self._proctor_is_settled:
            return OPERATIONS[name](self._proctor_data(), *operands)
        return self._proctor_examinee.ask("op", name, self, *operands)

    return method


def _binary(name: str) -> Any:
    def method(self: RemoteObject, *operands: object) -> Any:
        if self._proctor_is_settled:
            return OPERATIONS[name](self._proctor_data(), *operands)
        is_made = self._proctor_is_made
        takes_plain = is_made and not (self._proctor_is_answer and name in _DISTANCES)
        if not (takes_plain or all(map(is_remote, operands))):
            return NotImplemented
        found = self._proctor_ask(name, *operands)
        return made(found, is_made) if is_made else found

    return method


def _ordered(name: str) -> Any:
    def method(self: RemoteObject, other: object) -> Any:
        if comparable(self, other):
            return agrees(name, self, other)
        if is_remote(other):
            return NotImplemented
        if self._proctor_holds_data():  # a heir of `set` or `list`: compared here
            return OPERATIONS[name](self._proctor_data(), other)
        return is_ordered(name, self, other) if self._proctor_is_tested else NotImplemented

    return method


def _contains(self: RemoteObject, item: object) -> bool:
    if self._proctor_is_made and not self._proctor_is_answer:
        return self._proctor_examinee.ask("op", "contains", self, item) is True
    if self._proctor_is_settled:
        return item in self._proctor_data()
    return any(member is item or member == item for member in self)  # type: ignore[attr-defined]


def _iter(self: RemoteObject) -> Iterator[Any]:
    if self._proctor_is_settled:
        return iter(self._proctor_data())
    found = self._proctor_examinee.ask("op", "iter", self)
    return found if hasattr(type(found), "__next__") else iter(found)


def _enter(self: RemoteObject) -> Any:
    found = self._proctor_ask("enter")
    _set(self, "_proctor_uses_before", self._proctor_examinee.uses)
    return found


def _exit(self: RemoteObject, kind: object, error: BaseException | None, trace: object) -> bool:
    """Tells what was raised, and lets nothing be swallowed but what the tests raised without its help."""
    return _leave(self, "exit", error)


async def _aenter(self: RemoteObject) -> Any:
    found = self._proctor_ask("aenter")
    _set(self, "_proctor_uses_before", self._proctor_examinee.uses)
    return found


async def _aexit(self: RemoteObject, kind: object, error: BaseException | None, trace: object) -> bool:
    return _leave(self, "aexit", error)


def _leave(self: RemoteObject, name: str, error: BaseException | None) -> bool:
    is_check = isinstance(error, AssertionError) or not isinstance(error, Exception)
    is_help = self._proctor_examinee.uses != self._proctor_uses_before
    told = AssertionError() if isinstance(error, AssertionError) else error  # its text may hold an answer
    try:
        swallows = self._proctor_examinee.ask("op", name, self, told) is True
    except Exception:
        if is_check and error is not None:
            return False  # a failed check stays one: nothing may be raised in its place
        raise
    return swallows and not (is_check or is_help)


async def wait(awaitable: RemoteObject, name: str = "await") -> Any:
    return awaitable._proctor_examinee.ask("op", name, awaitable)


def _get(self: RemoteObject, instance: object, owner: object = None) -> Any:
    """In a class body of the tests: a function becomes a method, other descriptors are asked."""
    if self._proctor_class.name == "function":
        return self if instance is None else types.MethodType(self, instance)  # type: ignore[arg-type]
    return self._proctor_examinee.call_method(self, "__get__", [instance, None], {})


def _passed_on(name: str) -> Any:
    return lambda self, *args: self._proctor_examinee.call_method(self, name, args, {})


# What stand-ins do for the special methods that a class of the program has.
_SPECIAL: Mapping[str, Any] = {
    "__call__": lambda self, *args, **kwargs: self._proctor_examinee.call(self, args, kwargs),
    "__contains__": _contains,
    "__iter__": _iter,
    "__enter__": _enter,
    "__exit__": _exit,
    "__aenter__": _aenter,
    "__aexit__": _aexit,
    "__aiter__": _unary("aiter"),
    "__anext__": lambda self: wait(self, "anext"),
    "__get__": _get,
    "__set__": _passed_on("__set__"),
    "__set_name__": lambda self, owner, name: _passed_on("__set_name__")(self, None, name),
    "__await__": lambda self: wait(self).__await__(),
    **{f"__{name}__": _unary(name) for name in UNARY if name not in ("iter", "str", "repr", "hash")},
    **{f"__{name}__": _unary(name) for name in ("getitem", "setitem", "delitem", "fspath", "length_hint")},
    **{f"__{name}__": _binary(name) for name in (*BINARY, *IN_PLACE, *(f"r{name}" for name in BINARY))},
    **{f"__{name}__": _ordered(name) for name in COMPARE[2:]},
}


_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})
_OF_ENUMS = {f"__{name}__": _unary(name) for name in (*UNARY, "format")} | {"__call__": _SPECIAL["__call__"]}


class _EnumClass(enum.EnumMeta):
    """Of an enum of the program: attributes that are no members are asked for."""

    _proctor_examinee: Examinee
    _proctor_path: RemoteFunction

    def __getattr__(cls, name: str) -> Any:
        if name in cls.__members__:
            return cls.__members__[name]
        if name.startswith("_"):
            raise AttributeError(name)
        return cls._proctor_examinee.ask("get", cls._proctor_path, name)


def enum_base(examinee: Examinee, path: str, base: str, specials: Sequence[str]) -> Any:
    """What an enum of the program derives from here: its members are data, and what else they have is asked for.

    Members are ordered by the program's class among themselves only.
    """

    def attribute(member: Any, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return examinee.ask("get", member, name)

    def ordered(name: str) -> Any:
        def method(member: Any, other: Any) -> Any:
            is_like = type(other) is type(member)
            return examinee.ask("op", name, member, other) is True if is_like else NotImplemented

        return method

    root: Any = getattr(enum, base) if base in _ENUMS else enum.Enum
    kind: Any = types.new_class("Base", (root,), {"metaclass": _EnumClass})
    methods = _OF_ENUMS | {f"__{name}__": ordered(name) for name in COMPARE[2:]}
    for name in methods.keys() & set(specials):
        setattr(kind, name, methods[name])
    kind.__getattr__, kind._proctor_is_settled = attribute, False
    kind._proctor_examinee, kind._proctor_path = examinee, RemoteFunction(examinee, path)
    return kind
