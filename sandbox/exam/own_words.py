"""`eval`, `exec` and `compile` for tests: of a program's answers they run what computes, and nothing that reaches.

`assert eval(infix("2 2 +")) == 4` runs a program's text in the tests' own process. So what such a text names must be
its own, harmless, or stand in the tests' own texts: `eval("f(1)")` and `exec(SETUP)` are as ever.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Mapping
from typing import Any

_MODULES = frozenset({"math", "cmath", "itertools", "functools", "collections", "heapq", "bisect"})
_REACHING = frozenset(
    {
        *("eval", "exec", "compile", "open", "input", "breakpoint", "exit", "quit", "help", "type", "super"),
        *("getattr", "setattr", "delattr", "globals", "locals", "vars", "dir", "object", "memoryview"),
        *("property", "classmethod", "staticmethod"),
    }
)
_HARMLESS = _MODULES | {name for name in dir(builtins) if not name.startswith("_")} - _REACHING
# Of frames and the like; and "{0.__globals__}".format(...) reads attributes as well.
_REACHING_ATTRIBUTES = ("_", "f_", "gi_", "cr_", "ag_", "tb_", "co_", "format")
_OWN_SPECIAL = frozenset({"__init__", "_"})


class ForeignTextError(ValueError):
    """A text that the tests were to run names what is none of its business."""


def running(words: frozenset[str]) -> Mapping[str, Callable[..., Any]]:
    """The three functions, for tests in whose texts these words stand."""

    def check(source: object) -> None:
        if isinstance(source, str | bytes | bytearray):
            try:
                tree = ast.parse(source.strip() if isinstance(source, str) else bytes(source))
            except (SyntaxError, ValueError):
                return  # Python says so itself
            _check(tree, words)

    def spaces(given: tuple[Any, ...], how: dict[str, Any]) -> tuple[Any, Any]:
        names = [*given, None, None][:2]
        names = [how.get(word, each) for word, each in zip(("globals", "locals"), names, strict=True)]
        if names[0] is not None:
            return names[0], names[0] if names[1] is None else names[1]
        frame = sys._getframe(2)
        return frame.f_globals, frame.f_locals if names[1] is None else names[1]

    def run_eval(source: Any, /, *given: Any, **how: Any) -> Any:
        check(source)
        return eval(source, *spaces(given, how))

    def run_exec(source: Any, /, *given: Any, **how: Any) -> None:
        check(source)
        exec(source, *spaces(given, how))

    def run_compile(source: Any, *about: Any, **how: Any) -> Any:
        check(source)
        return compile(source, *about, **{"dont_inherit": True, **how})

    return {"eval": run_eval, "exec": run_exec, "compile": run_compile}


def _check(tree: ast.AST, words: frozenset[str]) -> None:
    nodes = list(ast.walk(tree))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {
        getattr(node, "name", None) or "" for node in nodes
    }  # functions, classes, handlers, `import as`
    for node in nodes:
        for name, is_known in _named(node, bound):
            if name not in words and not is_known:
                raise ForeignTextError(f"a text of the program names '{name[:40]}'")


def _named(node: ast.AST, bound: set[str]) -> list[tuple[str, bool]]:
    """Names that a node reads or gives a meaning, each with whether any text may."""
    if isinstance(node, ast.Name):
        return [(node.id, node.id in _HARMLESS or (node.id in bound and not node.id.startswith("__")))]
    if isinstance(node, ast.Attribute):
        is_own = isinstance(node.ctx, ast.Load) or getattr(node.value, "id", "") == "self"
        return [(node.attr, is_own and not node.attr.startswith(_REACHING_ATTRIBUTES))]
    if isinstance(node, ast.Import):
        return [(alias.name, alias.name in _MODULES) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        own = [(alias.name, not alias.name.startswith("_")) for alias in node.names]
        return [(node.module or "", node.module in _MODULES), *own]
    name = getattr(node, "name", None)
    if isinstance(name, str) and not isinstance(node, ast.alias):
        return [(name, name in _OWN_SPECIAL or not name.startswith("__"))]
    return [("global", False)] if isinstance(node, ast.Global | ast.MatchClass) else []
