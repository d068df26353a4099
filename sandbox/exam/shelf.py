"""What was read once and may be asked for again, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Shelf(Generic[_Item]):
    """Items by the bytes that they are read from. What was asked for longest ago goes first.

    Args:
        read: makes an item of its bytes.
        most, most_bytes: how many items are kept, and of how many bytes together; the latest is kept always.
    """

    def __init__(self, read: Callable[[bytes], _Item], most: int, most_bytes: int) -> None:
        self._read, self._most, self._most_bytes = read, most, most_bytes
        self._items: OrderedDict[bytes, _Item] = OrderedDict()
        self._bytes = 0

    def __contains__(self, source: bytes) -> bool:
        return source in self._items

    def __getitem__(self, source: bytes) -> _Item:
        """Raises whatever `read` raises; then nothing is kept."""
        if source not in self._items:
            self._items[source] = self._read(source)
            self._bytes += len(source)
            while len(self._items) > 1 and (len(self._items) > self._most or self._bytes > self._most_bytes):
                oldest, _ = self._items.popitem(last=False)
                self._bytes -= len(oldest)
        self._items.move_to_end(source)
        return self._items[source]
