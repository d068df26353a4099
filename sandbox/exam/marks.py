"""What `pytest.mark` says of tests, classes and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proctor.sandbox.exam.pytest_words import Param, UnknownWordError

_PYTEST_ROWS = "_pytest.mark.structures"  # where the class of `pytest.param` is, if the sandbox shows pytest


def marks_of(owner: object) -> list[Any]:
    """The marks of a function or class; of a file, given its `pytestmark`."""
    marks = getattr(owner, "pytestmark", ())
    return list(marks) if isinstance(marks, list | tuple) else [marks]


def is_skipped(marks: Iterable[Any]) -> bool:
    """Whether a test is not to be run, or may fail. Raises UnknownWordError for a condition that is text."""
    return any(map(_skips, marks))


def _skips(mark: Any) -> bool:
    if mark.name not in ("skipif", "xfail"):
        return bool(mark.name == "skip")
    conditions = [*mark.args, *([mark.kwargs["condition"]] if "condition" in mark.kwargs else ())]
    if any(isinstance(condition, str) for condition in conditions):
        raise UnknownWordError(f"a condition of '{mark.name}' as text is not known here")
    return any(conditions) or not conditions


def used_fixtures(marks: Iterable[Any]) -> list[str]:
    return [name for mark in marks if mark.name == "usefixtures" for name in mark.args]


def table_of(mark: Any) -> tuple[list[str], list[Any]]:
    """The names and the rows of `parametrize`, without rows that are not to be run."""
    names, rows = (
        mark.args[place] if len(mark.args) > place else mark.kwargs[name]
        for place, name in enumerate(("argnames", "argvalues"))
    )
    columns = [n.strip() for n in names.split(",") if n.strip()] if isinstance(names, str) else list(names)
    kept = [row for row in rows if not is_row(row) or not is_skipped(marks_of_row(row))]
    return columns, kept


def is_row(value: object) -> bool:
    """Whether `pytest.param` made it, here or in pytest; nothing is asked of an object of the candidate's."""
    return type(value) is Param or type(value).__module__ == _PYTEST_ROWS


def marks_of_row(row: Any) -> Sequence[Any]:
    """The marks that `pytest.param(..., marks=...)` gives."""
    marks = row.marks
    return marks if isinstance(marks, list | tuple) else [marks]


def indirect_names(marks: Iterable[Any]) -> set[str]:
    """What `parametrize` gives to fixtures, as `request.param`, and not to the test itself."""
    found: set[str] = set()
    for mark in marks:
        is_indirect = mark.kwargs.get("indirect", False) if mark.name == "parametrize" else False
        found.update(table_of(mark)[0] if is_indirect is True else is_indirect or ())
    return found


def params_of(about: Mapping[str, Any]) -> list[Any] | None:
    """What `fixture(params=...)` lists; None where it has no such list."""
    if about.get("params") is None:
        return None
    are_rows = [is_row(each) for each in about["params"]]
    found = zip(about["params"], are_rows, strict=True)
    return [
        each.values[0] if row else each
        for each, row in found
        if not row or not is_skipped(marks_of_row(each))
    ]
