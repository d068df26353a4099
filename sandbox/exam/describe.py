"""What the candidate's side says about its own: objects that stay here and go by number, and its names.

A description is what the examiner needs to make a stand-in: the sort of thing, its class, the names of the
classes that it derives from, and the methods that can be called without asking for them first.
"""

from __future__ import annotations

import builtins
import enum
import sys
import types
from collections.abc import Mapping
from typing import Any

from proctor.sandbox.exam.bounds import MAX_NAMES, USUAL_MODULES
from proctor.sandbox.exam.operations import SIMPLE, SPECIAL, num_starred
from proctor.sandbox.exam.rich import BUILTIN_TYPES, error_names, field_names, is_named_tuple
from proctor.sandbox.exam.stand_in import StandIn

_METHODS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    classmethod,
    staticmethod,
)


_OWN_SPECIAL = SPECIAL | {
    "__str__",
    "__eq__",
    "__hash__",
}  # of a named tuple: what its class does in its own way


class Kept:
    """Marks a value that is to go by number although it has a plain form: an instance of a class under test."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class Numbered:
    """Objects that stay on this side, by number."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._told_classes: dict[type, int] = {}
        self.under_test: set[type] = set()  # classes that the tests name: their instances stay here

    def __getitem__(self, number: int) -> Any:
        return self._objects[number]

    def has(self, value: object) -> bool:
        return id(value) in self._numbers

    def existing(self, value: object) -> Any | None:
        if type(value) is StandIn:
            return {"y": value._number}
        if type(value) is Kept:
            return self.export(value.value)
        if not self.under_test.isdisjoint(type(value).__mro__):
            return self.export(value)
        number = self._numbers.get(id(value))
        return None if number is None else {"h": [number]}

    def export(self, value: Any) -> Any:
        number = self._numbers.get(id(value))
        if number is not None:
            return {"h": [number]}
        number = self._numbers[id(value)] = len(self._objects)
        self._objects.append(value)
        return {"h": [number, _sort(value), *self._class_of(value)]}

    @staticmethod
    def keep(value: Any) -> Any:
        """A new instance: by number, unless it cannot change and is data through and through."""
        return Kept(value) if _has_identity(type(value)) else value

    def _class_of(self, value: object) -> list[Any]:
        kind = value if isinstance(value, type) else type(value)
        told = self._told_classes.get(kind)
        if told is not None:
            return [told]
        number = self._told_classes[kind] = len(self._told_classes)
        methods = [
            name
            for base in kind.__mro__[:-1]
            for name, member in vars(base).items()
            if (isinstance(member, _METHODS) and not name.startswith("__") and base not in SIMPLE.values())
            or (name in SPECIAL and member is not None)
        ]
        return [number, [base.__name__ for base in kind.__mro__], sorted(set(methods))[:MAX_NAMES]]


def _has_identity(kind: type) -> bool:
    is_plain = issubclass(kind, enum.Enum | BaseException | frozenset | bytes)
    is_plain_tuple = is_named_tuple(kind) and _OWN_SPECIAL.isdisjoint(vars(kind))
    return not (is_plain or is_plain_tuple or BUILTIN_TYPES.get(kind.__name__) is kind)


def describe(names: Mapping[str, Any], path: str, numbered: Numbered) -> list[Any]:
    """What stands under a name: ["missing"], ["function"], ["error", bases], ["enum", ...] or ["value", it]."""
    try:
        value: Any = resolve(names, path)
    except (KeyError, AttributeError):
        return ["missing"]
    if isinstance(value, type):
        if issubclass(value, BaseException):
            return ["error", error_names(value)]
        if issubclass(value, enum.Enum):
            return _describe_enum(value)
        if is_named_tuple(value) and not _has_identity(value):
            return ["tuple", value.__name__, field_names(value)]
        if BUILTIN_TYPES.get(value.__name__) is value:
            return ["value", value]
        if _has_identity(value):
            numbered.under_test.add(value)
        return ["value", Kept(value)]
    return ["function"] if callable(value) and not isinstance(value, types.ModuleType) else ["value", value]


def _describe_enum(value: type[enum.Enum]) -> list[Any]:
    members = [[name, member._value_] for name, member in value.__members__.items()]
    mixin = getattr(value, "_member_type_", object)
    base = next(kind for kind in value.__mro__ if kind.__module__ == "enum")
    own = {
        name for kind in value.__mro__ if kind.__module__ not in ("enum", "builtins") for name in vars(kind)
    }
    specials = sorted(own & {*SPECIAL, "__str__", "__repr__", "__format__"})
    return ["enum", members, None if mixin is object else mixin.__name__, base.__name__, specials]


def resolve(names: Mapping[str, Any], path: str) -> Any:
    """`f`, or `Class.method`: of a plain method, bound to a new instance each time. Raises KeyError."""
    first, *rest = path.split(".")
    if first not in names:
        raise KeyError(f"the program does not define '{first}'")
    value = names[first]
    for name in rest:
        if isinstance(value, type) and isinstance(_member(value, name), types.FunctionType):
            value = value()
        value = getattr(value, name)
    return value


def code_of(function: Any) -> list[Any]:
    """Of a function, what its parameters are: flags, counts as code objects have them, names."""
    code = function.__code__
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount]
    num_names = counts[0] + counts[2] + num_starred(code.co_flags)
    return [code.co_flags, *counts, list(code.co_varnames[:num_names])]


def parameters_of(value: Any, name: str) -> list[Any]:
    """The parameters of a method, or of a class where the name is "", as `class_facts.signature` reads them."""
    import inspect  # heavy, and rarely needed

    signature = inspect.signature(getattr(value, name) if name else value)
    parts = [[each.name, int(each.kind), *_given(each)] for each in signature.parameters.values()]
    return [parts, *_given(signature)]


def _given(about: Any) -> list[Any]:
    """What is there of a default and of annotations: a list of none or one for each."""
    values = [getattr(about, part, about.empty) for part in ("default", "annotation", "return_annotation")]
    return [[] if value is about.empty else [value] for value in values]


def _member(kind: type, name: str) -> object:
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


def _sort(value: object) -> str:
    if isinstance(value, type):
        return "class"
    if isinstance(value, types.CoroutineType):
        return "awaitable"
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return "function"
    if isinstance(value, types.GeneratorType):
        return "generator"
    return "iterator" if hasattr(type(value), "__next__") else "object"


def pythons_own(name: str) -> object:
    """What a name means in Python's usual modules, or built in; None: nothing."""
    modules = (*(sys.modules.get(module) for module in USUAL_MODULES), builtins)
    return next((found for module in modules if (found := getattr(module, name, None)) is not None), None)
