"""How much one message may hold, and the error when it does not hold to it."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any


class WireError(ValueError):
    """The other end sent what is not a message, or more than a message may hold."""


class FloodError(WireError):
    """The other end sent more than a message may hold."""


class UnsendableError(TypeError):
    """This value has no plain form."""


class TooLargeError(UnsendableError):
    """This value is more than a message may hold."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one message may hold. Checked before anything is built from it."""

    bytes: int = 32 << 20
    items: int = 2_000_000  # members of containers, all together: about 130 MB as Python objects
    exponent: int = 100_000  # of a Decimal: a bigger one turns into an integer of that many digits in a test
    # Of an integer, and of one that is divided, which takes time by the square of its length.
    bits: int = 1 << 24
    divided_bits: int = 50_000
    depth: int = 50  # of nesting as written; deeper values are written flat, with references

    # Of what a whole exam says, and of what small messages stand for: bounded where a candidate's answers are read
    # by tests, whose own time and memory they would take.
    all_bytes: int = sys.maxsize
    all_items: int = sys.maxsize
    range: float = math.inf  # members
    unfolded: int = sys.maxsize  # members, where each counts as often as something refers to it


MAX_CLASSES = 500  # of one side that the other gets to know: a conversation needs a handful
MAX_NAMES = 500  # methods or fields of one of them
BOUNDS = Bounds()
ANSWERS = Bounds(all_bytes=512 << 20, all_items=20_000_000, range=20_000_000, unfolded=20_000_000)
# Their names serve tests that do not import them.
USUAL_MODULES = ("math", "collections", "itertools", "functools", "heapq", "bisect", "typing", "datetime")


def listed(body: Any) -> list[Any]:
    """Members as they were written: a range in their place would stand for more than the message holds."""
    if type(body) is not list:
        raise WireError("members that are no list")
    return body
