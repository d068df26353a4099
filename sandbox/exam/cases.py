"""Test cases of unittest: one test a method, with the fixtures of pytest that go for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from proctor.sandbox.exam.fixtures import Asked, Fixtures
from proctor.sandbox.exam.grouping import Test, finish
from proctor.sandbox.exam.marks import is_skipped, marks_of, used_fixtures
from proctor.sandbox.exam.unittest_words import shorten

if TYPE_CHECKING:
    import unittest


def cases_of(kind: type[unittest.TestCase], fixtures: Fixtures, marks: Sequence[Any]) -> list[Test]:
    """The tests of a class; those that it marks to be skipped are none."""
    own = fixtures.of(kind)
    return own.group.around(_tests(kind, own, [*marks, *marks_of(kind)]), partial(_set_up, kind))


def _tests(kind: type[unittest.TestCase], fixtures: Fixtures, marks: Sequence[Any]) -> Iterator[Test]:
    import unittest  # heavy; the test source has it loaded

    shorten(unittest.case)
    names = unittest.TestLoader().getTestCaseNames(kind) or ["runTest"] * hasattr(kind, "runTest")
    for name in names:
        method = getattr(kind, name)
        own = [*marks, *marks_of(method)]
        if is_skipped(own) or any(getattr(each, "__unittest_skip__", False) for each in (kind, method)):
            continue
        wanted = [*fixtures.automatic, *used_fixtures(own)]
        for params in fixtures.choices(wanted, {}, {}):
            yield Test(f"{kind.__name__}.{name}", partial(_run, kind, name, fixtures, (wanted, params)))


def _set_up(kind: type[unittest.TestCase], stack: ExitStack) -> None:
    stack.callback(_clean_up, kind)
    kind.setUpClass()
    stack.callback(kind.tearDownClass)


def _clean_up(kind: type[unittest.TestCase]) -> None:
    kind.doClassCleanups()
    if kind.tearDown_exceptions:  # type: ignore[attr-defined]
        raise kind.tearDown_exceptions[0][1]  # type: ignore[attr-defined]


def _run(
    kind: type[unittest.TestCase],
    name: str,
    fixtures: Fixtures,
    wanted: tuple[Sequence[str], Mapping[str, Any]],
) -> None:
    case: Any = kind(name)
    with ExitStack() as stack:
        asked = Asked(case, {}, wanted[1], stack)
        for each in wanted[0]:
            fixtures.give(each, asked)
        if not hasattr(case, "asyncSetUp"):  # which runs coroutines by itself
            case._callTestMethod = lambda method: finish(method())
        _run_case(case)


def _run_case(case: unittest.TestCase) -> None:
    """Runs one case with its set-up; raises what it raised, which a TestResult would turn into text."""
    import unittest  # heavy; the test source has it loaded

    raised: list[BaseException] = []
    result: Any = unittest.TestResult()
    result.addError = result.addFailure = lambda test, error: raised.append(error[1])
    result.addSubTest = lambda test, subtest, error: raised.append(error[1]) if error else None
    result.addUnexpectedSuccess = lambda test: raised.append(AssertionError("expected to fail, and did not"))
    case.run(result)
    if raised:
        raise raised[0]
    if result.skipped:
        raise AssertionError(f"skipped while it ran: {result.skipped[0][1]}")
