"""Makes a test source count its checks and mark its tests, without changing what it does.

The tree is instrumented, not the text: line numbers stay. Counted are executed asserts, calls of methods and
functions named like assertions (`self.assertEqual`, `np.testing.assert_allclose`, `pytest.raises`), branches
that raise (`if f(1) != 2: raise ...`), and handlers that caught what was to be raised.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from proctor.sandbox.exam.sheet import CHECKED, UNIT

_CHECK_CALLS = ("assert", "fail", "raises", "warns")


def holds_check(node: ast.AST) -> bool:
    return any(_is_check(part) for part in ast.walk(node))


def count_checks(tree: ast.Module) -> ast.Module:
    """The tree with a counter in front of every check."""
    counted: ast.Module = _Counting().visit(tree)
    return ast.fix_missing_locations(counted)


def mark_units(body: Sequence[ast.stmt], first: int) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Wraps the statements that hold checks, each as one test, numbered from `first`.

    Returns:
        The new body, and the statements that became tests.
    """
    marked: list[ast.stmt] = []
    units: list[ast.stmt] = []
    for statement in body:
        if _defines(statement) or not holds_check(statement):
            marked.append(statement)
            continue
        call = _call(UNIT, ast.Constant(first + len(units)))
        wrapped = ast.With(items=[ast.withitem(context_expr=call)], body=[statement])
        marked.append(ast.copy_location(wrapped, statement))
        units.append(statement)
    return marked, units


def _defines(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _is_check(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert | ast.ExceptHandler):
        return True
    if isinstance(node, ast.If):
        return any(isinstance(part, ast.Raise) for part in (*node.body, *node.orelse))
    return isinstance(node, ast.Call) and _called_name(node).lower().startswith(_CHECK_CALLS)


def _called_name(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=list(args), keywords=[])


class _Counting(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        return [_count(node), node]

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        counts = _is_check(node)
        self.generic_visit(node)
        return [_count(node), node] if counts else node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self.generic_visit(node)
        node.body.insert(0, _count(node.body[0]))
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        is_check = isinstance(node.value, ast.Call) and _is_check(node.value)
        return [_count(node), node] if is_check else node

    def visit_With(self, node: ast.With) -> ast.AST | list[ast.stmt]:
        counts = any(_is_check(item.context_expr) for item in node.items)
        self.generic_visit(node)
        return [_count(node), node] if counts else node


def _count(node: ast.stmt) -> ast.stmt:
    return ast.copy_location(ast.Expr(_call(CHECKED)), node)
