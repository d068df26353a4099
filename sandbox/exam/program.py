"""Loads a candidate's program into a module of its own, and says where in it an error arose."""

from __future__ import annotations

import builtins
import linecache
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType
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
class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next
class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val = val
        self.left = left
        self.right = right
"""
_PRELUDE_CODE = compile(PRELUDE, "prelude", "exec")
MAX_FRAMES = 5


def load(code: CodeType, module: ModuleType, *, prelude: bool = False) -> None:
    """Runs a program's code in `module`, behind the usual star imports if asked for.

    Raises whatever the program raises.
    """
    add_site_names()
    module.__file__ = FILENAME
    sys.modules[module.__name__] = module
    if prelude:
        exec(_PRELUDE_CODE, module.__dict__)
    exec(code, module.__dict__)


def add_site_names() -> None:
    """`exit` and `quit`, which come from `site`; jailed interpreters run without it."""
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]


def compile_first(sources: Sequence[str]) -> tuple[CodeType, int]:
    """The first source that compiles, and its place: readings of an answer whose indentation is unclear.

    Raises SyntaxError, for the first of them, where none compiles.
    """
    first_error: BaseException | None = None
    for place, source in enumerate(sources):
        try:
            code = compile(source, FILENAME, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            first_error = first_error or error
            continue
        linecache.cache[FILENAME] = (lambda source=source: source,)
        return code, place
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
    return frames[-MAX_FRAMES:]
