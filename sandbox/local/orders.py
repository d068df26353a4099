"""What runner, slot and submission tell each other, packed small: a fork pays for the pages it touches.

A slot gets an Order beside the descriptors it passes on; the submission itself reads its Program from its own
socket. Both come from the runner, which is trusted, and is the same interpreter: hence marshal.
"""

from __future__ import annotations

import marshal
import struct
from typing import Any, NamedTuple

from proctor.sandbox.channel import read_exactly
from proctor.sandbox.core import Limits

_ORDER = struct.Struct("<dqqqq??")
_ANSWER = struct.Struct("<idqqq")
_LENGTHS = struct.Struct("<II")
ORDER_SIZE, ANSWER_SIZE = _ORDER.size, _ANSWER.size
FAULT = b"fault"  # begins a slot's last words


class Order(NamedTuple):
    """What a slot must know of a program: its limits, and of which kind it is."""

    cpu_s: float
    memory_mb: int
    processes: int
    file_mb: int
    open_files: int
    is_command: bool
    is_counted: bool  # by a control group


class Answer(NamedTuple):
    """What a slot says about a process that it has reaped."""

    status: int  # as wait gives it
    cpu_s: float
    peak_kib: int  # of its largest process
    free_blocks: int  # of the work folder; -1: says nothing
    free_files: int


def pack_order(limits: Limits, *, is_command: bool, is_counted: bool) -> bytes:
    return _ORDER.pack(
        limits.cpu_s,
        limits.memory_mb,
        limits.processes,
        limits.file_mb,
        limits.open_files,
        is_command,
        is_counted,
    )


def unpack_order(message: bytes) -> Order:
    return Order._make(_ORDER.unpack(message))


def pack_answer(*fields: float) -> bytes:
    return _ANSWER.pack(*fields)


def unpack_answer(message: bytes) -> Answer:
    """Raises struct.error for what is none."""
    return Answer._make(_ANSWER.unpack(message))


def pack_program(header: dict[str, Any], block: bytes) -> bytes:
    text = marshal.dumps(header)
    return _LENGTHS.pack(len(text), len(block)) + text + block


def read_program(descriptor: int) -> tuple[dict[str, Any], bytes]:
    """Raises EOFError where the stream ends before."""
    header_size, block_size = _LENGTHS.unpack(read_exactly(descriptor, _LENGTHS.size))
    text = read_exactly(descriptor, header_size + block_size)
    return marshal.loads(text[:header_size]), text[header_size:]
