"""Loads a candidate's program into a module of its own, and says where in it an error arose."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

FILENAME = "solution.py"
# What judges of LeetCode's kind put in front of a program without saying so.
PRELUDE = """\
import bisect, collections, copy, functools, heapq, itertools, math, operator, random, re, string, sys
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
from operator import *
from typing import *
from builtins import *
sys.setrecursionlimit(50000)
"""
_MAX_FRAMES = 5


def load(spec: Mapping[str, Any], module: ModuleType) -> None:
    """Runs a program's text in `module`.

    `spec` holds `sources` (the first that compiles is taken: readings of an answer whose indentation is
    unclear), `prelude` (whether the usual star imports stand in front) and `module` (the name it goes by).
    Raises whatever the program raises, SyntaxError of the first reading where none compiles.
    """
    code = compile_first(spec["sources"])
    module.__name__ = spec.get("module", "solution")
    module.__file__ = FILENAME
    sys.modules[module.__name__] = module
    if spec.get("prelude"):
        exec(compile(PRELUDE, "prelude", "exec"), module.__dict__)
    exec(code, module.__dict__)


def compile_first(sources: list[str]) -> Any:
    """The code of the first source that compiles. `dont_inherit`: our own future imports are not the program's."""
    first_error: BaseException | None = None
    for source in sources:
        try:
            code = compile(source, FILENAME, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            first_error = first_error or error
            continue
        linecache.cache[FILENAME] = (len(source), None, source.splitlines(True), FILENAME)
        return code
    if isinstance(first_error, SyntaxError) or first_error is None:
        raise first_error or SyntaxError("no program")
    raise SyntaxError(f"{type(first_error).__name__}: {first_error}") from first_error


def where(error: BaseException) -> list[list[Any]]:
    """The last frames of the program itself that an error went through: [line number, function]."""
    frames: list[list[Any]] = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            frames.append([trace.tb_lineno, trace.tb_frame.f_code.co_name])
        trace = trace.tb_next
    return frames[-_MAX_FRAMES:]
