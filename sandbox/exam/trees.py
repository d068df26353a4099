"""A walk over a syntax tree, many times as fast as `ast.walk` on test sources, which are mostly literals."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

# They lead to nothing and say nothing that is asked here.
_LEAVES = (ast.Constant, ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
_LEAF_FIELDS = frozenset({"ctx", "op", "ops", "id", "attr", "type_comment", "type_ignores"})


def _kinds(base: type[ast.AST]) -> Iterator[type[ast.AST]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


# By exact class: a look-up takes a third of the time of `isinstance`, and there are a thousand in a source.
_FIELDS = {
    kind: tuple(field for field in kind._fields if field not in _LEAF_FIELDS)
    for kind in _kinds(ast.AST)
    if not issubclass(kind, _LEAVES)
}


def children(node: ast.AST) -> list[ast.AST]:
    """What is directly in a node, from left to right, but for constants and operators."""
    found: list[ast.AST] = []
    for field in _FIELDS.get(type(node), ()):
        value: Any = getattr(node, field, None)
        if type(value) is list:
            found += [item for item in value if type(item) in _FIELDS]
        elif type(value) in _FIELDS:
            found.append(value)
    return found


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but constants and operators, each before what is in it, from left to right."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(children(node))


def mentions(tree: ast.AST, names: frozenset[str]) -> bool:
    """Whether one of the names stands anywhere in a tree."""
    return any(type(node) is ast.Name and node.id in names for node in walk(tree))
