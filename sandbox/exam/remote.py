"""The tests' stand-ins for what the candidate's program holds: its classes and objects.

They do what the real thing would, with one exception that keeps verdicts honest: **no method of the
candidate's ever gets to see what a test expects of its answer.** So an object that has no plain form is
unequal to every plain value, has no order with it and no arithmetic with it, whatever its class says:
`abs(f(x) - 2.5) < 1e-6` cannot be answered by an object that f returned. Two exceptions, where the class
itself is what is tested: objects of classes that the tests name are compared with one another by their class,
and objects that the tests themselves made by calling such a class take plain operands, but for `-` and `/` once
they came back as an answer; with plain values they are compared among decoys (`decoys.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar

from proctor.sandbox.exam.call_site import takes_result
from proctor.sandbox.exam.class_facts import fact, fields_of, own_names, signature
from proctor.sandbox.exam.decoys import agrees, is_equal
from proctor.sandbox.exam.derived import taken_apart
from proctor.sandbox.exam.operations import COLLECTIONS, SIMPLE
from proctor.sandbox.exam.remote_function import refuse_protocol

if TYPE_CHECKING:
    from proctor.sandbox.exam.examinee import Examinee

_set = object.__setattr__
_TESTS = "tests"  # the name of the tests' own module: a protocol of the program may be met by their classes


def told(name: str) -> Any:
    """An attribute that is asked for."""
    return property(lambda self: self._proctor_examinee.ask("get", self, name))


class ClassInfo:
    """What is known of a class of the program, told once."""

    __slots__ = (
        "bases", "fields", "is_made", "methods", "name", "number", "sample", "simple", "told_bases",
        "under_test",
    )  # fmt: skip

    def __init__(self, bases: Sequence[str], methods: Sequence[str], under_test: bool) -> None:
        self.name = bases[0] if bases else "object"
        self.told_bases = tuple(bases)  # its own name first, as its `__mro__` has them
        self.bases = frozenset(bases)
        self.methods = frozenset(methods)  # that are known to be there: not what tests set or deleted
        self.under_test = under_test
        # The kind of number or text that it is, if any: only then do its methods count that are Python's own.
        self.simple = next((SIMPLE[name] for name in bases if name in SIMPLE), None) if under_test else None
        self.is_made = False  # the tests name it as a class
        self.number: int | None = None  # by which the candidate knows the class, once it was handed out
        self.sample: RemoteObject | None = None  # an instance
        self.fields: Mapping[str, Any] | None = None  # of a dataclass, once they were asked for


class RemoteClass(type):
    """The class of stand-ins of one class of the program, and itself the stand-in of that class.

    It has the special methods that the class has there. Called, it makes an object there.
    """

    _proctor_class: ClassInfo
    _proctor_examinee: Examinee
    __bases__, __base__, __mro__ = map(fact, ("__bases__", "__base__", "__mro__"))
    __dict__ = fact("__dict__")  # type: ignore[misc]
    __flags__ = fact("__flags__")

    def __new__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any], **how: Any) -> Any:
        base: Any = next((each for each in bases if "_proctor_class" in own_names(each)), None)
        if base is None:
            return super().__new__(cls, name, bases, names)
        own, members = taken_apart(bases, names)
        kind = super().__new__(cls, name, bases, own)
        base._proctor_examinee.derive(kind, bases, members, how)
        return kind

    def __init__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any], **how: Any) -> None:
        super().__init__(name, bases, names)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._proctor_examinee.construct(cls, args, kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name in cls._proctor_class.methods and not name.startswith("__"):
            return RemoteMethod(cls, name)
        if name == "__dataclass_fields__" and name in cls._proctor_class.methods:
            return cls._proctor_fields()
        refuse_protocol(name)
        return cls._proctor_examinee.ask("get", cls, name)

    @property
    def __signature__(cls) -> Any:
        return signature(lambda: cls._proctor_examinee.ask("parameters", cls, ""))

    def __setattr__(cls, name: str, value: object) -> None:
        if name.startswith("_proctor_"):
            type.__setattr__(cls, name, value)
        else:
            cls._proctor_class.methods -= {name}
            cls._proctor_examinee.ask("set", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        cls._proctor_class.methods -= {name}
        cls._proctor_examinee.ask("del", cls, name)

    def __instancecheck__(cls, value: Any) -> bool:
        if "_proctor_class" not in own_names(cls):
            return super().__instancecheck__(value)
        if not is_remote(value):
            is_protocol = "Protocol" in cls._proctor_class.bases and type(value).__module__ == _TESTS
            return is_protocol and cls._proctor_ask_class("isinstance", value, cls) is True
        bases = value._proctor_class.bases
        return cls._proctor_class.name in bases or cls._proctor_ask_class("isinstance", value, cls) is True

    def __subclasscheck__(cls, kind: type) -> bool:
        if "_proctor_class" not in own_names(cls) or not isinstance(kind, RemoteClass):
            return super().__subclasscheck__(kind)
        return cls._proctor_class.name in kind._proctor_class.bases

    def __dir__(cls) -> Any:
        return cls._proctor_ask_class("dir", cls)

    def __iter__(cls) -> Iterator[Any]:
        return iter(cls._proctor_ask_class("iter", cls))

    def __len__(cls) -> Any:
        return cls._proctor_ask_class("len", cls)

    def __bool__(cls) -> bool:
        return True

    def __getitem__(cls, key: object) -> Any:
        return cls._proctor_ask_class("getitem", cls, key)

    def __repr__(cls) -> str:
        return f"<class '{cls.__name__}' of the candidate>"

    def _proctor_ask_class(cls, name: str, *operands: object) -> Any:
        return cls._proctor_examinee.ask("op", name, *operands)

    def _proctor_fields(cls) -> Mapping[str, Any]:
        info = cls._proctor_class
        if info.fields is None:
            info.fields = fields_of(cls.__name__, cls._proctor_examinee.ask("fields", cls))
        return info.fields

    def _proctor_class_number(cls) -> int:
        """By which the candidate knows the class."""
        info = cls._proctor_class
        if info.number is None:
            cls._proctor_examinee.ask("get", info.sample, "__class__")
        return info.number if info.number is not None else -1


# Not in the body, where Python takes them for its own.
RemoteClass.__slots__ = fact("__slots__")  # type: ignore[attr-defined]
RemoteClass.__doc__ = property(lambda cls: cls._proctor_examinee.ask("get", cls, "__doc__"))  # type: ignore[assignment]


class RemoteObject(metaclass=RemoteClass):
    """An object that stays with the candidate. Attributes and methods are asked for when used."""

    __slots__ = (
        *("__weakref__", "_proctor_number"),
        "_proctor_is_made",  # by the tests, from a class that they name
        "_proctor_is_answer",  # it came back from the candidate since
        "_proctor_held",  # the number or text that it is, once that was asked for
        "_proctor_uses_before",  # the uses that were counted when `with` was entered
    )
    _proctor_class: ClassVar[ClassInfo]
    _proctor_examinee: ClassVar[Examinee]
    __dict__ = told("__dict__")

    @classmethod
    def _proctor_of(cls, number: int) -> RemoteObject:
        self = object.__new__(cls)
        _set(self, "_proctor_number", number)
        _set(self, "_proctor_is_made", False)
        _set(self, "_proctor_is_answer", False)
        _set(self, "_proctor_uses_before", -1)
        _set(self, "_proctor_held", None)
        if cls._proctor_class.sample is None:
            cls._proctor_class.sample = self
        return self

    def __getattr__(self, name: str) -> Any:
        if self._proctor_is_simple(name):
            return getattr(self._proctor_data(), name)
        if name in self._proctor_class.methods:
            return getattr(type(self), name) if name == "__dataclass_fields__" else RemoteMethod(self, name)
        refuse_protocol(name)
        return self._proctor_examinee.ask("get", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._proctor_class.methods -= {name}
        self._proctor_examinee.ask("set", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._proctor_examinee.ask("del", self, name)

    def __dir__(self) -> Any:
        return self._proctor_examinee.ask("op", "dir", self)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        """Of `class IntStack(Stack[int])`: the base is the class without its parameters."""
        return (self._proctor_examinee.ask("get", self, "__origin__"),)

    def __eq__(self, other: object) -> Any:
        if self is other:
            return True
        if comparable(self, other):
            return agrees("eq", self, other)
        if is_remote(other):
            return False
        if self._proctor_holds_data():
            return bool(self._proctor_data() == other)
        return self._proctor_is_tested and is_equal(self, other)

    def __ne__(self, other: object) -> bool:
        if comparable(self, other):
            return agrees("ne", self, other)
        found = self.__eq__(other)
        return found is not None and (found is NotImplemented or not found)

    def _proctor_holds_data(self) -> bool:
        """Whether it is a list, a dict or the like."""
        return not self._proctor_class.bases.isdisjoint(COLLECTIONS)

    def _proctor_is_simple(self, name: str) -> bool:
        """Whether an attribute is Python's own of a number or a text, and the class, if it is tested, has no other."""
        simple, methods = self._proctor_class.simple, self._proctor_class.methods
        is_own = self._proctor_is_tested and name in methods
        return simple is not None and hasattr(simple, name) and not (is_own or name.startswith("__"))

    def _proctor_data(self) -> Any:
        """What such an object holds; NotImplemented, which is equal to nothing, where the program sends no data.

        A number or a text is asked for once: it cannot change, and a program that lies might say another each time.
        """
        if self._proctor_held is not None:
            return self._proctor_held
        data = self._proctor_examinee.ask("data", self)
        simple = self._proctor_class.simple
        if simple is not None:  # a record may be called "str" and have a `startswith`
            _set(self, "_proctor_held", data if type(data) is simple else NotImplemented)
            return self._proctor_held
        return data if type(data).__name__ in COLLECTIONS and not is_remote(data) else NotImplemented

    @property
    def _proctor_is_tested(self) -> bool:
        """Whether what it is to a plain value is for its class to say: the tests made it, and it is no answer."""
        return self._proctor_is_made and not self._proctor_is_answer

    @property
    def _proctor_is_settled(self) -> bool:
        """Whether it is a number or a text whose class is not asked what operators make of it: an answer."""
        return self._proctor_class.simple is not None and not self._proctor_is_tested

    def __hash__(self) -> int:
        if self._proctor_class.simple:
            return hash(self._proctor_data())
        is_under_test = self._proctor_class.under_test
        return int(self._proctor_examinee.ask("op", "hash", self)) if is_under_test else self._proctor_number

    def __copy__(self) -> Any:
        return _derived(self, self._proctor_examinee.ask("op", "copy", self))

    def __deepcopy__(self, memo: object) -> Any:
        return _derived(self, self._proctor_examinee.ask("op", "deepcopy", self))

    def _proctor_ask(self, name: str, *operands: object) -> Any:
        """An operation that may well give the object itself, which is no answer then."""
        was_answer = self._proctor_is_answer
        found = self._proctor_examinee.ask("op", name, self, *operands)
        if found is self:
            _set(self, "_proctor_is_answer", was_answer)
        return found

    def __str__(self) -> str:
        return str(self._proctor_examinee.ask("op", "str", self))

    def __repr__(self) -> str:
        return str(self._proctor_examinee.ask("op", "repr", self))

    def __format__(self, how: str) -> str:
        return str(self._proctor_examinee.ask("op", "format", self, how))

    @property
    def __name__(self) -> str:
        return str(self._proctor_examinee.ask("get", self, "__name__"))


class RemoteGenerator(RemoteObject):
    """A generator of the program, which says to `isinstance` that it is one."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return GeneratorType


class RemoteMethod:
    """A method of an object that stays with the candidate."""

    __slots__ = ("_name", "_owner")

    def __init__(self, owner: RemoteObject | RemoteClass, name: str) -> None:
        self._owner = owner
        self._name = name

    @property
    def __name__(self) -> str:
        return self._name

    @property
    def __signature__(self) -> Any:
        return signature(lambda: self._owner._proctor_examinee.ask("parameters", self._owner, self._name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._owner._proctor_examinee.call_method(self._owner, self._name, args, kwargs)


def is_remote(value: object) -> bool:
    """Whether a value is a stand-in of an object; `isinstance` would ask in Python."""
    return isinstance(type(value), RemoteClass)


def comparable(one: RemoteObject, other: Any) -> bool:
    """Whether a comparison may be left to the candidate: both are objects of classes that the tests name."""
    return is_remote(other) and one._proctor_class.under_test and other._proctor_class.under_test


def made(value: Any, is_made: bool) -> Any:
    """Marks an object as made by the tests themselves, or worked out from such objects by operators.

    One that the tests had before, which they did not make then, is an answer all the same.
    """
    if is_remote(value):
        if not (value._proctor_is_made or value is value._proctor_examinee.newest):
            _set(value, "_proctor_is_answer", True)
        _set(value, "_proctor_is_made", is_made and value._proctor_class.under_test)
    return value


def _derived(source: RemoteObject, found: Any) -> Any:
    """A copy is what its original is."""
    if is_remote(found) and source._proctor_is_answer:
        _set(found, "_proctor_is_answer", True)
    return made(found, source._proctor_is_made)


def mark_classes(found: Mapping[str, Any]) -> None:
    """Marks the classes that the tests name as such: `f` may turn out to be one, and then f(2) is an answer."""
    for value in found.values():
        if isinstance(value, RemoteClass):
            names = [name for name, other in found.items() if other is value]
            value._proctor_class.is_made = all(name.lstrip("_")[:1].isupper() for name in names)


def came_back(value: Any) -> bool:
    """Whether an object that the tests made is back from the candidate, for the first time."""
    return is_remote(value) and value._proctor_is_made and not value._proctor_is_answer


def note_answers(came: Sequence[RemoteObject], answer: object) -> None:
    """Notes which objects are answers: a method that returns `self`, or prints it, may stand for a number so.

    Not in `bag.add(1)`, a statement of its own, where it is the whole `answer`.
    """
    for value in came:
        if value is not answer or takes_result(value._proctor_examinee.names):
            _set(value, "_proctor_is_answer", True)
