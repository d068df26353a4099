"""Python's standard streams, made anew by their descriptors as the interpreter makes them when it starts.

A stream keeps what its descriptor was when it was made, so one that is inherited may take a pipe for a file.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: SIM115

from __future__ import annotations

import io
import os
import sys
from typing import Any


def give_stdin() -> None:
    """Standard input over what descriptor 0 is now."""
    # also under its second name: a script that wraps the buffer anew drops the other, which closes it
    sys.stdin = sys.__stdin__ = _stream(0, "<stdin>", "r")  # type: ignore[misc]


def give_outputs() -> None:
    """Standard output and error for pipes that will be there later. Descriptors 1 and 2 are free, and stay so."""
    reading, writing = os.pipe()  # the lowest numbers that are free: 1 and 2
    os.dup2(writing, reading)
    output, error = _stream(1, "<stdout>", "w"), _stream(2, "<stderr>", "w")
    error.reconfigure(errors="backslashreplace", line_buffering=True)
    os.closerange(1, 3)
    sys.stdout = sys.__stdout__ = output  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = error  # type: ignore[misc]


def _stream(descriptor: int, name: str, mode: str) -> io.TextIOWrapper:
    buffer: Any = open(descriptor, f"{mode}b", closefd=False)
    buffer.raw.name = name  # programs look at this and at the mode: which is it that they read or write?
    stream = io.TextIOWrapper(buffer, encoding="utf-8", errors="surrogateescape")
    stream.mode = mode  # type: ignore[misc]
    return stream
