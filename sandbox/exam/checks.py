"""Makes a test source count its checks and mark its tests, without changing what it does.

The tree is instrumented, not the text: line numbers stay. Counted are executed asserts, calls of methods and
functions named like assertions (`self.assertEqual`, `np.testing.assert_allclose`, `pytest.raises`), branches
that raise (`if f(1) != 2: raise ...`), and handlers that caught what was to be raised. Only statements are
looked at: nobody checks anything inside of an expression.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence
from typing import Any

from proctor.sandbox.exam.sheet import CAUGHT, CHECKED, CHECKED_UNIT, DOUBLE, FAILS, REACHED, UNIT
from proctor.sandbox.exam.trees import mentions, walk

_CHECK_CALLS = ("assert", "fail", "raises", "warns")
_CHECKS_OF_DOUBLES = ("assert_called", "assert_any_", "assert_has_", "assert_not_", "assert_awaited")
_EXPECTS = ("raises", "assertraises", "suppress")
# Without one of these in a text, nothing in it expects exceptions.
EXPECTING = ("raises", "Raises", "suppress")
# Where added code stands does not matter, for it raises nothing; so one counter serves everywhere.
_PLACE = {"lineno": 1, "col_offset": 0}
_COMPOUND = frozenset(kind for kind in ast.stmt.__subclasses__() if {"body", "cases"} & {*kind._fields})
_LEADING = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Match)  # past the checks in them, it may be
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load(), **_PLACE), list(args), [], **_PLACE)


_COUNTER = ast.Expr(_call(CHECKED), **_PLACE)
_REACHER = ast.Expr(_call(REACHED), **_PLACE)
_GUARD = ast.Expr(_call(CAUGHT), **_PLACE)
_CATCH_CHECKS = frozenset({"AssertionError", "Exception", "BaseException", "failureException"})


def count_checks(body: list[ast.stmt], helpers: frozenset[str] | None = None) -> None:
    """Puts a counter in front of every check, and one of another kind in front of what may lead past some, in place.

    `helpers` are functions of the tests that hold some: found in the body where they are not given.
    """
    helpers = frozenset(_helpers(body)) if helpers is None else helpers
    counted: list[ast.stmt] = []
    for statement in body:
        for block in blocks(statement):
            count_checks(block, helpers)
        if is_check(statement):
            counted.append(_COUNTER)
            _guard_double(statement)
        elif _may_lead_past(statement, helpers):
            counted.append(_REACHER)
        if isinstance(statement, ast.With) and any(
            _expects_by_name(item.context_expr) for item in statement.items
        ):
            statement.items.append(ast.withitem(_call(FAILS)))
        if isinstance(statement, ast.Try):
            for handler in statement.handlers:
                handler.body.insert(0, _COUNTER if _means_checks(handler.type) else _GUARD)
        counted.append(statement)
    body[:] = counted


def guard_expectations(tree: ast.Module) -> None:
    """Where `expected = raises(Full)` stands apart from a `with`, any `with` may be about it: guards all, in place."""
    nodes = list(walk(tree))
    in_heads = {id(item.context_expr) for node in nodes for item in getattr(node, "items", ())}
    apart = (node for node in nodes if id(node) not in in_heads and _expects_by_name(node))
    if all(map(_calls_at_once, apart)):
        return
    for node in nodes:
        if isinstance(node, ast.With) and not any(
            _expects_by_name(item.context_expr) or _means_checks(item.context_expr) for item in node.items
        ):
            node.items.append(ast.withitem(_call(FAILS)))


def _expects_by_name(node: ast.AST) -> bool:
    """Whether it expects exceptions by a name that may be the candidate's, and turn out to stand for failed checks."""
    if not (isinstance(node, ast.Call) and _called_name(node).lower().startswith(_EXPECTS)):
        return False
    first = node.args[0] if node.args else None
    is_builtin = isinstance(first, ast.Name) and hasattr(builtins, first.id)
    return not (is_builtin or _means_checks(node))


def _calls_at_once(node: Any) -> bool:
    """Whether it is `assertRaises(Full, f, 1)`, which is for no `with`."""
    name = _called_name(node).lower()
    return len(node.args) > 1 + name.endswith("regex") and not name.startswith("suppress")


def _guard_double(check: ast.stmt) -> None:
    """`x.assert_called_with(1)` as `double(x).assert_called_with(1)`, which wants x to be a test double."""
    function = getattr(getattr(check, "value", None), "func", None)
    if isinstance(function, ast.Attribute) and function.attr.startswith(_CHECKS_OF_DOUBLES):
        function.value = ast.copy_location(_call(DOUBLE, function.value), function.value)


def _means_checks(caught: ast.expr | None) -> bool:
    """Whether a handler says itself that it catches failed checks too; else what it names may be the candidate's."""
    parts = ast.walk(caught) if caught is not None else ()
    names = {getattr(part, "id", getattr(part, "attr", "")) for part in parts}
    return caught is None or not names.isdisjoint(_CATCH_CHECKS)


def mark_units(body: Sequence[ast.stmt], functions: frozenset[str]) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Wraps the statements that check something, each as one test.

    Args:
        body: statements in the order in which they run; their checks are counted already.
        functions: names of functions of the tests' own: calling one of them may be a check.

    Returns:
        The new body, and the statements that became tests.
    """
    marked: list[ast.stmt] = []
    units: list[ast.stmt] = []
    opener = UNIT
    for statement in body:
        if statement is _COUNTER:  # of the next statement: one call opens and counts
            opener = CHECKED_UNIT
        elif isinstance(statement, _DEFINITIONS) or not (
            _holds_check(statement) or _calls(statement, functions)
        ):
            marked.append(statement)
        else:
            opening = ast.withitem(
                context_expr=_call(opener, ast.Constant(len(units), lineno=1, col_offset=0))
            )
            marked.append(ast.With(items=[opening], body=[statement], lineno=statement.lineno, col_offset=0))
            units.append(statement)
            opener = UNIT
    return marked, units


def _may_lead_past(statement: ast.stmt, helpers: frozenset[str]) -> bool:
    """Whether it depends on a value whether the checks in a statement are run; not `if __name__ == "__main__"`."""
    if isinstance(statement, ast.Expr):
        return _goes_through(statement.value) and _names_any(statement, helpers)
    if not isinstance(statement, _LEADING):
        return False
    is_main = isinstance(statement, ast.If) and mentions(statement.test, frozenset({"__name__"}))
    return not is_main and (_holds_check(statement) or _names_any(statement, helpers))


def _goes_through(node: ast.expr) -> bool:
    """Whether an expression does something for each member of a value."""
    parts = [node, *(node.args if isinstance(node, ast.Call) else ())]
    return any(
        isinstance(part, _COMPREHENSIONS) or (isinstance(part, ast.Call) and _called_name(part) == "map")
        for part in parts
    )


def _names_any(node: ast.AST, names: frozenset[str]) -> bool:
    return any(getattr(part, "id", getattr(part, "attr", "")) in names for part in walk(node))


def _helpers(body: Sequence[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, _FUNCTIONS) and any(map(_holds_check, statement.body)):
            yield statement.name
        for block in blocks(statement):
            yield from _helpers(block)


def _holds_check(statement: ast.stmt) -> bool:
    if is_check(statement) or (isinstance(statement, ast.Try) and statement.handlers):
        return True
    return any(_holds_check(inner) for block in blocks(statement) for inner in block)


def _calls(statement: ast.stmt, functions: frozenset[str]) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and _called_name(call) in functions


def blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The statement lists inside a statement."""
    if type(statement) not in _COMPOUND:
        return []
    found = [getattr(statement, name, None) for name in ("body", "orelse", "finalbody")]
    parts = (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ()))
    return [block for block in (*found, *(part.body for part in parts)) if block]


def is_check(statement: ast.stmt) -> bool:
    """Whether a statement is counted as a check."""
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement, ast.If):
        return any(isinstance(part, ast.Raise) for part in (*statement.body, *statement.orelse))
    if isinstance(statement, ast.With | ast.AsyncWith):
        return any(_is_check_call(item.context_expr) for item in statement.items)
    return isinstance(statement, ast.Expr) and _is_check_call(statement.value)


def _is_check_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _called_name(node).lower().startswith(_CHECK_CALLS)


def _called_name(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""
