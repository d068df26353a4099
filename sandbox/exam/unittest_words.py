"""Keeps the messages of unittest's assertions from taking more time than the tests.

A failing `assertEqual` compares the texts of both sides line by line and letter by letter, which for a long wrong
answer takes minutes; the first difference and both sides, shortened, stand in its message without that.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from proctor.sandbox.exam.showing import show


def shorten(case: Any) -> None:
    """`case` is the module `unittest.case`, which the test source has loaded."""
    if not isinstance(case.difflib, SimpleNamespace):
        case.difflib = SimpleNamespace(ndiff=lambda one, other: ())
        case.pprint = SimpleNamespace(pformat=show)
        case._count_diff_all_purpose = _compared_by_length_first(case)


def _compared_by_length_first(case: Any) -> Any:
    compare = case._count_diff_all_purpose

    def differences(one: Iterable[object], other: Iterable[object]) -> Any:
        """What `assertCountEqual` finds in members without a hash, comparing each with each."""
        sides = list(one), list(other)
        counts = [len(side) for side in sides]
        return compare(*sides) if counts[0] == counts[1] else [(*counts, "members in all")]

    return differences
