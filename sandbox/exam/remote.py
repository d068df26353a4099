"""The tests' stand-ins for what the candidate's program holds: its functions, classes and objects.

They do what the real thing would, with one exception that keeps verdicts honest: **no method of the
candidate's ever gets to see what a test expects of its answer.** So an object that has no plain form is
unequal to every plain value, has no order with it and no arithmetic with it, whatever its class says:
`abs(f(x) - 2.5) < 1e-6` cannot be answered by an object that f returned. Two exceptions, where the class
itself is what is tested: objects of classes that the tests name are compared with one another by their class,
and objects that the tests themselves made by calling such a class take plain operands, but for `-` and `/` once
they came back as an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from proctor.sandbox.exam.call_site import takes_result
from proctor.sandbox.exam.operations import BINARY, COMPARE, IN_PLACE

if TYPE_CHECKING:
    from proctor.sandbox.exam.examinee import Examinee

_set = object.__setattr__
# How tests measure an answer by what they expect.
_DISTANCES = frozenset({"sub", "rsub", "isub", "truediv", "rtruediv", "itruediv"})


class RemoteFunction:
    """A function of the program, by its name there."""

    def __init__(self, examinee: Examinee, path: str) -> None:
        self._examinee = examinee
        self._path = path
        self.__name__ = self.__qualname__ = path.rpartition(".")[2]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._examinee.call(self._path, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._examinee.ask("get", self, name)  # `f.cache_info()`

    def __repr__(self) -> str:
        return f"<{self._path} of the candidate>"


class RemoteClassInfo:
    """What is known of a class of the program, told once."""

    __slots__ = ("bases", "methods", "name", "under_test")

    def __init__(self, bases: Sequence[str], methods: Sequence[str], under_test: bool) -> None:
        self.name = bases[0] if bases else "object"
        self.bases = frozenset(bases)
        self.methods = frozenset(methods)
        self.under_test = under_test


class RemoteObject:
    """An object that stays with the candidate. Attributes and methods are asked for when used."""

    __slots__ = ("__weakref__", "_examinee", "_info", "_is_answer", "_is_made", "_number", "_uses_before")

    def __init__(self, examinee: Examinee, number: int, info: RemoteClassInfo) -> None:
        _set(self, "_examinee", examinee)
        _set(self, "_number", number)
        _set(self, "_info", info)
        # by the tests, from a class that they name; of a class: that they name it as one
        _set(self, "_is_made", False)
        _set(self, "_is_answer", False)  # it came back from the candidate since
        _set(self, "_uses_before", -1)  # the uses that were counted when `with` was entered

    def __getattr__(self, name: str) -> Any:
        if name in self._info.methods:
            return RemoteMethod(self, name)
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # protocols (numpy's, copy's, pickle's) that tests did not ask for
        return self._examinee.ask("get", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._examinee.ask("set", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._examinee.ask("del", self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._examinee.call(self, args, kwargs)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            _comparable(self, other) and self._examinee.ask("op", "eq", self, other) is True
        )

    def __ne__(self, other: object) -> bool:
        if _comparable(self, other):
            return self._examinee.ask("op", "ne", self, other) is True
        return self is not other

    def __hash__(self) -> int:
        return int(self._examinee.ask("op", "hash", self)) if self._info.under_test else self._number

    def __contains__(self, item: object) -> bool:
        if self._is_made and not self._is_answer:
            return self._examinee.ask("op", "contains", self, item) is True
        return any(member is item or member == item for member in self)

    def __iter__(self) -> Iterator[Any]:
        found = self._examinee.ask("op", "iter", self)
        return found if isinstance(found, RemoteIterator) else iter(found)

    def __enter__(self) -> Any:
        found = self._ask_of_itself("enter")
        _set(self, "_uses_before", self._examinee.uses)
        return found

    def _ask_of_itself(self, name: str, *operands: object) -> Any:
        """An operation that may well give the object itself, which is no answer then."""
        was_answer = self._is_answer
        found = self._examinee.ask("op", name, self, *operands)
        if found is self:
            _set(self, "_is_answer", was_answer)
        return found

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Tells what was raised, and lets nothing be swallowed but what the tests raised without its help."""
        is_check = isinstance(error, AssertionError) or not isinstance(error, Exception)
        is_help = self._examinee.uses != self._uses_before
        told = AssertionError() if isinstance(error, AssertionError) else error  # its text may hold an answer
        swallows = self._examinee.ask("op", "exit", self, told) is True
        return swallows and not (is_check or is_help)

    def __repr__(self) -> str:
        return str(self._examinee.ask("op", "repr", self))

    @property
    def __name__(self) -> str:
        return str(self._examinee.ask("get", self, "__name__"))

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, RemoteObject) and self._info.name in value._info.bases


class RemoteClass(RemoteObject):
    """A class of the program. Called, it makes an object there."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._examinee.construct(self, args, kwargs)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return int(self._number)

    def __subclasscheck__(self, kind: object) -> bool:
        return isinstance(kind, RemoteClass) and self._info.name in kind._info.bases

    def __repr__(self) -> str:
        return f"<class {self._info.name} of the candidate>"

    @property
    def __name__(self) -> str:
        return str(self._info.name)


class RemoteIterator(RemoteObject):
    """An iterator or generator of the program; items are fetched one by one, as they are asked for."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._examinee.ask("op", "next", self)


class RemoteGenerator(RemoteIterator):
    """A generator of the program, which says to `isinstance` that it is one."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return GeneratorType


class RemoteMethod:
    """A method of an object that stays with the candidate."""

    __slots__ = ("_name", "_owner")

    def __init__(self, owner: RemoteObject, name: str) -> None:
        self._owner = owner
        self._name = name

    @property
    def __name__(self) -> str:
        return self._name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._owner._examinee.call_method(self._owner, self._name, args, kwargs)


def _comparable(one: RemoteObject, other: object) -> bool:
    """Whether a comparison may be left to the candidate: both are objects of classes that the tests name."""
    return isinstance(other, RemoteObject) and one._info.under_test and other._info.under_test


def made(value: Any, source: RemoteObject) -> Any:
    """Marks an object as made by the tests themselves, or worked out from such objects by operators."""
    if isinstance(value, RemoteObject) and not isinstance(value, RemoteClass):
        _set(value, "_is_made", source._is_made and value._info.under_test)
    return value


def mark_classes(found: Mapping[str, Any]) -> None:
    """Marks the classes that the tests name as such: `f` may turn out to be one, and then f(2) is an answer."""
    for value in found.values():
        if isinstance(value, RemoteClass):
            names = [name for name, other in found.items() if other is value]
            _set(value, "_is_made", all(name.lstrip("_")[:1].isupper() for name in names))


def came_back(value: RemoteObject) -> RemoteObject:
    """Notes of an object that came as an answer: a method that returns `self` may stand for a number so."""
    if takes_result(value._examinee.names):
        _set(value, "_is_answer", True)
    return value


def _unary(name: str) -> Any:
    def method(self: RemoteObject, *operands: object) -> Any:
        return self._examinee.ask("op", name, self, *operands)

    return method


def _binary(name: str) -> Any:
    def method(self: RemoteObject, *operands: object) -> Any:
        takes_plain = self._is_made and not (self._is_answer and name in _DISTANCES)
        if not (takes_plain or all(isinstance(operand, RemoteObject) for operand in operands)):
            return NotImplemented
        is_made = self._is_made
        found = self._ask_of_itself(name, *operands)
        return made(found, self) if is_made else found

    return method


def _ordered(name: str) -> Any:
    def method(self: RemoteObject, other: object) -> Any:
        return (
            self._examinee.ask("op", name, self, other) is True
            if _comparable(self, other)
            else NotImplemented
        )

    return method


_UNARY = ("neg", "pos", "abs", "invert", "len", "reversed", "bool", "int", "float", "complex", "index", "str")
for _name in (*_UNARY, "round", "getitem", "setitem", "delitem", "format"):
    setattr(RemoteObject, f"__{_name}__", _unary(_name))
for _name in (*BINARY, *IN_PLACE, *(f"r{name}" for name in BINARY)):
    setattr(RemoteObject, f"__{_name}__", _binary(_name))
for _name in COMPARE[2:]:
    setattr(RemoteObject, f"__{_name}__", _ordered(_name))
