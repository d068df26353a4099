"""An examination paper: the tests of one task, read and compiled once, set to many candidates.

A paper comes as plain data (`read_paper` documents the fields). Its text stays as it was written; what is
compiled is the same tree with counters (`checks.py`). The tree itself is not kept: it takes a hundred times the
memory of the text, and only a failure asks for it again. Everything that the text defines is made anew for each
candidate.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, NamedTuple

from proctor.sandbox.exam.checks import EXPECTING, count_checks, guard_expectations, mark_units
from proctor.sandbox.exam.console import HINTS
from proctor.sandbox.exam.foresight import foresee
from proctor.sandbox.exam.names import Used, read_names, want
from proctor.sandbox.exam.names import Wanted as Wanted
from proctor.sandbox.exam.traces import leaves_traces
from proctor.sandbox.exam.trees import walk

TESTS = "tests.py"
_PROMPT = "prompt.py"
_MAX_SHOWN = 600
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


class BadTestsError(ValueError):
    """The tests cannot be used, whoever the candidate is."""


class NeedsError(BadTestsError):
    """The tests import a library that the sandbox does not show."""


class Place(NamedTuple):
    """Where in the tests a statement stands, as `ast` counts: lines from 1, columns from 0 in bytes of UTF-8."""

    lineno: int
    col_offset: int
    end_lineno: int
    end_col_offset: int


@dataclass
class Paper:
    """A task's tests, ready to run.

    Attributes:
        style: "script" (statements that check as they run), "check" (a function that is given the candidate)
            or "suite" (functions and classes that are collected).
        texts: sources, by file name.
        units: what is one test each, for evidence: its text, or its place in TESTS. A suite finds its own.
        parts: code to run in order: (code, number of the test that it is, or None).
    """

    style: str
    wanted: Wanted
    trusted: Used
    used: Used
    prompt: CodeType | None
    parts: list[tuple[CodeType, int | None]]
    texts: dict[str, str] = field(default_factory=dict)
    units: list[str | Place] = field(default_factory=list)
    check_name: str = "check"
    calls_itself: bool = False
    foreseen: Sequence[bytes] = ()  # calls that running it begins with
    listens: bool = False  # it may redirect what the program prints, or answer what it asks for
    leaves_traces: bool = False  # in the process that runs it

    @property
    def count(self) -> int:
        return len(self.units)

    @property
    def classes(self) -> list[str]:
        """Classes whose instances a candidate may send: the prompt's, and the tests' own that only hold data."""
        return sorted(self.used.classes - self.used.comparing | self.trusted.classes - self.trusted.stubs)

    def namespace(self) -> dict[str, Any]:
        """A new one, with what the trusted prompt defines and the usual names that the tests use."""
        names: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins, "__file__": TESTS}
        if self.prompt is not None:
            # prose may happen to compile, and code may want what only the candidate has: then it is no help
            with contextlib.suppress(Exception):
                exec(self.prompt, names)
        names.update(self.wanted.usual)
        return names

    def shown(self, number: int) -> str:
        """The text of a test."""
        if number >= len(self.units):
            return ""
        unit = self.units[number]
        if isinstance(unit, Place):
            unit = ast.get_source_segment(self.texts[TESTS], unit, padded=True) or ""  # type: ignore[arg-type]
        return textwrap.dedent(unit)[:_MAX_SHOWN]


def read_paper(spec: Mapping[str, Any]) -> Paper:
    """Reads a paper of test source.

    Args:
        spec: `source` (one text) or `asserts` (several, a test each, after the text `setup`); optionally
            `prompt` (trusted text whose definitions the tests may use), `entry_point`, `check` (name of the
            function that is given the candidate).

    Raises:
        BadTestsError: the tests do not compile.
    """
    prompt_tree, prompt = _read_prompt(spec.get("prompt") or "")
    trusted = read_names([prompt_tree])
    read = _read_asserts if "asserts" in spec else _read_source
    paper = read(spec, spec.get("entry_point") or "", trusted, prompt)
    paper.leaves_traces |= leaves_traces(prompt_tree, spec.get("prompt") or "", trusted.modules)
    return paper


def _read_source(spec: Mapping[str, Any], entry: str, trusted: Used, prompt: CodeType | None) -> Paper:
    tree = _parse(spec["source"], TESTS)
    used = read_names([tree])
    _require_libraries(used)
    check_name = spec.get("check") or "check"
    check = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == check_name), None)
    paper = Paper(
        "script", want([tree], used, trusted, entry), trusted, used, prompt, [], check_name=check_name
    )
    paper.listens = any(hint in spec["source"] for hint in HINTS)
    paper.leaves_traces = leaves_traces(tree, spec["source"], used.modules)
    if check is not None and (spec.get("check") or not _is_helper(check, tree, entry)):
        paper.style = "check"
        paper.calls_itself = _calls(tree.body, check_name)
        paper.foreseen = _foresee(paper, check.body, check.args)
    elif _is_suite(tree):
        paper.style = "suite"
    else:
        paper.foreseen = _foresee(paper, tree.body)
    if paper.style != "suite":
        _run_by_itself(tree)
    if any(word in spec["source"] for word in EXPECTING):
        guard_expectations(tree)
    count_checks(tree.body)
    if paper.style != "suite":
        holder = check if check is not None and paper.style == "check" else tree
        holder.body, units = mark_units(holder.body, frozenset(used.functions))
        paper.units = list(map(_place, units))
    paper.texts[TESTS] = spec["source"]
    paper.parts.append((_compile(tree, TESTS), None))
    return paper


def _read_asserts(spec: Mapping[str, Any], entry: str, trusted: Used, prompt: CodeType | None) -> Paper:
    setup = _parse(spec.get("setup") or "", "setup.py")
    trees = [_parse(text, f"test {number}") for number, text in enumerate(spec["asserts"])]
    used = read_names([setup, *trees])
    _require_libraries(used)
    paper = Paper("script", want([setup, *trees], used, trusted, entry), trusted, used, prompt, [])
    paper.listens = any(hint in text for text in spec["asserts"] for hint in HINTS)
    sources = [(setup, spec.get("setup") or ""), *zip(trees, spec["asserts"], strict=True)]
    paper.leaves_traces = any(leaves_traces(tree, text, used.modules) for tree, text in sources)
    paper.parts.append((_compile(setup, "setup.py"), None))
    paper.foreseen = _foresee(paper, [*setup.body, *(statement for tree in trees for statement in tree.body)])
    for number, tree in enumerate(trees):
        count_checks(tree.body)
        paper.parts.append((_compile(tree, f"test {number}"), number))
    paper.units = list(spec["asserts"])
    paper.texts = {f"test {number}": text for number, text in enumerate(spec["asserts"])}
    return paper


def _place(statement: ast.stmt) -> Place:
    end, column = statement.end_lineno or statement.lineno, statement.end_col_offset or 0
    return Place(statement.lineno, statement.col_offset, end, column)


def _read_prompt(text: str) -> tuple[ast.Module, CodeType | None]:
    """The prompt as code, or nothing: it may be prose, or stop in the middle of a definition."""
    for source in (text, f"{text.rstrip()}\n    pass\n"):
        try:
            tree = ast.parse(source, _PROMPT)
        except _UNREADABLE:
            continue
        return tree, _compile(tree, _PROMPT) if tree.body else None
    return ast.Module([], []), None


def _foresee(paper: Paper, body: Sequence[ast.stmt], args: ast.arguments | None = None) -> list[bytes]:
    """Calls of the entry point that `body` begins with; `args` are those of a check function."""
    entry = "" if paper.listens else paper.wanted.entry
    names = {"candidate", entry} - (paper.used.bound | paper.trusted.bound - paper.trusted.stubs)
    if args is not None and not paper.calls_itself:
        names.add([*args.posonlyargs, *args.args][0].arg)
    return foresee(body, entry, frozenset(names)) if entry else []


def _require_libraries(used: Used) -> None:
    for name in sorted(used.libraries):
        raise NeedsError(f"the tests import '{name}', which the sandbox does not show: packages=('{name}',)")


def _parse(text: str, name: str) -> ast.Module:
    try:
        return ast.parse(text, name)
    except _UNREADABLE as error:
        raise BadTestsError(f"{name} does not compile: {type(error).__name__}: {error}") from error


def _compile(tree: ast.Module, name: str) -> CodeType:
    try:
        return compile(tree, name, "exec", dont_inherit=True)
    except _UNREADABLE as error:
        raise BadTestsError(f"{name} does not compile: {type(error).__name__}: {error}") from error


def _calls(body: Sequence[ast.stmt], name: str) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for statement in body
        if not isinstance(statement, ast.FunctionDef)
        for node in walk(statement)
    )


def _run_by_itself(tree: ast.Module) -> None:
    """What a script does under `if __name__ == "__main__"` belongs to it; a file that is collected is imported."""
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            node.test = ast.copy_location(ast.Constant(True), node.test)


def _is_helper(check: ast.FunctionDef, tree: ast.Module, entry: str) -> bool:
    """Whether a function is not given the candidate, but called by the tests, with what they know themselves."""
    names = [arg.arg for arg in (*check.args.posonlyargs, *check.args.args)]
    if not names or len(names) - len(check.args.defaults) > 1:
        return True
    tests = [node for node in tree.body if getattr(node, "name", "").lower().startswith("test")]
    called = (node.func for test in tests for node in walk(test) if isinstance(node, ast.Call))
    is_left = names[0] != "candidate" or not entry
    return is_left and any(getattr(each, "id", "") == check.name for each in called)


def _is_suite(tree: ast.Module) -> bool:
    """Whether a source holds tests to be collected."""
    return any(
        (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"))
        or (isinstance(node, ast.ClassDef) and (node.name.startswith("Test") or _is_case(node)))
        for node in tree.body
    )


def _is_case(node: ast.ClassDef) -> bool:
    names = [base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases]
    return any(name.endswith("TestCase") for name in names)
