"""Calls that tests are sure to make, read off their text, so that they can be sent before they are asked.

`assert candidate([1, 2]) == 3` needs no answer before its arguments are known. Sent in one go, ten such calls
cost one change of process instead of twenty. Foreseen are only calls with literal arguments in asserts that
stand straight behind one another; the first statement that does anything else with the candidate ends it.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

from proctor.sandbox.exam.bounds import UnsendableError
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.trees import mentions

# What lies unread in a socket must not stop the other end: well below the usual buffer of 200 kB.
PORTION = 32 << 10
# Every operand of these is evaluated in a test that passes; of `or`, conditions, loops and lambdas not.
_EVALUATED = (
    *(ast.Compare, ast.UnaryOp, ast.BinOp, ast.Tuple, ast.List, ast.Set, ast.Dict),
    *(ast.Attribute, ast.Subscript, ast.Slice, ast.keyword),
)
_Arguments: TypeAlias = "tuple[list[Any], list[Any]]"  # by position; and name, value, name, value


class _Unforeseeable(Exception):  # noqa: N818, it never leaves this module
    pass


def foresee(statements: Sequence[ast.stmt], entry: str, names: frozenset[str]) -> list[bytes]:
    """The lines of calls of `entry` that running `statements` begins with.

    Args:
        statements: in the order in which they run.
        entry: what the candidate is asked for.
        names: names in the tests that stand for it (`candidate` and the function's own).
    """
    encoder = Encoder()
    lines: list[bytes] = []
    size = 0
    with contextlib.suppress(_Unforeseeable, UnsendableError):
        for args, pairs in chain.from_iterable(_calls(statement, names) for statement in statements):
            line = encoder.encode(["call", entry, args, pairs])
            size += len(line)
            if size > PORTION:
                break
            lines.append(line)
    return lines


def _calls(statement: ast.stmt, names: frozenset[str]) -> Iterator[_Arguments]:
    if isinstance(statement, ast.Assert):
        yield from _in_expression(statement.test, names)
    elif mentions(statement, names):
        raise _Unforeseeable


def _in_expression(node: ast.AST, names: frozenset[str]) -> Iterator[_Arguments]:
    """Calls in the order of their evaluation."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in names:
            yield _arguments(node)
            return
        parts: Iterable[ast.AST] = (*node.args, *node.keywords)  # around it: `sorted(candidate(1))`
    elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        parts = node.values
    elif isinstance(node, ast.Constant):
        return
    elif isinstance(node, _EVALUATED):
        parts = ast.iter_child_nodes(node)
    elif mentions(node, names):
        raise _Unforeseeable
    else:
        return
    for part in parts:
        yield from _in_expression(part, names)


def _arguments(call: ast.Call) -> _Arguments:
    try:
        args = [ast.literal_eval(arg) for arg in call.args]
        pairs = [item for keyword in call.keywords for item in (keyword.arg, ast.literal_eval(keyword.value))]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _Unforeseeable from None
    if None in pairs[::2]:  # **kwargs
        raise _Unforeseeable
    return args, pairs
