"""Which names that Python has as well the tests ask of the program: gcd in `assert gcd(12, 18) == 6`.

The same name may be a tool of the tests: in `assert isclose(f(1), 2.5)` and `assert f(5) == Counter([5])` the
program must not have a say in it. So a name is asked of the program only where every statement that it has to do
with, directly or through variables, has to do with nothing else of the program's; then what it does can decide
no check but its own. A built-in name must also be the innermost call: `assert list(reversed([1])) == [1]` asks
for `reversed`. What is not followed (arguments of the tests' own functions, `eval`) counts as the program's.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from proctor.sandbox.exam.bounds import USUAL_MODULES
from proctor.sandbox.exam.checks import blocks, is_check
from proctor.sandbox.exam.trees import walk

_OTHER = "?"
_MAX_PASSES = 12
# What they lead to is not seen.
_REACHING = {"eval", "exec", "compile", "globals", "locals", "vars", "getattr", "setattr", "__import__"}
_REACHING |= {"open", "input", "print"}
_BUILTINS = frozenset(dir(builtins))
# Modules that lead to nothing of the program's.
_PLAIN_MODULES = {*USUAL_MODULES, "cmath", "copy", "decimal", "fractions", "json", "operator", "pytest"}
_PLAIN_MODULES |= {"random", "re", "statistics", "string", "time", "unittest"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_INNER_NAMES = (ast.comprehension, ast.Lambda)
_METHODS = ("assert", "fail", "subTest")  # of every TestCase
_SELF = ("self", "cls")
_LEAVES = (ast.Return, ast.Break, ast.Continue)
_GUARDS = (ast.Try, ast.With, ast.AsyncWith)  # an exception in them skips the rest of their body


@dataclass
class _Step:
    """A statement without the blocks in it, or the head of one."""

    names: set[str] = field(default_factory=set)  # that are not the tests' own
    variables: set[str] = field(default_factory=set)  # by scope and name: what it reads, writes or changes
    sinks: tuple[str, ...] = ()  # functions and classes of the tests that it is in
    within: tuple[_Step, ...] = ()  # heads that decide whether it runs
    is_check: bool = False
    is_head: bool = False
    innermost: set[str] = field(default_factory=set)  # built-in names that are called on nothing built-in
    builtin: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Scope:
    """Where a statement stands."""

    names: tuple[tuple[str, frozenset[str]], ...]  # outermost first: the scope's own name, and what it binds
    sinks: tuple[str, ...] = ()
    within: tuple[_Step, ...] = ()
    in_class: bool = False  # of the tests, at any depth
    is_class: bool = False  # directly


def asked(trees: Sequence[ast.Module], program: Iterable[str], usual: Iterable[str]) -> list[str]:
    """The names among `usual` and the built-in ones that the tests ask of the program.

    Args:
        trees: the test source, in order, as one scope.
        program: names that are the program's for sure.
        usual: names of the usual modules that the tests neither import nor define.
    """
    body = [statement for tree in trees for statement in tree.body]
    reader = _Reader(frozenset(program), frozenset(usual))
    reader.read(body, _Scope((("", _bound(body)),)))
    return _judge(reader) if _settle(reader.steps) else []


def _settle(steps: Sequence[_Step]) -> bool:
    """Works out the sources of every step; False where that takes too long."""
    held: dict[str, set[str]] = {}
    for _ in range(_MAX_PASSES):
        is_stable = True
        for step in steps:
            found = step.names.union(
                *(held.get(each, ()) for each in step.variables), *(head.sources for head in step.within)
            )
            if found == step.sources and all(found <= held.get(each, set()) for each in step.variables):
                continue
            is_stable, step.sources = False, found
            for each in (*step.variables, *step.sinks):
                held.setdefault(each, set()).update(found)
        if is_stable:
            return True
    return False


def _judge(reader: _Reader) -> list[str]:
    tools: set[str] = set()
    checked: dict[str, None] = {}
    for step in reader.steps:
        mine = step.sources & reader.usual
        if len(mine) > 1 or step.sources & (reader.program | {_OTHER}):
            tools |= step.sources
        elif mine:
            tools |= step.sources - mine
        elif step.is_head or len(step.innermost) > 1 or step.sources - step.builtin:
            tools |= step.builtin
        else:
            tools |= step.builtin - step.innermost
        if step.is_check:
            checked.update(dict.fromkeys(sorted(step.sources)))
    return [name for name in checked if name not in tools and name != _OTHER]


class _Reader:
    """Takes a source apart into steps."""

    def __init__(self, program: frozenset[str], usual: frozenset[str]) -> None:
        self.program = program
        self.usual = usual
        self.steps: list[_Step] = []

    def read(self, body: Sequence[ast.stmt], scope: _Scope) -> None:
        for statement in body:
            if isinstance(statement, _FUNCTIONS):
                self._read_function(statement, scope)
            elif isinstance(statement, ast.ClassDef):
                key = _key(scope, statement.name)
                self._step([*statement.bases, *statement.decorator_list], scope).names.add(_OTHER)
                self.read(statement.body, _Scope(scope.names, (*scope.sinks, key), scope.within, True, True))
            elif isinstance(statement, ast.Import | ast.ImportFrom):
                self._read_import(statement, scope)
            else:
                self._read_statement(statement, scope)

    def _read_statement(self, statement: ast.stmt, scope: _Scope) -> None:
        if isinstance(statement, _LEAVES):
            for head in scope.within:
                head.names.add(_OTHER)  # it decides whether what follows is run
        inner = blocks(statement)
        nodes: list[ast.AST] = [statement]
        if inner and not isinstance(statement, _GUARDS):
            nodes = [node for node in ast.iter_child_nodes(statement) if not isinstance(node, ast.stmt)]
        step = self._step(nodes, scope)
        step.is_check = is_check(statement)
        step.is_head = bool(inner) and not step.is_check
        if isinstance(statement, ast.AnnAssign):
            self._step([statement.annotation], scope).names.add(_OTHER)
        below = replace(scope, within=(*scope.within, step))
        for block in inner:
            self.read(block, below)

    def _read_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope) -> None:
        key = _key(scope, node.name)
        args = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        rest = [arg for arg in (node.args.vararg, node.args.kwarg) if arg is not None]
        fixed = [*node.args.defaults, *(each for each in node.args.kw_defaults if each), node.returns]
        fixed += [arg.annotation for arg in (*args, *rest)]
        self._step([each for each in fixed if each is not None], scope).names.add(_OTHER)
        own = f"{key}:{node.lineno}:{node.col_offset}"
        names = (own, _bound(node.body) | {arg.arg for arg in (*args, *rest)})
        sinks = (*scope.sinks, key, _attribute(node.name))
        inner = _Scope((*scope.names, names), sinks, scope.within, scope.in_class)
        for arg in args:
            if not (scope.in_class and arg.arg in _SELF):
                self._read_argument(arg, node, scope, inner)
        for arg in rest:
            self.steps.append(_Step({_OTHER}, {_key(inner, arg.arg)}))
        self.read(node.body, inner)

    def _read_argument(self, arg: ast.arg, node: ast.AST, scope: _Scope, inner: _Scope) -> None:
        """What a function of the tests is given: by a fixture of its name, or by what it is decorated with."""
        step = self._step(getattr(node, "decorator_list", ()), scope)
        step.variables.add(_key(inner, arg.arg))
        if fixture := _find(scope, arg.arg):
            step.variables.add(fixture)
        elif not getattr(node, "decorator_list", ()):
            step.names.add(_OTHER)

    def _read_import(self, node: ast.Import | ast.ImportFrom, scope: _Scope) -> None:
        for alias in node.names:
            module = node.module or "" if isinstance(node, ast.ImportFrom) else alias.name
            if module.partition(".")[0] not in _PLAIN_MODULES:
                name = alias.asname or alias.name.partition(".")[0]
                self.steps.append(_Step({_OTHER}, {_key(scope, name)}))

    def _step(self, nodes: Iterable[ast.AST], scope: _Scope) -> _Step:
        step = _Step(sinks=scope.sinks, within=scope.within)
        parts = [part for node in nodes for part in walk(node)]
        passing = {name for part in parts if isinstance(part, _INNER_NAMES) for name in _inner_names(part)}
        for part in parts:
            if isinstance(part, ast.Attribute):
                is_own = isinstance(part.value, ast.Name) and part.value.id in _SELF
                if not isinstance(part.ctx, ast.Load) or (is_own and not part.attr.startswith(_METHODS)):
                    step.variables.add(_attribute(part.attr))
            elif isinstance(part, ast.Name) and part.id not in passing:
                self._read_name(part.id, scope, step)
            elif isinstance(part, ast.Call) and not any(self._builtin(one, scope) for one in _below(part)):
                step.innermost |= {self._builtin(part, scope)} - {""}
        self.steps.append(step)
        return step

    def _read_name(self, name: str, scope: _Scope, step: _Step) -> None:
        if name in _SELF and scope.in_class:
            return
        key = _find(scope, name)
        if scope.is_class:
            step.variables.add(_attribute(name))
        if name in self.program:
            step.names.add(name)
        if key:
            step.variables.add(key)
        elif name in _REACHING:
            step.names.add(_OTHER)
        elif name in self.usual or name in _BUILTINS:
            step.names.add(name)
            step.builtin |= {name} - self.usual
        elif name not in self.program and name not in _PLAIN_MODULES:
            step.names.add(_OTHER)

    def _builtin(self, node: ast.AST, scope: _Scope) -> str:
        """The built-in name that a node calls, or ""."""
        function = node.func if isinstance(node, ast.Call) else None
        name = function.id if isinstance(function, ast.Name) else ""
        return name if name in _BUILTINS and not _find(scope, name) else ""


def _below(call: ast.Call) -> Iterable[ast.AST]:
    return (part for node in (*call.args, *call.keywords) for part in walk(node))


def _inner_names(node: ast.AST) -> Iterable[str]:
    """What a lambda or a comprehension binds for itself alone."""
    inside = node.target if isinstance(node, ast.comprehension) else getattr(node, "args", node)
    return (getattr(part, "id", getattr(part, "arg", "")) for part in ast.walk(inside))


def _bound(body: Sequence[ast.stmt]) -> frozenset[str]:
    """Names that a body gives a meaning, those in functions inside of it left out."""
    found: set[str] = set()
    outer: set[str] = set()
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            outer.update(node.names)
        if isinstance(node, _DEFINITIONS):
            found.add(node.name)
        if not isinstance(node, (*_FUNCTIONS, ast.Constant)):
            waiting += ast.iter_child_nodes(node)
    return frozenset(found - outer)


def _find(scope: _Scope, name: str) -> str:
    """The variable that a name means; "" for a name that is not the tests' own."""
    return next((f"{own}/{name}" for own, names in reversed(scope.names) if name in names), "")


def _key(scope: _Scope, name: str) -> str:
    return _find(scope, name) or f"{scope.names[-1][0]}/{name}"


def _attribute(name: str) -> str:
    """The variable that an attribute of the tests' own objects is, whatever the object."""
    return f".{name}"
