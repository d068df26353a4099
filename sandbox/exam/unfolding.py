"""How large a value is for whoever walks through it: a few shared lists may stand for more than can be walked.

`a = [a, a]` sixty times over is sixty lists to send, and 2**60 members to print, compare or hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_CHARACTERS = 8  # of a text weigh as much as a member


def unfolded(roots: Sequence[Any], heap: Sequence[Any], most: int) -> int:
    """Members that are met on a walk from the roots, each as often as it is met; at most `most` + 1.

    References back to what is being walked through, as cycles have, count nothing.
    """
    sizes: dict[int, int] = {}
    begun: dict[int, tuple[int, list[int]]] = {}
    own, wanted = _read(roots)
    waiting = list(wanted)
    while waiting:
        number = waiting[-1]
        if number not in sizes:
            sizes[number] = 0
            begun[number] = _read(heap[number])
            waiting += [part for part in begun[number][1] if part not in sizes]
            continue
        waiting.pop()
        if number in begun:
            members, parts = begun.pop(number)
            sizes[number] = min(most + 1, 1 + members + sum(map(sizes.__getitem__, parts)))
    return min(most + 1, own + sum(map(sizes.__getitem__, wanted)))


def _read(node: Any) -> tuple[int, list[int]]:
    """How many members a node has itself, and the entries that it refers to."""
    members, references, waiting = 0, [], [node]
    while waiting:
        part = waiting.pop()
        if type(part) is list:
            waiting += part
        elif type(part) is dict:
            ((tag, body),) = part.items()
            if tag == "#":
                references.append(body)
            else:
                waiting.append(body)
        else:
            members += 1 + (len(part) // _CHARACTERS if type(part) is str else 0)
    return members, references
