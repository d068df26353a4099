"""A bare fork: compiles and runs programs from standard input, each in a fork, with no jail and no protocol.

Run as a script by `python -I -S`, so that the interpreter that forks is as small as it can be. The floor that
other ways are measured against; nothing here keeps a program from anything. A program comes as its length in
four bytes and its text; the answer is one byte, "1" where it ran to its end.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

MODULES = (
    "bisect", "collections", "copy", "datetime", "decimal", "enum", "fractions", "functools", "heapq", "io",
    "itertools", "json", "math", "operator", "random", "re", "string", "typing",
)  # fmt: skip


def serve() -> None:
    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        program = source.read(int.from_bytes(head, "little"))
        child = os.fork()
        if child == 0:
            run(program)
        _, status = os.waitpid(child, 0)
        answers.write(b"1" if status == 0 else b"0")
        answers.flush()


def run(program: bytes) -> None:
    """Never comes back."""
    code = 1
    try:
        exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
