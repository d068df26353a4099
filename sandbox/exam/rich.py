"""Values whose class matters: named tuples, enums, dataclasses and other records, exceptions, types, numpy.

Written by name and data; the reader finds a class of that name among those it trusts (`Classes`), or makes
one that holds the data and nothing else. No method of the writer's class crosses, so none decides anything.
"""

from __future__ import annotations

import builtins
import dataclasses
import enum
import importlib
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from proctor.sandbox.exam.arrays import pack_array
from proctor.sandbox.exam.bounds import UnsendableError, WireError
from proctor.sandbox.exam.plain import SCALARS

Items: TypeAlias = Callable[[Sequence[object]], Sequence[Any]]

BUILTIN_ERRORS: Mapping[str, type[BaseException]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException) and kind.__name__ == name
}
_TYPES: tuple[type, ...] = (
    *(object, type, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset),
    *(range, slice, type(None), type(Ellipsis), type(NotImplemented), memoryview),
    *BUILTIN_ERRORS.values(),
)
BUILTIN_TYPES: Mapping[str, type] = {kind.__name__: kind for kind in _TYPES}
# Their exceptions keep their classes, but for those that tests are run by.
LIBRARIES = (sys.stdlib_module_names | {"numpy", "pandas"}) - {"unittest"}
# Classes of the library whose instances are what their text says.
_OF_TEXT: Mapping[str, Sequence[str]] = {
    "uuid": ("UUID",),
    "pathlib": ("PosixPath", "PurePosixPath", "PureWindowsPath"),
    "ipaddress": tuple(f"IPv{n}{kind}" for n in "46" for kind in ("Address", "Network", "Interface")),
}
_TESTS = "tests"  # the name of the tests' own module
_SENT_TEXT = 2000  # characters of an exception's argument that has no plain form


def pack_rich(items: Items, value: Any, kind: Any, by_value: frozenset[str]) -> Any | None:
    """The node of an instance of a class of someone's own, or None where it has no plain form."""
    if issubclass(kind, enum.Enum):
        return _pack_enum(items, value, kind)
    if issubclass(kind, BaseException):
        return pack_error(items, value)
    if issubclass(kind, tuple) and is_named_tuple(kind):
        return {"nt": [kind.__name__, field_names(kind), items(tuple.__getitem__(value, slice(None)))]}
    if kind.__name__ in by_value or is_plain_record(kind) or "_proctor_record" in vars(kind):
        state = state_of(value)
        return {"o": [kind.__name__, list(state), items(list(state.values()))]}
    if issubclass(kind, type):
        name: str = value.__name__
        return {"ty": name} if BUILTIN_TYPES.get(name) is value else None
    module = kind.__module__.partition(".")[0]
    if module in _OF_TEXT and kind.__name__ in _OF_TEXT[module]:
        return {"x": [module, kind.__name__, str(value)]}
    if "numpy" in sys.modules:
        return pack_array(items, value)
    return None


def make_of_text(body: Any) -> Any:
    module, name, text = body
    if name not in _OF_TEXT[module] or type(text) is not str:
        raise WireError("a class that is not made of a text")
    return getattr(importlib.import_module(module), name)(text)


def is_named_tuple(kind: type) -> bool:
    fields = getattr(kind, "_fields", None)
    return type(fields) is tuple and all(type(field) is str for field in fields)


def field_names(kind: Any) -> list[str]:
    return list(kind._fields)


def is_plain_record(kind: type) -> bool:
    """Whether a class is a dataclass that adds data only: no public method, property or comparison of its own."""
    if not dataclasses.is_dataclass(kind):
        return False
    fields = {field.name for field in dataclasses.fields(kind)}
    return not any(
        callable(member) or isinstance(member, property | classmethod | staticmethod)
        for base in kind.__mro__[:-1]
        for name, member in vars(base).items()
        if not name.startswith("__") and name not in fields
    )


def state_of(value: object) -> dict[str, object]:
    """The attributes of an instance: its `__dict__`, and what its slots hold."""
    state = dict(getattr(value, "__dict__", ()))
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name) and name not in ("__dict__", "__weakref__"):
                state[name] = getattr(value, name)
    return state


def is_method(value: object, name: str) -> bool:
    """Whether an object's class has a method of that name: nobody who sends attributes may put another there."""
    kind = type(value)
    found = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    is_field = name in getattr(kind, "__dataclass_fields__", ())
    return isinstance(found, types.FunctionType | classmethod | staticmethod) and not is_field


def set_state(value: object, names: Sequence[str], values: Sequence[object]) -> None:
    """Puts attributes back without asking the class: frozen dataclasses and properties are passed by.

    Attributes that would hide a method are left out.
    """
    own = getattr(value, "__dict__", None)
    for name, item in zip(names, values, strict=True):
        if is_method(value, name):
            continue
        if own is not None and not hasattr(getattr(type(value), name, None), "__set__"):
            own[name] = item
        else:
            object.__setattr__(value, name, item)


def _pack_enum(items: Items, value: Any, kind: Any) -> Any:
    name = value._name_ if isinstance(value._name_, str) else None
    return {"en": [kind.__name__, name, *items([value._value_]), kind._member_type_ is not object]}


def error_names(kind: type[BaseException]) -> list[Any]:
    """Names of its classes down to the first built-in one; of the standard library's with their module.

    Of a class with several bases that are exceptions, the name, and the names of each base in a list.
    """
    if BUILTIN_ERRORS.get(kind.__name__) is kind:
        return [kind.__name__]
    is_known = kind.__module__.partition(".")[0] in LIBRARIES
    name = f"{kind.__module__}:{kind.__name__}" if is_known else kind.__name__
    bases = [error_names(base) for base in kind.__bases__ if issubclass(base, BaseException)]
    return [name, *bases] if len(bases) > 1 else [name, *bases[0]]


def pack_error(items: Items, error: BaseException, with_cause: bool = True) -> Any:
    """Names of its classes, its arguments, attributes of plain data, its text, and what it was raised from."""
    own = {name: item for name, item in vars(error).items() if not name.startswith("__")}
    own = _in_classes_of_tests(type(error)) | own
    file = error.filename if isinstance(error, OSError) else None
    args = [_sendable(items, arg) for arg in (*error.args, *(() if file is None else (file,)))]
    values = [_sendable(items, item) for item in own.values()]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    about = [_own_text(error), None, None]
    if cause is not None and with_cause:
        about[1 if error.__cause__ else 2] = pack_error(items, cause, with_cause=False)
    return {"E": [error_names(type(error)), args, list(own), values, *about]}


def _in_classes_of_tests(kind: type) -> dict[str, Any]:
    """What classes of the tests say of all their exceptions (`code = 404`): the program has no such class."""
    return {
        name: value
        for base in reversed(kind.__mro__)
        if base.__module__ == _TESTS
        for name, value in vars(base).items()
        if type(value) in SCALARS and not name.startswith("__")
    }


def _own_text(error: BaseException) -> str | None:
    """What its class makes of it in words, where that is not what built-in exceptions do."""
    writer = next(kind for kind in type(error).__mro__ if "__str__" in vars(kind))
    if BUILTIN_ERRORS.get(writer.__name__) is writer or writer is object:
        return None
    try:
        return str(error)[:_SENT_TEXT]
    except Exception:  # the border to a `__str__` of the program's
        return None


def _sendable(items: Items, value: object) -> Any:
    try:
        return items([value])[0]
    except UnsendableError:
        return repr(value)[:_SENT_TEXT]
