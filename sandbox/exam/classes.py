"""The reader's side of values whose class matters: finds a trusted class by name, or makes one without methods.

A class of the tests whose instances compare in a way of their own must not be made to order by a candidate:
`shared` names the classes whose instances it may send.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

from proctor.sandbox.exam.arrays import make_array, make_scalar
from proctor.sandbox.exam.bounds import MAX_CLASSES, MAX_NAMES, WireError, listed
from proctor.sandbox.exam.rich import (
    BUILTIN_ERRORS,
    BUILTIN_TYPES,
    LIBRARIES,
    field_names,
    is_named_tuple,
    make_of_text,
    set_state,
)

_MADE = {"_proctor_record": True}  # classes that came as data, and whose instances go as data
_MEMBER_BITS = 10_000  # of an enum
_MAX_BASES = 20  # of an exception
_ERROR_TEXT = 10_000  # characters of an exception's argument
_TEXT = "__proctor_text__"  # what an exception says of itself, where its class says it in its own way


class _ErrorClass(type):
    """Of exceptions of the program: attributes of a class that the tests name are asked for."""

    _proctor_read: Callable[[str], Any] | None = None

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_") or cls._proctor_read is None:
            raise AttributeError(name)
        return cls._proctor_read(name)


class Record:
    """An instance of a dataclass that only the candidate's side knows: its class's name and its data.

    Equal to another one of the same name with equal data, as dataclasses are.
    """

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return type(self).__name__ == type(other).__name__ and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self).__name__, *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Classes:
    """Classes by name. `trusted` are those of the reader's own side; others are made when first met.

    Attributes:
        shared: names of trusted classes that count; None: all of them.
        has_met_type: the other side has sent `type`, which makes classes.
    """

    def __init__(
        self, trusted: Mapping[str, Any] | None = None, ask: Callable[..., Any] | None = None
    ) -> None:
        self._ask = ask  # the other side, for an attribute of an exception that did not come with it
        self.shared: frozenset[str] | None = None
        self.has_met_type = False
        self._trusted: Mapping[str, Any] = {} if trusted is None else trusted
        self._made: dict[tuple[object, ...], Any] = {}
        self._enums: dict[str, Any] = {}  # told with all their members
        self._aliases: dict[str, type[BaseException]] = {}
        self.makers: dict[str, Callable[[Any], Any]] = {
            "nt": self._named_tuple,
            "en": self._enum_member,
            "E": self._error,
            "ty": self._builtin_type,
            "x": make_of_text,
            "np": make_array,
            "ns": make_scalar,
        }

    @property
    def made(self) -> Collection[Any]:
        """The classes that were made here."""
        return self._made.values()

    def _builtin_type(self, name: str) -> type:
        self.has_met_type |= name == "type"
        return BUILTIN_TYPES[name]

    def new_record(self, body: Any) -> Any:
        """An instance without its attributes yet; `fill_record` gives them."""
        kind = self._find(body[0])
        if not (isinstance(kind, type) and kind.__module__ not in ("builtins",)):
            kind = self._make(("record", body[0]), lambda: type(body[0], (Record,), _MADE))
        return object.__new__(kind)

    @staticmethod
    def fill_record(value: Any, body: Any) -> None:
        set_state(value, list(map(_text, body[1])), body[2])

    def error_class(self, names: Sequence[Any]) -> type[BaseException]:
        """The exception class that is called names[0] and derives from names[1] and so on to a built-in one.

        Lists of names behind the first are those of several bases.
        """
        if _num_names(names) > _MAX_BASES:
            raise WireError(f"an exception class with more than {_MAX_BASES} bases")
        module, _, first = _text(names[0]).rpartition(":")
        trusted = self._aliases.get(first) or self._trusted.get(first, BUILTIN_ERRORS.get(first))
        if isinstance(trusted, type) and issubclass(trusted, BaseException):
            return trusted
        if module and (found := _library_error(module, first)):
            return found
        lines = names[1:] if isinstance(names[-1], list) else [names[1:] or ["Exception"]]
        bases = tuple(map(self.error_class, lines))
        made: type[BaseException] = self._make(
            ("error", first, *bases), lambda: self._make_error(first, bases)
        )
        return made

    def named_error(
        self,
        names: Sequence[Any],
        construct: Callable[..., BaseException],
        read: Callable[[str], Any],
    ) -> type[BaseException]:
        """The same for a class that the tests name: they may make instances, by `construct`, and `read` it."""
        kind: Any = self.error_class(names)

        def initialise(self: BaseException, *args: Any, **kwargs: Any) -> None:
            made = construct(*args, **kwargs)
            if not isinstance(self, type(made)):  # the tests may have derived a class
                raise WireError("an exception of another class than was asked for")
            self.args = made.args
            vars(self).update(vars(made))

        if kind in self.made:
            kind.__init__, kind._proctor_read = initialise, staticmethod(read)
        found: type[BaseException] = kind
        return found

    def _make_error(self, name: str, bases: tuple[type[BaseException], ...]) -> type[BaseException]:
        def text(self: BaseException) -> str:
            told = vars(self).get(_TEXT)
            return bases[0].__str__(self) if told is None else _text(told)

        def attribute(error: BaseException, name: str) -> Any:
            if self._ask is None or name.startswith("__"):
                raise AttributeError(name)
            return self._ask("get", error, name)  # a property or method of the program's class

        made: Any = _ErrorClass(name, bases, {"__str__": text, "__getattr__": attribute})
        found: type[BaseException] = made
        return found

    def alias(self, kind: type[BaseException]) -> type[BaseException]:
        """A class in place of a built-in one that a program calls by a name of its own (`Full = Exception`).

        What the program raises of the built-in one is of this class from now on; what the tests raise is not.
        """
        return self._aliases.setdefault(kind.__name__, type(kind.__name__, (kind,), {}))

    def named_tuple(self, name: str, fields: Sequence[str]) -> Any:
        trusted = self._find(name)
        if isinstance(trusted, type) and is_named_tuple(trusted) and field_names(trusted) == list(fields):
            return trusted
        return self._make(("tuple", name, *fields), lambda: self._named_tuple_class(name, fields))

    def enum(self, name: str, members: Sequence[tuple[str, object]], base: Any, mixin: type | None) -> Any:
        """The enum class of that name, which members that come later belong to."""
        trusted = self._find(name)
        if not _is_enum(trusted):
            trusted = self._enums[name] = _enum_class(name, members, base, mixin)
        return trusted

    def _find(self, name: object) -> Any:
        text = _text(name)
        return self._trusted.get(text) if self.shared is None or text in self.shared else None

    def _named_tuple(self, body: Any) -> Any:
        name, fields, values = body
        if len(fields) != len(values):
            raise WireError(f"named tuple '{name}' has {len(fields)} fields and {len(values)} values")
        return tuple.__new__(self.named_tuple(name, list(map(_text, fields))), values)

    def _named_tuple_class(self, name: str, fields: Sequence[str]) -> type:
        """What collections.namedtuple would make, without its 300 microseconds of generated source."""

        def attribute(value: tuple[Any, ...], name: str) -> Any:
            if self._ask is None or name.startswith("_"):
                raise AttributeError(name)
            return self._ask("get", value, name)  # a property or method of the program's class

        def replaced(value: Any, **changes: Any) -> Any:
            return type(value)._make(
                [changes.pop(field, old) for field, old in zip(fields, value, strict=True)]
            )

        members: dict[str, Any] = {
            "__slots__": (),
            "_fields": tuple(fields),
            "_asdict": lambda self: dict(zip(fields, self, strict=True)),
            "_make": classmethod(tuple.__new__),
            "_replace": replaced,
            "__getattr__": attribute,
            "__repr__": lambda self: (
                f"{name}({', '.join(f'{f}={v!r}' for f, v in zip(fields, self, strict=True))})"
            ),
        }
        for position, field in enumerate(fields):
            if not field.startswith("_"):
                members[field] = property(itemgetter(position))
        return type(name, (tuple,), members)

    def _enum_member(self, body: Any) -> Any:
        name, member, value, mixed = body
        known = self._find(name)
        if not _is_enum(known):
            known = self._enums.get(name)
        if known is not None:
            return known[_text(member)] if member in known.__members__ else known(value)
        if mixed or member is None:
            return value
        made = self._make(("enum", name, member), lambda: _enum_class(name, [(member, value)]))
        return made[member]

    def _error(self, body: Any) -> BaseException:
        names, args, own_names, own, *about = body
        kind = self.error_class(names)
        args = listed(args) if issubclass(kind, StopIteration) else list(map(_cut, listed(args)))
        try:
            # a built-in's constructor sets more than args: SystemExit.code, OSError.errno, StopIteration.value
            error = kind(*args) if BUILTIN_ERRORS.get(kind.__name__) is kind else kind.__new__(kind, *args)
        except TypeError:
            error = kind.__new__(kind)
        if not isinstance(error, OSError):  # which takes the name of a file out of them
            error.args = tuple(args)
        vars(error).update(zip(map(_text, own_names), own, strict=True))
        if about:
            text, error.__cause__, error.__context__ = about
            vars(error)[_TEXT] = _cut(text)
        return error

    def _make(self, key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        if key not in self._made:
            if len(self._made) >= MAX_CLASSES:
                raise WireError(f"more than {MAX_CLASSES} different classes")
            self._made[key] = make()
        return self._made[key]


def _num_names(names: Sequence[Any]) -> int:
    """How many there are, in lists within lists, as far as one needs to know."""
    waiting, found = list(names), 0
    while waiting and found <= _MAX_BASES:
        each = waiting.pop()
        found += 1
        if isinstance(each, list):
            waiting += each
    return found


def _library_error(module: str, name: str) -> type[Exception] | None:
    """An exception class of a library that is loaded here; none of those that tests run by."""
    found = vars(sys.modules.get(module, object)).get(name)
    is_error = isinstance(found, type) and issubclass(found, Exception) and not name.startswith("_")
    return found if is_error and module.partition(".")[0] in LIBRARIES else None


def _enum_class(
    name: str, members: Sequence[tuple[str, object]], base: Any = enum.Enum, mixin: type | None = None
) -> Any:
    """Refuses names that are no members but take part in comparing and finding them (`__eq__`, `_missing_`).

    And what Python would take long to make a class of: many members, flags of many bits.
    """
    is_long = any(isinstance(value, int) and int.bit_length(value) > _MEMBER_BITS for _, value in members)
    if is_long or len(members) > MAX_NAMES:
        raise WireError("an enum of too many members or bits")
    if any(
        _text(member).startswith(("__", "_proctor")) or member[:1] == member[-1:] == "_"
        for member, _ in members
    ):
        raise WireError("an enum with members that are none")
    return base(_text(name), list(members), type=mixin if base._member_type_ is object else None)


def _is_enum(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, enum.Enum)


def _cut(value: Any) -> Any:
    """A text of an exception, as tests search it: a regular expression may take time by the square of it."""
    return value[:_ERROR_TEXT] if type(value) is str else value


def _text(value: object) -> str:
    if type(value) is not str:  # a stand-in may claim to be one, and be another one each time
        raise WireError(f"a name was expected, not {type(value).__name__}")
    return value
