"""Whether tests may change what outlives them in a process: such tests get an examiner to themselves.

An examiner holds the tests of many tasks, one after the other. A patched `math.floor`, a precision of decimals or
an entry in `os.environ` would decide the next task's verdicts, and would stay where a candidate's exception ended
the tests before they put it back. Read off the text, and in doubt the answer is yes: that costs a new process.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

from proctor.sandbox.exam.checks import blocks
from proctor.sandbox.exam.trees import walk

_MODULES = """
__future__ abc array ast asyncio base64 binascii bisect builtins cmath collections contextlib copy csv dataclasses
datetime decimal difflib doctest enum fractions functools graphlib hashlib heapq html inspect io ipaddress
itertools json keyword math numbers operator pprint pytest queue random re secrets statistics string struct sys
textwrap time timeit traceback types typing typing_extensions unicodedata unittest uuid zlib
networkx numpy pandas scipy sympy
"""
_HARMLESS = frozenset(_MODULES.split())  # nothing in them changes by being used, but for what _WORDS says
_WORDS = re.compile(
    r"\b(?:unittest\.mock|getcontext|setcontext|tzset|set_event_loop)"
    r"|\bsys\.(?:modules|path|meta_path|addaudithook|set(?!recursionlimit\b))"
    r"|\b(?:np|numpy|pd|pandas)\.(?:set|options)"
    r"|(?<![.\w])(?:setattr|delattr|exec|eval|open|__import__)\("
)
_HINTS = (
    *("unittest.mock", "context", "tzset", "set_event", "sys.", "np.", "numpy.", "pd.", "pandas."),
    *("attr(", "exec(", "eval(", "open(", "__("),
)  # without one of these there is none of _WORDS: looking for these is faster by far
_CHANGING = frozenset(
    {"add", "append", "clear", "extend", "insert", "pop", "register", "remove", "setdefault", "update"}
)
_STREAMS = frozenset({"stdin", "stdout", "stderr"})  # of sys: put back, as the built-in names are
_USUAL = (
    "math",
    "collections",
    "itertools",
    "functools",
    "heapq",
    "bisect",
    "typing",
    "datetime",
    "np",
    "pd",
)


def leaves_traces(tree: ast.Module, text: str, of_candidate: Collection[str]) -> bool:
    """Whether running a source may leave a change behind.

    `of_candidate` names the modules that are the candidate's program.
    """
    if any(hint in text for hint in _HINTS) and _WORDS.search(text):
        return True
    statements = list(_statements(tree.body))
    shared = set(_USUAL)  # names of what is there for every task
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            found = _imported(statement, of_candidate)
            if found is None:
                return True
            shared |= found
    return any(_changes(statement, shared) for statement in statements)


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if type(statement) is not ast.Assert:  # which most are, and which changes nothing
            yield statement
        for block in blocks(statement):
            yield from _statements(block)


def _imported(statement: ast.Import | ast.ImportFrom, of_candidate: Collection[str]) -> set[str] | None:
    """The names that an import binds to what is shared; None: to what may be changed by using it."""
    if isinstance(statement, ast.ImportFrom):
        modules = [statement.module or ""]
        if statement.level or modules[0] in of_candidate:
            return set()
        if any(alias.name in ("mock", "options") or _is_setter(alias.name) for alias in statement.names):
            return None
    else:
        modules = [alias.name for alias in statement.names if alias.name not in of_candidate]
    if not _HARMLESS.issuperset(name.partition(".")[0] for name in modules):
        return None
    return {
        (alias.asname or alias.name).partition(".")[0]
        for alias in statement.names
        if alias.name not in of_candidate
    }


def _is_setter(name: str) -> bool:
    return name.startswith("set") and name != "setrecursionlimit"


def _changes(statement: ast.stmt, shared: set[str]) -> bool:
    """Whether a statement assigns to something shared, or calls what changes it; notes other names for it."""
    is_alias = isinstance(statement, ast.Assign) and not isinstance(statement.value, ast.Call)
    if is_alias and _root(statement.value) in shared:  # type: ignore[attr-defined]
        shared.update(target.id for target in statement.targets if isinstance(target, ast.Name))  # type: ignore[attr-defined]
    if isinstance(statement, ast.Expr):
        call = statement.value
        is_method = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        return is_method and call.func.attr in _CHANGING and _root(call.func) in shared  # type: ignore[attr-defined]
    targets = [*getattr(statement, "targets", ()), getattr(statement, "target", None)]
    return any(
        isinstance(part, ast.Attribute | ast.Subscript)
        and not isinstance(part.ctx, ast.Load)
        and _root(part) in shared
        and not _is_put_back(part)
        for target in targets
        if target is not None
        for part in walk(target)
    )


def _is_put_back(target: ast.Attribute | ast.Subscript) -> bool:
    if not (isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)):
        return False
    module = target.value.id
    return module == "builtins" or (module == "sys" and target.attr in _STREAMS)


def _root(node: ast.expr) -> str:
    """The name at the beginning of `name.a[0].b`; of a call, what is called."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
