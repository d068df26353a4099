"""Frames between host, runner and jail: a JSON header and one block of bytes behind it.

    length of header (4 bytes, little endian) | length of block (4 bytes) | header, UTF-8 JSON | block

No pickle: whatever a broken or taken-over end sends, the other decodes into plain data, and both
lengths are bounded before a byte of the body is read. Standard library only: runs inside containers too.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

LENGTHS = struct.Struct("<II")
MAX_HEADER = 4 << 20
MAX_BLOCK = 256 << 20
_to_json = json.JSONEncoder(separators=(",", ":")).encode  # `json.dumps` would make an encoder for each frame


class WireError(ValueError):
    """The other end does not speak this protocol, or sends more than it may."""


def pack(header: dict[str, Any], block: bytes = b"") -> bytes:
    text = _to_json(header).encode()
    if len(text) > MAX_HEADER or len(block) > MAX_BLOCK:
        raise WireError(
            f"a frame of {len(text)} + {len(block)} bytes; allowed are {MAX_HEADER} + {MAX_BLOCK}"
        )
    return LENGTHS.pack(len(text), len(block)) + text + block


class Decoder:
    """Turns a stream of bytes, in whatever pieces it comes, into frames."""

    def __init__(self, max_block: int = MAX_BLOCK) -> None:
        self._buffer = bytearray()
        self._max_block = max_block

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yields the frames that `data` completes. Raises WireError on a length beyond the bounds."""
        self._buffer += data
        while len(self._buffer) >= LENGTHS.size:
            header_size, block_size = LENGTHS.unpack_from(self._buffer)
            if header_size > MAX_HEADER or block_size > self._max_block:
                raise WireError(f"a frame announces {header_size} + {block_size} bytes")
            start = LENGTHS.size + header_size
            if len(self._buffer) < start + block_size:
                return
            header = json.loads(self._buffer[LENGTHS.size : start])
            block = bytes(self._buffer[start : start + block_size])
            del self._buffer[: start + block_size]
            yield header, block
