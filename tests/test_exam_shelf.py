"""Papers are kept for later candidates, within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.sandbox.exam.shelf import Shelf


@given(st.lists(st.binary(max_size=9), max_size=60), st.integers(1, 6), st.integers(1, 30))
def test_the_latest_stay_within_both_bounds(asked: list[bytes], most: int, most_bytes: int) -> None:
    shelf = Shelf(lambda source: source[::-1], most, most_bytes)
    order: list[bytes] = []  # the latest last
    for source in asked:
        assert shelf[source] == source[::-1]
        order = [each for each in order if each != source] + [source]
        while len(order) > 1 and (len(order) > most or sum(map(len, order)) > most_bytes):
            del order[0]
        assert [each for each in set(asked) if each in shelf] == [
            each for each in set(asked) if each in order
        ]


def test_what_is_there_is_not_read_again() -> None:
    read: list[bytes] = []
    shelf = Shelf(lambda source: read.append(source), 2, 100)
    for source in (b"a", b"b", b"a", b"c", b"a", b"b"):
        shelf[source]
    assert read == [b"a", b"b", b"c", b"b"]


def test_what_cannot_be_read_is_not_kept() -> None:
    shelf = Shelf(int, 2, 100)
    with pytest.raises(ValueError, match="invalid"):
        shelf[b"x"]
    assert b"x" not in shelf
    assert shelf[b"12"] == 12
