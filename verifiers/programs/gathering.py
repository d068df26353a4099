"""A row's tests from where data sets keep them: in several columns, and with what stands beside them in others.

public_tests, private_tests                  columns of one shape, whose tests are put together
test_setup_code, test_imports                of a list of asserts (MBPP)
metadata: {"func_name": "f"}                 what calls call (LiveCodeBench), where nothing else says it
generated_checker                            of tests on standard input (open-r1/codeforces): a script that is
                                             called with INPUT EXPECTED OUTPUT and prints 1 or 0
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from proctor.sandbox.languages import find_language
from proctor.verifiers.core import Rollout
from proctor.verifiers.programs.testset import ExamTests, StdioTests, TestShapeError
from proctor.verifiers.programs.written import parse


def gather(rollout: Rollout, columns: Sequence[str], language: str) -> Any:
    """The tests of a row, in one of the shapes that `read_tests` knows. Raises TestShapeError."""
    found = [_plain(rollout.get(column)) for column in columns]
    tests = found[0] if len(found) == 1 else _together(found, columns)
    if isinstance(tests, Mapping):
        _check_language(tests.get("language"), language)
    if isinstance(tests, list) and tests and isinstance(tests[0], str):
        setup, imports = rollout.get("test_setup_code"), _plain(rollout.get("test_imports"))
        if setup or imports:
            imports = [imports] if isinstance(imports, str) else imports
            return {"test_list": tests, "test_setup_code": setup, "test_imports": imports}
    return tests


def entry_of(rollout: Rollout, column: str) -> str:
    """Name of what is under test, where a column says it; else ""."""
    named = rollout.get(column) or rollout.get("fn_name")
    if not named:
        metadata = _plain(rollout.get("metadata"))
        named = metadata.get("func_name") if isinstance(metadata, Mapping) else None
    return str(named or "")


def with_checker(tests: StdioTests | ExamTests, rollout: Rollout) -> StdioTests | ExamTests:
    """Tests on standard input with the checker of their row, where it has one and they bring none."""
    script = rollout.get("generated_checker")
    if (
        not isinstance(tests, StdioTests)
        or tests.checker
        or not isinstance(script, str)
        or not script.strip()
    ):
        return tests
    return replace(tests, checker=_CHECK.format(script=script))


def fault_of_source(tests: Any) -> str:
    """Why a test source is no Python; "" where it is, or where tests are none."""
    return _fault_of(tests) if isinstance(tests, str) else ""


@lru_cache(maxsize=16)
def _fault_of(source: str) -> str:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


# `check` as checker.py knows it, around a script of another convention.
_CHECK = """\
import contextlib, io, sys

def check(input, output, expected):
    files = {{"input.txt": input, "expected.txt": expected, "output.txt": output}}
    for name, text in files.items():
        with open(name, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    sys.argv[:] = ["checker.py", *files]
    said, status = io.StringIO(), None
    with contextlib.redirect_stdout(said):
        try:
            exec(compile({script!r}, "checker.py", "exec", dont_inherit=True), {{"__name__": "__main__"}})
        except SystemExit as leaving:
            status = 1 if isinstance(leaving.code, str) else leaving.code or 0
    word = (said.getvalue().split() or [""])[-1]
    if word in ("1", "1.0", "True") and not status:
        return 1.0
    if word in ("0", "0.0", "False") or status == 1:
        return 0.0
    if word or status is None:
        raise ValueError(f"the checker printed {{word!r}} at the end, where 1 or 0 was expected")
    if status:
        raise ValueError(f"the checker ended with status {{status}}")
    return 1.0
"""


def _plain(value: Any) -> Any:
    """A column as plain data: arrays, which tables make of lists, are lists again, and texts are read."""
    if isinstance(value, str):
        return parse(value)
    if isinstance(value, Mapping):
        return {name: _listed(item) for name, item in value.items()}
    return _listed(value)


def _listed(value: Any) -> Any:
    """An array, also of arrays; anything else as it is, since it may be long."""
    if not hasattr(value, "tolist"):
        return value
    items = value.tolist()
    return list(map(_plain, items)) if isinstance(items, list) and not _is_text(items) else items


def _is_text(items: Sequence[Any]) -> bool:
    return bool(items) and isinstance(items[0], str)


def _together(found: Sequence[Any], columns: Sequence[str]) -> Any:
    filled = [tests for tests in found if tests]
    if all(isinstance(tests, list) for tests in filled):
        return [test for tests in filled for test in tests]
    keys = ("inputs", "outputs"), ("input", "output")
    for pair in keys:
        if all(isinstance(tests, Mapping) and set(pair) <= tests.keys() for tests in filled):
            joined = {name: [each for tests in filled for each in tests[name]] for name in pair}
            return {**filled[0], **joined}
    raise TestShapeError(
        f"the columns {', '.join(columns)} cannot be put together: lists of tests are wanted, or mappings with "
        "inputs and outputs in all of them"
    )


def _check_language(said: Any, language: str) -> None:
    """Else every program would be read as one of another language, and be worth nothing."""
    if not isinstance(said, str) or not said:
        return
    try:
        name = find_language(said).name
    except KeyError as error:
        raise TestShapeError(
            f"the tests are for programs in a language that is not known: {error.args[0]}"
        ) from error
    if name != find_language(language).name:
        raise TestShapeError(
            f"the tests are for programs in {name}, and the option 'language' says {language}"
        )
