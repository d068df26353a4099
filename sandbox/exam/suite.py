"""Finds and runs test functions, test classes and unittest cases of a test source, one test each.

Known of pytest: plain asserts, `raises`, `approx`, marks (`marks.py`), hooks that set up and tear down, classes in
classes, and fixtures as far as `fixtures.py` says. Tests that are marked to be skipped are none. A test that
cannot be run as it would be there is a fault of the tests.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import product
from typing import Any

from proctor.sandbox.exam.cases import cases_of
from proctor.sandbox.exam.examinee import is_of_candidate
from proctor.sandbox.exam.fixtures import Asked, Fixtures, wants
from proctor.sandbox.exam.grouping import Test, finish, set_up_by
from proctor.sandbox.exam.marks import indirect_names, is_row, is_skipped, marks_of, table_of, used_fixtures
from proctor.sandbox.exam.pytest_words import UnknownWordError
from proctor.sandbox.exam.showing import show

_OWN = "tests"  # a class of the candidate's says "solution"


class UnfitRowsError(ValueError):
    """A table of `parametrize` that is none, or rows that do not have a value for each name."""


def collect(names: dict[str, Any], given: Mapping[str, Any]) -> list[Test]:
    """The tests that a namespace holds, in the order of definition.

    Args:
        names: the namespace after the source was run.
        given: what a test function may ask for by the name of a parameter (the candidate).

    Raises:
        UnknownWordError: a test asks for something else, such as a fixture that is not known, or cannot be run.
        UnfitRowsError: `parametrize` is given rows that are none.
    """
    fixtures = Fixtures(names)
    file = _File()
    file.__dict__ = names
    tests: list[Test] = []
    for name, value in list(names.items()):
        if isinstance(value, type):
            tests += _of_class(name, value, given, fixtures, marks_of(file))
        elif inspect.isfunction(value) and name.startswith("test") and getattr(value, "__test__", True):
            calls = _calls(name, value, given, fixtures, marks=marks_of(file))
            tests += [Test(test.name, partial(_as_function, file, value, test.run)) for test in calls]
        elif name == "load_tests" and inspect.isfunction(value):
            raise UnknownWordError("'load_tests' is not known here")
    return fixtures.file.around(tests, partial(_set_up_file, file))


def _set_up_file(file: _File, stack: ExitStack) -> None:
    for words in (("setUpModule", "tearDownModule"), ("setup_module", "teardown_module")):
        set_up_by(stack, file, words, file)


class _File:
    """Stands for the module that a test source would be: its attributes are the names of the source."""


def _as_function(file: _File, function: object, run: Callable[[], object]) -> None:
    with ExitStack() as stack:
        set_up_by(stack, file, ("setup_function", "teardown_function"), function)
        run()


def _of_class(
    name: str, kind: type, given: Mapping[str, Any], fixtures: Fixtures, marks: Sequence[Any]
) -> list[Test]:
    """The tests of a class, where it is one for tests."""
    loaded = sys.modules.get("unittest")
    is_case = loaded is not None and issubclass(kind, loaded.TestCase)
    module = kind.__module__
    if not (
        module.partition(".")[0] != "unittest" if is_case else module == _OWN and name.startswith("Test")
    ):
        return []
    if inspect.isabstract(kind) or not getattr(kind, "__test__", True):
        return []
    if is_case:
        return cases_of(kind, fixtures, marks)
    own = fixtures.of(kind)
    tests = _methods(kind, given, own, [*marks, *marks_of(kind)])
    words = "setup_class", "teardown_class"
    return own.group.around(tests, lambda stack: set_up_by(stack, kind, words, kind))


def _methods(
    kind: type, given: Mapping[str, Any], fixtures: Fixtures, marks: Sequence[Any]
) -> Iterator[Test]:
    for name in _members(kind):
        method = getattr(kind, name, None)
        if isinstance(method, type):
            for test in _of_class(name, method, given, fixtures, marks):
                yield Test(f"{kind.__name__}.{test.name}", test.run)
        elif name.startswith("test") and (inspect.isfunction(method) or inspect.ismethod(method)):
            _require_no_arguments(kind)
            is_bound = inspect.ismethod(method) or isinstance(
                inspect.getattr_static(kind, name), staticmethod
            )
            shown = f"{kind.__name__}.{name}"
            for test in _calls(shown, method, given, fixtures, skip_self=not is_bound, marks=marks):
                yield Test(test.name, partial(_in_instance, kind, name, test.run))


def _members(kind: type) -> list[str]:
    """Names of a class in the order of definition, those of its bases first."""
    found: list[str] = []
    for base in kind.__mro__:
        found = [*(name for name in vars(base) if name not in found), *found]
    return found


def _require_no_arguments(kind: type) -> None:
    try:
        inspect.signature(kind).bind()
    except ValueError:  # a heir of a built-in type may have none
        return
    except TypeError as error:
        raise UnknownWordError(f"the test class '{kind.__name__}' is made with arguments") from error


def _in_instance(kind: type, name: str, call: Callable[..., object]) -> None:
    instance = kind()
    method = getattr(instance, name)
    with ExitStack() as stack:
        for words in (("setup_method", "teardown_method"), ("setup", "teardown")):
            set_up_by(stack, instance, words, method)
        call(instance)


def _calls(
    name: str,
    function: Callable[..., Any],
    given: Mapping[str, Any],
    fixtures: Fixtures,
    skip_self: bool = False,
    marks: Sequence[Any] = (),
) -> Iterator[Test]:
    marks = [*marks, *marks_of(function)]
    if is_skipped(marks) or getattr(function, "__unittest_skip__", False):
        return
    needed = wants(function, skip_self)
    wanted = [*fixtures.automatic, *used_fixtures(marks), *needed]

    def run(instance: object = None, *, known: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        with ExitStack() as stack:
            asked = Asked(instance, known, params, stack)
            found = {each: fixtures.give(each, asked) for each in wanted}
            kwargs = {each: found[each] for each in needed}
            finish(function(instance, **kwargs) if skip_self else function(**kwargs))

    for values in _parameter_sets(marks):
        indirect = {each: values[each] for each in indirect_names(marks)}
        known = {each: value for each, value in {**given, **values}.items() if each not in indirect}
        shown = f"{name}[{', '.join(f'{k}={show(v)}'[:80] for k, v in values.items())}]" if values else name
        for params in fixtures.choices(wanted, known, indirect):
            yield Test(shown, partial(run, known=known, params=params))


def _parameter_sets(marks: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Every combination of what `pytest.mark.parametrize` lists; one empty set where there is no such mark."""
    tables = []
    for mark in marks:
        if mark.name != "parametrize":
            continue
        columns, rows = table_of(mark)
        try:
            table = [_row(columns, row) for row in rows]
        except (TypeError, ValueError) as error:  # they may be the candidate's answers
            if is_of_candidate(error):
                raise
            raise UnfitRowsError(f"the rows for '{', '.join(columns)}' do not fit: {error}") from error
        tables.append(table)
    for combination in product(*tables):
        yield {name: value for part in combination for name, value in part.items()}


def _row(columns: Sequence[str], row: Any) -> dict[str, Any]:
    """The values of one test. A lone value may be an object of the candidate's: nothing is asked of it."""
    whole = row if len(columns) > 1 else (row,)
    return dict(zip(columns, row.values if is_row(row) else whole, strict=True))
