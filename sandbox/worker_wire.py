"""What crosses between a caller and its workers: length-checked frames of JSON, and the words for how a task ended.

JSON both ways: a worker may have been taken over by the text it works on, so nothing it writes is ever
unpickled or unmarshalled. Its bytes are bounded before they are decoded. Tuples arrive as lists, and mapping
keys as strings.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

JSON: TypeAlias = "None | bool | int | float | str | Sequence[JSON] | Mapping[str, JSON]"

MAX_REQUEST_BYTES = 64 << 20
MAX_REPLY_BYTES = 8 << 20  # JSON takes up to some 25 times its bytes once it is Python objects
_HEADER = struct.Struct("<I")


class Failure(str, Enum):
    """Why a task gave no value."""

    TIMEOUT = "timeout"  # was still running at its deadline, and was killed
    MEMORY = "memory"  # asked for more memory than it may have
    EXCEPTION = "exception"  # raised, or returned what is not bounded plain data
    CRASH = "crash"  # its process died of a signal or an exit of its own, or broke the protocol
    POOL = "pool"  # ours: no worker could be started, or the pool was closed


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one task ended."""

    value: Any  # JSON data that the function returned; None on failure
    failure: Failure | None = None
    detail: str = ""  # exception text, signal, limit
    seconds: float = 0.0  # by the clock, in the worker; until the kill where there was one


@dataclass(slots=True, eq=False)
class Task:
    """One call that a caller waits for."""

    function: str  # "package.module:function"
    frame: bytes  # the request as it goes to the worker
    timeout_s: float
    begin: Callable[[], bool]  # called once, when it is handed out; False: the caller has given up on it
    finish: Callable[[TaskResult], None]  # called once
    begun: bool = False
    lost: int = 0  # times that its worker died through no fault of its own


class WireError(ValueError):
    """The other side wrote what is no frame or no reply."""


def encode(message: object, limit: int) -> bytes:
    """One frame: four bytes of length, then ASCII JSON.

    Raises TypeError for what JSON cannot say, ValueError for a cycle or more than `limit` bytes, RecursionError.
    """
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    if len(body) > limit:
        raise ValueError(f"{len(body)} bytes of JSON are more than the {limit} that may cross at once")
    return _HEADER.pack(len(body)) + body


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
                raise WireError(f"a frame of {length} bytes was announced; {self._limit} are allowed")
            end = start + _HEADER.size + length
            if len(self._buffer) < end:
                break
            yield bytes(self._buffer[start + _HEADER.size : end])
            start = end
        del self._buffer[:start]


class Reply(str, Enum):
    """First word of what a worker writes back."""

    READY = "ready"  # once, before any task
    VALUE = "value"
    ERROR = "error"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply of a worker, checked for shape. None of it is to be trusted further than that."""

    kind: Reply
    value: Any  # the value, or the text of the error
    seconds: float
    worn: bool  # the worker asks to be replaced: it has grown


def decode_answer(body: bytes) -> Answer:
    """Reads a worker's reply `[kind, value, seconds, worn]`. Raises WireError for anything else."""
    try:
        kind, value, seconds, worn = json.loads(body)
        return Answer(Reply(kind), value, max(0.0, float(seconds)), bool(worn))
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise WireError(f"no reply: {type(error).__name__}: {str(error)[:200]}") from error
