"""What crosses between a caller and its workers: length-checked frames of JSON.

JSON both ways: a worker may have been taken over by the text it works on, so nothing it writes is ever
unpickled or unmarshalled. Its bytes are bounded before they are decoded. Tuples arrive as lists, and mapping
keys as strings.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

MAX_REQUEST_BYTES = 64 << 20
MAX_REPLY_BYTES = 8 << 20  # as Python objects JSON takes up to some 25 times its bytes
_HEADER = struct.Struct("<I")


class WireError(ValueError):
    """The other side wrote what is no frame, or no reply."""


class TooLargeError(ValueError):
    """More bytes than may cross at once."""


class ReplyKind(str, Enum):
    """First word of what a worker writes back."""

    READY = "ready"  # once, before any task
    VALUE = "value"
    ERROR = "error"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a worker, checked for shape. None of it is to be trusted further than that."""

    kind: ReplyKind
    value: Any  # the value, or the text of the error
    seconds: float
    worn: bool  # the worker asks to be replaced: it has grown


def encode(message: object, limit: int) -> bytes:
    """One frame: four bytes of length, then ASCII JSON.

    Raises TypeError for what JSON cannot say, ValueError for a cycle, RecursionError for too deep a nesting,
    and TooLargeError for more than `limit` bytes.
    """
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    if len(body) > limit:
        raise TooLargeError(f"{len(body)} bytes of JSON are more than the {limit} that may cross at once")
    return _HEADER.pack(len(body)) + body


def encode_reply(kind: ReplyKind, value: object, seconds: float, *, worn: bool) -> bytes:
    return encode([kind, value, seconds, worn], MAX_REPLY_BYTES)


def decode_reply(body: bytes) -> Reply:
    """Raises WireError for whatever `encode_reply` does not write."""
    try:
        kind, value, seconds, worn = json.loads(body)
        return Reply(ReplyKind(kind), value, max(0.0, float(seconds)), bool(worn))
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise WireError(f"wrote no reply: {type(error).__name__}: {str(error)[:200]}") from error


class FrameReader:
    """Cuts a stream of bytes into frames, none longer than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies that `data` completes. Raises WireError as soon as a header promises too much."""
        self._buffer += data
        start = 0
        while len(self._buffer) >= start + _HEADER.size:
            (length,) = _HEADER.unpack_from(self._buffer, start)
            if length > self._limit:
                raise WireError(f"announced a frame of {length} bytes; {self._limit} are allowed")
            end = start + _HEADER.size + length
            if len(self._buffer) < end:
                break
            yield bytes(self._buffer[start + _HEADER.size : end])
            start = end
        del self._buffer[:start]
