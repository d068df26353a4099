"""Runs a candidate's program as a script: standard input to standard output, in a forked warm interpreter.

What a real interpreter does when a script ends is done here too: threads are waited for, `atexit` functions
are called, streams are flushed. The payload is a line of JSON and, behind it, the bytes of standard input.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH100, PTH108

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from contextlib import suppress
from types import CodeType, ModuleType

from proctor.sandbox.channel import Channel
from proctor.sandbox.exam.program import FILENAME, add_site_names, compile_first
from proctor.sandbox.streams import give_stdin

NOT_COMPILED = b"not compiled"  # the report where no reading of the program compiles
_BY_NAME, _STDIN = b"/dev/stdin", "stdin"
_BULK = frozenset(
    {list, dict, set, tuple}
)  # takes a fifth of a script's time to free, and holds no open files


def run(payload: bytes, channel: Channel) -> None:
    """Entry. The line of JSON holds `sources`, of which the first that compiles is run; its place is reported."""
    line, _, stdin = payload.partition(b"\n")
    is_named = _BY_NAME in line
    if is_named:  # there is no /proc, where that name leads: the file itself is there
        line = line.replace(_BY_NAME, json.dumps(os.path.abspath(_STDIN))[1:-1].encode())
    code = _compile(line, channel)
    _give_stdin(stdin, is_named)
    add_site_names()
    module = ModuleType("__main__")
    module.__file__ = FILENAME
    module.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = module
    sys.argv[:] = [FILENAME]
    leaving = None
    try:
        exec(code, module.__dict__)
    except SystemExit as error:
        _flush()
        leaving = SystemExit(error.code)  # its frames go, and the files that they hold are written
    finally:
        _finish()
    _let_go(module)
    if leaving is not None:
        raise leaving


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


def _give_stdin(data: bytes, is_named: bool) -> None:
    """Standard input as a file, for `input`, `sys.stdin`, `open(0)` and child processes alike."""
    try:
        if is_named:
            raise OSError
        source = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError:  # or a file system that knows no files without a name
        source = os.open(_STDIN, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        if not is_named:
            os.unlink(_STDIN)
    with open(source, "wb", closefd=False) as target:
        target.write(data)
    os.lseek(source, 0, os.SEEK_SET)
    os.dup2(source, 0)
    os.close(source)
    give_stdin()


def _finish() -> None:
    """In Python's own order."""
    _flush()
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, after telling pools to end theirs
    atexit._run_exitfuncs()
    _flush()


def _flush() -> None:
    for stream in (sys.stderr, sys.stdout):
        with suppress(Exception):  # closed or replaced by the program: its loss
            stream.flush()


def _let_go(module: ModuleType) -> None:
    """Files that a script left open are written when nothing holds them any more."""
    names = vars(module)
    for name in list(names):
        if name != "__builtins__" and type(names[name]) not in _BULK:
            names[name] = None
