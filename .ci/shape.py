"""Checks the size and shape of the code against the project's budgets and prints the table.

Run as `python .ci/shape.py`; exits 1 where a budget is exceeded. The budgets stand in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("proctor", "verifiers", "sandbox", "rl", "sft", "benchmarks", "tests")
FUNCTION_LINES = 60
FILE_LINES = 400
PARAMETERS = 7
POSITIONAL = 2
NESTING = 3
OWN_IMPORTS = 7
LONG_FUNCTIONS_ALLOWED = {"rl/train.py": 1}  # the training loop reads top to bottom in one function

# Files that put the parts of a job together and hold nothing of their own: what they import is what they do.
ASSEMBLIES = {
    "benchmarks/compare_trainers.py",
    "benchmarks/generate.py",
    "proctor/cli.py",
    "rl/command.py",
    "rl/learner.py",
    "rl/reward_training.py",
    "rl/setup.py",
    "rl/train.py",
    "sandbox/docker/pool.py",
    "sandbox/exam/calls.py",
    "sandbox/exam/checks.py",
    "sandbox/exam/evidence.py",
    "sandbox/exam/examiner.py",
    "verifiers/programs/exams.py",
    "sandbox/exam/candidate.py",
    "sandbox/exam/examinee.py",
    "sandbox/exam/sitting.py",
    "sandbox/local/supervisor.py",
    "verifiers/answers.py",
    "verifiers/maths/grading.py",
    "verifiers/maths/reading.py",
    "verifiers/programs/companions.py",
    "verifiers/programs/part.py",
    "verifiers/programs/stdio.py",
}
ASSEMBLY_IMPORTS = 20
# Known to be over a budget, and by how much: to be brought down, never up.
DEBTS = {
    ("nesting", "sandbox/docker/image.py build"): 4,
    ("nesting", "sandbox/docker/keeper.py keep"): 4,
}
# The signature that a table of functions gives counts as one parameter; the rest are a paper's constants.
REGISTERING = {"policy_loss": 4, "advantage": 3}

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py"}


@dataclass(frozen=True)
class Finding:
    """One measured thing and its budget."""

    what: str
    where: str
    value: int
    budget: int


def main() -> int:
    findings = [finding for path in _files() for finding in _measure(path)]
    over = [finding for finding in findings if finding.value > max(finding.budget, _debt(finding))]
    print(f"{'measure':<22}{'largest':>8}{'budget':>8}  where")
    for what in dict.fromkeys(finding.what for finding in findings):
        worst = max((finding for finding in findings if finding.what == what), key=lambda found: found.value)
        print(f"{what:<22}{worst.value:>8}{worst.budget:>8}  {worst.where}")
    for finding in (found for found in findings if found.value > found.budget and found not in over):
        print(f"known debt: {finding.where}: {finding.what} {finding.value} > {finding.budget}")
    for finding in over:
        print(f"over budget: {finding.where}: {finding.what} {finding.value} > {finding.budget}")
    return 1 if over else 0


def _debt(finding: Finding) -> int:
    where = re.sub(r":\d+ ", " ", finding.where)
    return DEBTS.get((finding.what, where), 0)


def _files() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if not any(part.is_symlink() for part in path.parents if part != ROOT):
                yield path


def _measure(path: Path) -> Iterator[Finding]:
    name = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    yield Finding("lines of a file", name, len(text.splitlines()), FILE_LINES)
    yield Finding("forbidden names", name, int(path.name in _FORBIDDEN_NAMES), 0)
    if not name.startswith("tests/"):
        budget = ASSEMBLY_IMPORTS if name in ASSEMBLIES else OWN_IMPORTS
        what = "imports, assembling" if name in ASSEMBLIES else "imports of ours"
        yield Finding(what, name, _own_imports(tree), budget)
    allowed_long = LONG_FUNCTIONS_ALLOWED.get(name, 0)
    functions = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    for function in sorted(functions, key=_length, reverse=True)[allowed_long:]:
        where = f"{name}:{function.lineno} {function.name}"
        yield Finding("lines of a function", where, _length(function), FUNCTION_LINES)
        yield Finding("nesting", where, _nesting(function), NESTING)
        if not (name.startswith("tests/") or function.name.startswith("__") or _is_command(function)):
            yield Finding("parameters", where, _num_parameters(function), PARAMETERS)


def _length(function: ast.AST) -> int:
    return int(function.end_lineno or 0) - int(function.lineno) + 1  # type: ignore[attr-defined]


def _is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a parameter list is a command line's: as long as the command has options."""
    return any(
        "command" in ast.dump(decorator) or "callback" in ast.dump(decorator)
        for decorator in function.decorator_list
    )


def _num_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    named = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    count = sum(name not in ("self", "cls") for name in named)
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Name) and called.id in REGISTERING:
            return count - REGISTERING[called.id] + 1
    return count


def _nesting(node: ast.AST, *, depth: int = 0) -> int:
    """Deepest block inside a function; an `elif` stands beside its `if`, a nested function starts anew."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        is_block = isinstance(child, _BLOCKS) and not is_elif
        deepest = max(deepest, _nesting(child, depth=depth + is_block))
    return deepest


def _own_imports(tree: ast.Module) -> int:
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return sum(module.startswith("proctor.") for module in modules)


if __name__ == "__main__":
    sys.exit(main())
