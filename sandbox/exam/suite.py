"""Finds and runs test functions, test classes and unittest cases of a test source, one test each.

Known of pytest: plain asserts, `raises`, `approx`, `mark.parametrize`, `mark.skip` and `mark.xfail` (not run),
setup_method and teardown_method, and fixtures as far as `fixtures.py` says. A test that wants another one is a
fault of the tests.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from proctor.sandbox.exam.examinee import is_of_candidate
from proctor.sandbox.exam.fixtures import Fixtures
from proctor.sandbox.exam.pytest_words import Param
from proctor.sandbox.exam.showing import show
from proctor.sandbox.exam.unittest_words import shorten

if TYPE_CHECKING:
    import unittest


_MAX_ROWS = 10_000  # of a table; a candidate's answer may be an endless one
_PYTEST_ROWS = "_pytest.mark.structures"  # where the class of `pytest.param` is, if the sandbox shows pytest


class UnknownFixtureError(LookupError):
    """A test asks for what is not known here."""


class UnfitRowsError(ValueError):
    """A table of `parametrize` that is none, or rows that do not have a value for each name."""


@dataclass(frozen=True)
class Test:
    """One collected test."""

    name: str
    run: Callable[[], object]


def collect(names: Mapping[str, Any], given: Mapping[str, Any]) -> list[Test]:
    """The tests that a namespace holds, in the order of definition.

    Args:
        names: the namespace after the source was run.
        given: what a test function may ask for by the name of a parameter (the candidate).

    Raises:
        UnknownFixtureError: a test asks for something else, such as a fixture that is not known.
        UnfitRowsError: `parametrize` is given rows that are none.
    """
    fixtures = Fixtures(names)
    loaded = sys.modules.get("unittest")
    case = loaded.TestCase if loaded is not None else None
    if loaded is not None:
        shorten(loaded.case)
    tests: list[Test] = []
    for name, value in list(names.items()):
        is_own = getattr(value, "__module__", None) == names.get("__name__")
        if isinstance(value, type) and case is not None and issubclass(value, case):
            tests += _cases(value) if value is not case else ()
        elif isinstance(value, type) and name.startswith("Test") and is_own:
            tests += _methods(value, given, fixtures.of(value))
        elif inspect.isfunction(value) and name.startswith("test"):
            tests += _calls(name, value, given, fixtures)
    return tests


def _cases(kind: type[unittest.TestCase]) -> Iterator[Test]:
    import unittest  # heavy; the test source has it loaded

    for name in unittest.TestLoader().getTestCaseNames(kind):
        yield Test(f"{kind.__name__}.{name}", lambda name=name: _run_case(kind(name)))  # type: ignore[misc]


def _run_case(case: unittest.TestCase) -> None:
    """Runs one case with its set-up; raises what it raised, which a TestResult would turn into text."""
    import unittest  # heavy; the test source has it loaded

    raised: list[BaseException] = []
    result: Any = unittest.TestResult()
    result.addError = result.addFailure = lambda test, error: raised.append(error[1])
    result.addSubTest = lambda test, subtest, error: raised.append(error[1]) if error else None
    result.addUnexpectedSuccess = lambda test: raised.append(AssertionError("expected to fail, and did not"))
    unittest.TestSuite([case]).run(result)
    if raised:
        raise raised[0]
    if result.skipped and not _is_marked_to_skip(case):
        raise AssertionError(f"skipped while it ran: {result.skipped[0][1]}")


def _is_marked_to_skip(case: unittest.TestCase) -> bool:
    method = getattr(case, case._testMethodName)
    return bool(getattr(case, "__unittest_skip__", False) or getattr(method, "__unittest_skip__", False))


def _methods(kind: type, given: Mapping[str, Any], fixtures: Fixtures) -> Iterator[Test]:
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if name.startswith("test"):
            is_static = isinstance(inspect.getattr_static(kind, name), staticmethod)
            for test in _calls(f"{kind.__name__}.{name}", method, given, fixtures, skip_self=not is_static):
                yield Test(test.name, lambda name=name, call=test.run: _in_instance(kind, name, call))  # type: ignore[misc]


def _in_instance(kind: type, name: str, call: Callable[..., object]) -> None:
    instance = kind()
    for before in ("setup_class", "setup_method", "setup"):
        hook = getattr(instance, before, None)
        if hook is not None and not hasattr(hook, "proctor_fixture"):
            hook(*_method_argument(instance, before, name))
    try:
        call(instance)
    finally:
        getattr(instance, "teardown_method", lambda *_: None)(
            *_method_argument(instance, "teardown_method", name)
        )


def _method_argument(instance: object, hook: str, name: str) -> Sequence[object]:
    function = getattr(instance, hook, None)
    wants = function is not None and len(inspect.signature(function).parameters) > 0
    return (getattr(instance, name),) if wants else ()


def _calls(
    name: str,
    function: Callable[..., Any],
    given: Mapping[str, Any],
    fixtures: Fixtures,
    skip_self: bool = False,
) -> Iterator[Test]:
    marks = list(getattr(function, "pytestmark", ()))
    if any(mark.name in ("skip", "xfail") for mark in marks):
        return
    parameters = list(inspect.signature(function).parameters.values())[1 if skip_self else 0 :]
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]

    def run(instance: object = None, *, known: Mapping[str, Any]) -> None:
        given = dict(known)
        with ExitStack() as stack:
            for name in fixtures.automatic:
                fixtures.give(name, instance, given, stack)
            kwargs = {each: fixtures.give(each, instance, given, stack) for each in needed}
            result = function(instance, **kwargs) if skip_self else function(**kwargs)
            if inspect.iscoroutine(result):
                import asyncio  # heavy, and rarely needed

                asyncio.run(result)

    for values in _parameter_sets(marks):
        known = {**given, **values}
        missing = [each for each in needed if each not in known and not fixtures.knows(each)]
        if missing:
            raise UnknownFixtureError(
                f"test '{name}' asks for '{missing[0]}', which is not known here as a fixture"
            )
        shown = f"{name}[{', '.join(f'{k}={show(v)}'[:80] for k, v in values.items())}]" if values else name
        yield Test(shown, partial(run, known=known))


def _parameter_sets(marks: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Every combination of what `pytest.mark.parametrize` lists; one empty set where there is no such mark."""
    tables = []
    for mark in marks:
        if mark.name != "parametrize":
            continue
        names, rows = mark.args[:2]
        columns = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
        try:
            table = [_row(columns, row) for row in islice(rows, _MAX_ROWS)]
        except (TypeError, ValueError) as error:  # they may be the candidate's answers
            if is_of_candidate(error):
                raise
            raise UnfitRowsError(f"the rows for '{', '.join(columns)}' do not fit: {error}") from error
        tables.append(table)
    for combination in product(*tables):
        yield {name: value for part in combination for name, value in part.items()}


def _row(columns: Sequence[str], row: Any) -> dict[str, Any]:
    """The values of one test. A lone value may be an object of the candidate's: nothing is asked of it."""
    if type(row) is Param or type(row).__module__ == _PYTEST_ROWS:
        values = row.values
    else:
        values = row if len(columns) > 1 else (row,)
    return dict(zip(columns, values, strict=True))
