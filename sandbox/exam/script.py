"""Runs a candidate's program as a script: standard input to standard output, in a forked warm interpreter.

What a real interpreter does when a script ends is done here too: threads are waited for, `atexit` functions
are called, streams are flushed. The payload is a line of JSON and, behind it, the bytes of standard input.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH108, SIM115

from __future__ import annotations

import atexit
import io
import json
import os
import sys
import threading
from types import CodeType, ModuleType

from proctor.sandbox.channel import Channel
from proctor.sandbox.exam.program import FILENAME, add_site_names, compile_first

NOT_COMPILED = b"not compiled"  # the report where no reading of the program compiles


def run(payload: bytes, channel: Channel) -> None:
    """Entry. The line of JSON holds `sources`, of which the first that compiles is run; its place is reported."""
    line, _, stdin = payload.partition(b"\n")
    code = _compile(line, channel)
    _give_stdin(stdin)
    add_site_names()
    module = ModuleType("__main__")
    module.__file__ = FILENAME
    module.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = module
    sys.argv[:] = [FILENAME]
    try:
        exec(code, module.__dict__)
    finally:
        _finish()


def check(payload: bytes, channel: Channel) -> None:
    """Entry that only compiles; reports NOT_COMPILED, with the reason on standard error, where none does."""
    _compile(payload, channel)


def _compile(spec: bytes, channel: Channel) -> CodeType:
    try:
        code, place = compile_first(json.loads(spec)["sources"])
    except SyntaxError:
        channel.report(NOT_COMPILED)
        raise
    if place:
        channel.report(str(place).encode())
    return code


def _give_stdin(data: bytes) -> None:
    """Standard input as a file, for `input`, `sys.stdin`, `open(0)` and child processes alike."""
    try:
        source = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError:  # a file system that knows no files without a name
        source = os.open("stdin", os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        os.unlink("stdin")
    with open(source, "wb", closefd=False) as target:
        target.write(data)
    os.lseek(source, 0, os.SEEK_SET)
    os.dup2(source, 0)
    os.close(source)
    stream = io.TextIOWrapper(open(0, "rb", closefd=False), encoding="utf-8", errors="surrogateescape")
    sys.stdin = stream
    sys.__stdin__ = stream  # type: ignore[misc]  # a script that wraps its buffer anew drops the other, which closes it


def _finish() -> None:
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
