"""Calls that tests are sure to make, read off their text, so that they can be sent before they are asked.

`assert candidate([1, 2]) == 3` needs no answer before its arguments are known. Sent in one go, ten such calls
cost one change of process instead of twenty. Foreseen are only calls with literal arguments in asserts that
stand straight behind one another; the first statement that does anything else with the candidate ends it.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, TypeAlias

from proctor.sandbox.exam.bounds import UnsendableError
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.trees import children, mentions

# What lies unread in a socket must not stop the other end: well below the usual buffer of 200 kB.
PORTION = 32 << 10
# Every operand of these is evaluated in a test that passes; of `or`, conditions, loops and lambdas not.
_EVALUATED = (
    *(ast.Compare, ast.UnaryOp, ast.BinOp, ast.Tuple, ast.List, ast.Set),
    *(ast.Attribute, ast.Subscript, ast.Slice, ast.keyword, ast.Constant),
)
_Arguments: TypeAlias = "tuple[list[Any], list[Any]]"  # by position; and name, value, name, value


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
    for statement in statements:
        calls: list[_Arguments] = []
        is_clear = _collect_from(statement, names, calls)
        for args, pairs in calls:
            try:
                line = encoder.encode(["call", entry, args, pairs])
            except UnsendableError:
                return lines
            size += len(line)
            if size > PORTION:
                return lines
            lines.append(line)
        if not is_clear:
            break
    return lines


def _collect_from(statement: ast.stmt, names: frozenset[str], calls: list[_Arguments]) -> bool:
    """Adds a statement's calls. False: it does what cannot be foreseen, behind those."""
    if type(statement) is ast.Assert:
        return _collect(statement.test, names, calls)
    return not mentions(statement, names)


def _collect(node: ast.AST, names: frozenset[str], calls: list[_Arguments]) -> bool:
    """The same for an expression; in the order of evaluation."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in names:
            arguments = _arguments(node)
            if arguments is None:
                return False
            calls.append(arguments)
            return True
        parts: Sequence[ast.AST] = (*node.args, *node.keywords)  # around it: `sorted(candidate(1))`
    elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        parts = node.values
    elif isinstance(node, ast.Dict):
        parts = [part for pair in zip(node.keys, node.values, strict=True) for part in pair if part]
    elif isinstance(node, _EVALUATED):
        parts = children(node)
    else:
        return not mentions(node, names)
    return all(_collect(part, names, calls) for part in parts)


def _arguments(call: ast.Call) -> _Arguments | None:
    """None: they are not all literals."""
    try:
        args = list(map(_literal, call.args))
        pairs = [item for keyword in call.keywords for item in (keyword.arg, _literal(keyword.value))]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return None if None in pairs[::2] else (args, pairs)  # **kwargs


def _literal(node: ast.expr) -> Any:
    """As `ast.literal_eval`, which takes most of its time to get ready."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List):
        return list(map(_literal, node.elts))
    return ast.literal_eval(node)
