"""How large a value is for whoever walks through it: a few shared lists may stand for more than can be walked.

`a = [a, a]` sixty times over is sixty lists to send, and 2**60 members to print, compare or hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def unfolded(roots: Sequence[Any], heap: Sequence[Any], most: int) -> int:
    """Entries of the heap that are met on a walk from the roots, each as often as it is met; at most `most` + 1.

    References back to what is being walked through, as cycles have, count nothing.
    """
    sizes: dict[int, int] = {}
    parts: dict[int, list[int]] = {}  # of entries that are begun and not finished
    wanted = list(_references(roots))
    waiting = list(wanted)
    while waiting:
        number = waiting[-1]
        if number not in sizes:
            sizes[number] = 0
            parts[number] = list(_references(heap[number]))
            waiting += [part for part in parts[number] if part not in sizes]
            continue
        waiting.pop()
        if number in parts:
            sizes[number] = min(most + 1, 1 + sum(map(sizes.__getitem__, parts.pop(number))))
    return min(most + 1, sum(map(sizes.__getitem__, wanted)))


def _references(node: Any) -> Iterator[int]:
    """The entries that a node refers to."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if type(part) is list:
            waiting += part
        elif type(part) is dict:
            ((tag, body),) = part.items()
            if tag == "#":
                yield body
            else:
                waiting.append(body)
