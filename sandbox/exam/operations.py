"""What can be done to an object that stays on the other side, beyond calling it and reading attributes."""

from __future__ import annotations

import collections
import copy
import math
import operator
import os
from collections.abc import Callable, Mapping
from typing import Any

# Python's own words for its special methods: `op` requests carry the key, stand-ins define __key__.
BINARY = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift"),
)
IN_PLACE = tuple(f"i{name}" for name in BINARY if name != "divmod")
COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
UNARY = (
    *("neg", "pos", "abs", "invert", "len", "iter", "next", "reversed"),
    *("bool", "int", "float", "complex", "index", "str", "repr", "hash", "round", "floor", "ceil", "trunc"),
)
OTHER = ("getitem", "setitem", "delitem", "contains", "enter", "exit", "format", "await", "isinstance")
INSPECT = ("copy", "deepcopy", "dir", "fspath", "length_hint", "own_eq")  # nothing for objects of the tests
ASYNC = ("aiter", "anext", "aenter", "aexit")
# Special methods that a stand-in of an object has only where its class has them; all have the others.
SPECIAL = frozenset(
    f"__{name}__"
    for name in (
        *(*BINARY, *(f"r{name}" for name in BINARY), *IN_PLACE, *COMPARE[2:], *UNARY, *ASYNC),
        *(
            "get",
            "set",
            "set_name",
            "call",
            "contains",
            "getitem",
            "setitem",
            "delitem",
            "enter",
            "exit",
            "await",
            "dataclass_fields",
            "fspath",
            "length_hint",
        ),
    )
) - {"__str__", "__repr__", "__hash__"}
# Classes whose instances are, to `==`, what they hold.
COLLECTIONS: Mapping[str, Callable[[Any], Any]] = {
    "list": lambda value: list.copy(value),
    "tuple": lambda value: tuple.__getitem__(value, slice(None)),
    "dict": lambda value: dict(dict.items(value)),
    "set": lambda value: set(set.__iter__(value)),
    "deque": collections.deque,
    "Mapping": lambda value: dict(value.items()),
    "UserList": list,
    "UserString": str,
    "int": lambda value: int.__add__(value, 0),
    "float": lambda value: float.__float__(value),
    "str": lambda value: str.__getitem__(value, slice(None)),
}
# Of these, whose operators and methods are worked out on what they hold, where the class itself is not asked.
SIMPLE: Mapping[str, type] = {kind.__name__: kind for kind in (int, float, str)}
_loops: list[Any] = []


def data_of(value: Any) -> Any:
    """What an instance of a class that derives from one of COLLECTIONS holds."""
    return next(
        COLLECTIONS[kind.__name__](value) for kind in type(value).__mro__ if kind.__name__ in COLLECTIONS
    )


def _await(awaitable: Any) -> Any:
    """Runs an awaitable in a loop that lasts: what is bound to it, and generators half-way through, stay alive."""
    import asyncio  # heavy, and rarely needed

    async def wait() -> Any:
        return await awaitable

    if not _loops:
        _loops.append(asyncio.new_event_loop())
    return _loops[0].run_until_complete(wait())


def _own_eq(value: Any, other: Any) -> Any:
    """What its class says of it, NotImplemented too."""
    kind: Any = type(value)
    return kind.__eq__(value, other)


def _exit_operands(value: Any, error: Any) -> tuple[Any, ...]:
    return value, None if error is None else type(error), error, getattr(error, "__traceback__", None)


_BUILTINS: Mapping[str, Callable[..., Any]] = {
    "divmod": divmod,
    "abs": abs,
    "len": len,
    "iter": iter,
    "next": next,
    "reversed": reversed,
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "str": str,
    "repr": repr,
    "hash": hash,
    "round": round,
    "format": format,
    "enter": lambda value: type(value).__enter__(value),
    "exit": lambda value, error: type(value).__exit__(*_exit_operands(value, error)),
    "await": _await,
    "isinstance": isinstance,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "aiter": lambda value: type(value).__aiter__(value),
    "anext": lambda value: _await(type(value).__anext__(value)),
    "aenter": lambda value: _await(type(value).__aenter__(value)),
    "aexit": lambda value, error: _await(type(value).__aexit__(*_exit_operands(value, error))),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "dir": dir,
    "fspath": os.fspath,
    "length_hint": operator.length_hint,
    "own_eq": _own_eq,
}


def _operation(name: str) -> Callable[..., Any]:
    if name in _BUILTINS:
        return _BUILTINS[name]
    keyword = f"{name}_" if name in ("and", "or") else name
    found: Callable[..., Any] = getattr(operator, keyword)
    return found


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    act = _operation(name)
    return lambda value, other: act(other, value)


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **{name: _operation(name) for name in (*BINARY, *IN_PLACE, *COMPARE, *UNARY, *OTHER, *ASYNC, *INSPECT)},
    **{f"r{name}": _reflected(name) for name in BINARY},
}


def num_starred(flags: int) -> int:
    """How many of `*args` and `**kwargs` a code object with these flags has: CO_VARARGS is 4, CO_VARKEYWORDS 8."""
    return bool(flags & 4) + bool(flags & 8)
