"""Which names of a test source are the candidate's, which the tests' own, and which everybody's.

Read off the tree, before anything runs. A name that the tests (or the prompt, which is trusted) define is
theirs; built-in names are Python's; modules and functions of the usual preludes (`math`, `Counter`, `np`) are
imported on the tests' side; all the rest is what the tests want of the candidate.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from types import ModuleType
from typing import Any

from proctor.sandbox.exam.ancestry import is_subclass
from proctor.sandbox.exam.asked import asked
from proctor.sandbox.exam.bounds import USUAL_MODULES
from proctor.sandbox.exam.derived import super_of
from proctor.sandbox.exam.own_words import running
from proctor.sandbox.exam.trees import walk

_ALIASES = {"np": "numpy", "pd": "pandas"}
# A module that is not to be found is the candidate's program, but for these: they are missing.
_LIBRARIES = frozenset(
    {
        "hypothesis",
        "matplotlib",
        "mock",
        "networkx",
        "numpy",
        "pandas",
        "parameterized",
        "pytest_asyncio",
        "requests",
        "scipy",
        "sklearn",
        "sympy",
        "torch",
    }
)
_BUILTINS = frozenset(dir(builtins))
_BY_TEXT = frozenset({"globals", "eval", "exec"})
_RUN_TEXTS = frozenset({"eval", "exec", "compile"})
_NAME = re.compile(r"\b[A-Za-z_]\w*")
# Built-in functions that would look for a program's classes where there are only stand-ins.
_OF_CLASSES = {"issubclass": is_subclass, "super": super_of}


@dataclass
class Used:
    """Names in a source, each in the order of first use."""

    loaded: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    as_module: set[str] = field(default_factory=set)  # used as `name.something`
    bound: set[str] = field(default_factory=set)  # assigned, defined, imported, or an argument, anywhere
    classes: set[str] = field(default_factory=set)  # defined at the top
    comparing: set[str] = field(default_factory=set)  # classes that compare in a way of their own
    imports: dict[str, str] = field(default_factory=dict)  # local name to `name` of a module not to be found
    modules: set[str] = field(default_factory=set)  # imported modules that are not to be found
    module_names: set[str] = field(default_factory=set)  # what they are called here
    libraries: set[str] = field(default_factory=set)  # of these, the ones that are nobody's program
    functions: set[str] = field(default_factory=set)  # defined anywhere
    stubs: set[str] = field(default_factory=set)  # functions without a body, classes with such methods


@dataclass(frozen=True)
class Wanted:
    """What the tests want of the candidate, and what is taken from elsewhere."""

    entry: str  # the function or method under test; "" where the tests name none
    names: tuple[str, ...]  # of the candidate's program
    usual: dict[str, Any]  # imported here: name to module or function
    asked: tuple[str, ...] = ()  # of the names: Python's own will do where the program only imports it
    hidden: frozenset[str] = frozenset()  # of the names: imported by the tests, and Python's own without that
    by_text: frozenset[str] = frozenset()  # what tests may ask of their own names by a text; not to be told


def read_names(trees: Iterable[ast.AST]) -> Used:
    used = Used()
    for tree in trees:
        for node in getattr(tree, "body", ()):
            _read_class(node, used)
        for node in walk(tree):
            reader = _READERS.get(type(node))
            if reader is not None:
                reader(node, used)
    return used


def want(trees: Sequence[ast.Module], used: Used, trusted: Used, entry: str) -> Wanted:
    """Sorts the names of the tests (`used`, of `trees`), given what the prompt defines (`trusted`)."""
    ours = used.bound | (trusted.bound - trusted.stubs)
    _read_patched(trees, used)
    loaded = [name for name in dict.fromkeys(used.loaded) if name not in ours]
    open_names = [name for name in loaded if name not in _BUILTINS or name in trusted.stubs]
    usual = {
        name: found
        for name in open_names
        if name not in trusted.stubs and (found := _usual(name, used)) is not None
    }
    hidden = {name for name in used.imports.values() if name in usual or name not in open_names}
    open_names += [name for name in dict.fromkeys(used.imports.values()) if name not in open_names]
    first = entry.partition(".")[0]
    names = [name for name in open_names if name not in usual or name in hidden]
    tested = _asked(trees, used, [*names, first, "candidate"], usual)
    entry = entry or _guess_entry(used, open_names, usual, tested)
    first = entry.partition(".")[0]
    usual.pop(first, None)
    names += [name for name in tested if name not in names]
    by_text = _in_texts(trees, used) - (ours | usual.keys() | {*names})
    if entry:
        names = list(dict.fromkeys([entry, *names]))
    wanted = tuple(name for name in names if name != "candidate")
    usual |= {name: found for name, found in _OF_CLASSES.items() if name in loaded}
    if not _RUN_TEXTS.isdisjoint(loaded):
        usual |= {name: found for name, found in running(_words(trees)).items() if name in loaded}
    return Wanted(entry, wanted, usual, tuple(n for n in tested if n != first), frozenset(hidden), by_text)


def _asked(
    trees: Sequence[ast.Module], used: Used, program: Sequence[str], usual: Mapping[str, Any]
) -> list[str]:
    """What Python has as well and the tests ask of the program."""
    functions = {name for name, found in usual.items() if not isinstance(found, ModuleType)} - {*program}
    if not any(name in functions or (name in _BUILTINS and name not in program) for name in used.called):
        return []
    return [name for name in asked(trees, program, functions) if name not in used.bound]


def _in_texts(trees: Sequence[ast.AST], used: Used) -> frozenset[str]:
    """Names in texts, where tests find what they test by its name: `globals()["Stack"]`, `eval("f(1)")`."""
    if _BY_TEXT.isdisjoint(used.called):
        return frozenset()
    return frozenset(name for name in _words(trees) if name not in _BUILTINS and not iskeyword(name))


def _words(trees: Sequence[ast.AST]) -> frozenset[str]:
    texts = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(name for text in texts if isinstance(text, str) for name in _NAME.findall(text))


def _read_patched(trees: Iterable[ast.AST], used: Used) -> None:
    """Names of the program that tests put doubles in place of: `patch("solution.f")`, `patch.object(solution, "f")`."""
    if "patch" not in used.bound and "mock" not in used.bound:
        return
    for call in (node for tree in trees for node in walk(tree) if isinstance(node, ast.Call)):
        word = getattr(call.func, "attr", getattr(call.func, "id", ""))
        texts = [arg.value if isinstance(arg, ast.Constant) else getattr(arg, "id", "") for arg in call.args]
        if word == "patch" and texts and isinstance(texts[0], str):
            module, _, name = texts[0].rpartition(".")
            if module and not _is_found(module) and _is_program(module, used):
                used.imports[texts[0]] = name
        elif word == "object" and len(texts) > 1 and texts[0] in used.module_names:
            used.imports[".".join(map(str, texts[:2]))] = str(texts[1])


def _guess_entry(
    used: Used, open_names: Sequence[str], usual: Mapping[str, Any], tested: Sequence[str]
) -> str:
    """The first called name that is neither defined nor usual; failing that, the first called at all.

    The second case is a function under test that is named like a built-in or a usual one (`sum`, `gcd`).
    """
    called = [name for name in used.called if name in open_names]
    for name in called:
        if name not in usual:
            return name
    rest = [name for name in used.called if name not in used.bound]
    is_all = not used.imports and usual.keys() >= set(open_names)  # nothing else is wanted of the program
    is_builtin = is_all and _BY_TEXT.isdisjoint(used.called)
    found = called or (rest if is_builtin else [])
    return next((name for name in found if name in tested), found[0] if found else "")


def _usual(name: str, used: Used) -> Any | None:
    if name in used.as_module and (name in sys.stdlib_module_names or name in _ALIASES):
        try:
            return importlib.import_module(_ALIASES.get(name, name))
        except ImportError:
            used.libraries.add(_ALIASES.get(name, name))
            return None
    for module in USUAL_MODULES:
        found = getattr(importlib.import_module(module), name, None)
        if found is not None and not name.startswith("_"):
            return found
    return None


def _read_class(node: ast.stmt, used: Used) -> None:
    """A class at the top of a source, also one that a call makes: `Point = namedtuple(...)`."""
    if isinstance(node, ast.ClassDef):
        used.classes.add(node.name)
        bases = {part.id for base in node.bases for part in ast.walk(base) if isinstance(part, ast.Name)}
        if any(_compares(member) for member in node.body) or bases & used.comparing:
            used.comparing.add(node.name)
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        used.classes.update(target.id for target in node.targets if isinstance(target, ast.Name))


def _compares(member: ast.stmt) -> bool:
    """Whether a member of a class may take part in deciding a check: any special method but these."""
    harmless = ("__init__", "__repr__", "__str__", "__post_init__", "__slots__")
    names = [member.name] if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) else []
    if isinstance(member, ast.Assign):
        names = [target.id for target in member.targets if isinstance(target, ast.Name)]
    return any(name.startswith("__") and name not in harmless for name in names)


def _read_name(node: ast.Name, used: Used) -> None:
    if isinstance(node.ctx, ast.Load):
        used.loaded.append(node.id)
    else:
        used.bound.add(node.id)


def _read_call(node: ast.Call, used: Used) -> None:
    if isinstance(node.func, ast.Name):
        used.called.append(node.func.id)


def _read_attribute(node: ast.Attribute, used: Used) -> None:
    if isinstance(node.value, ast.Name):
        used.as_module.add(node.value.id)
        if node.value.id in used.module_names:
            used.imports[f"{node.value.id}.{node.attr}"] = node.attr


def _read_definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, used: Used) -> None:
    used.bound.add(node.name)
    used.functions.add(node.name)
    if _is_stub(node):
        used.stubs.add(node.name)


def _read_argument(node: ast.arg, used: Used) -> None:
    used.bound.add(node.arg)


def _read_handler(node: ast.ExceptHandler, used: Used) -> None:
    if node.name:
        used.bound.add(node.name)


def _is_stub(node: ast.AST) -> bool:
    """Whether a definition is left for the candidate to fill in: only a docstring, `pass`, `...` or a raise."""
    if isinstance(node, ast.ClassDef):
        return any(_is_stub(member) for member in node.body if not isinstance(member, ast.ClassDef))
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return all(
        isinstance(line, ast.Pass | ast.Raise)
        or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        for line in node.body
    )


def _read_import(node: ast.Import | ast.ImportFrom, used: Used) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            used.bound.add(alias.asname or alias.name.partition(".")[0])
            if not _is_found(alias.name) and _is_program(alias.name, used):
                used.module_names.add(alias.asname or alias.name)
        return
    module = node.module or ""
    if (node.level or not _is_found(module)) and _is_program(module, used):
        used.imports.update(
            (alias.asname or alias.name, alias.name) for alias in node.names if alias.name != "*"
        )
    used.bound.update(alias.asname or alias.name for alias in node.names)


def _is_program(module: str, used: Used) -> bool:
    """Notes a module that is not to be found; it is the program, but for pytest, which has a stand-in here."""
    first = module.partition(".")[0]
    if first in _LIBRARIES:
        used.libraries.add(first)
    used.modules.add(module)
    return first != "pytest"


def _is_found(module: str) -> bool:
    first = module.partition(".")[0]
    if first in sys.stdlib_module_names or first in sys.modules:
        return True
    try:
        return importlib.util.find_spec(first) is not None
    except (ImportError, ValueError):
        return False


_READERS: dict[type[ast.AST], Callable[[Any, Used], None]] = {
    ast.Name: _read_name,
    ast.Call: _read_call,
    ast.Attribute: _read_attribute,
    ast.FunctionDef: _read_definition,
    ast.AsyncFunctionDef: _read_definition,
    ast.ClassDef: _read_definition,
    ast.arg: _read_argument,
    ast.ExceptHandler: _read_handler,
    ast.Import: _read_import,
    ast.ImportFrom: _read_import,
}
