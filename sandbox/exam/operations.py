"""What can be done to an object that stays on the other side, beyond calling it and reading attributes."""

from __future__ import annotations

import operator
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
    *("bool", "int", "float", "complex", "index", "str", "repr", "hash", "round"),
)
OTHER = ("getitem", "setitem", "delitem", "contains", "enter", "exit", "format", "await", "isinstance")


def _await(awaitable: Any) -> Any:
    import asyncio  # heavy, and rarely needed

    async def wait() -> Any:
        return await awaitable

    return asyncio.run(wait())


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
    "exit": lambda value, error: type(value).__exit__(
        value, None if error is None else type(error), error, getattr(error, "__traceback__", None)
    ),
    "await": _await,
    "isinstance": isinstance,
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
    **{name: _operation(name) for name in (*BINARY, *IN_PLACE, *COMPARE, *UNARY, *OTHER)},
    **{f"r{name}": _reflected(name) for name in BINARY},
}
