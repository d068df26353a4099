"""What a program prints and asks for, where its tests listen.

Tests that redirect `sys.stdout`, or put a double in place of `print` or `input`, do so in their own process. So
for such tests the program's `print` and `input` are the tests' own: words cross, and nothing else does. Where
nobody listens at the moment, they are the program's again. Warnings are given again in the tests' process.
"""

from __future__ import annotations

import builtins
import io
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proctor.sandbox.exam.link import ExamOverError

# Where one of them stands in a test source, it may listen.
_SAID = ("stdout", "stderr", "stdin", "capsys", "builtins.print", "builtins.input")
HINTS = (*_SAID, "assertWarns", "catch_warnings", "warns(")
_print, _input = builtins.print, builtins.input
_HOW = ("sep", "end", "flush")
_MOST = 64 << 20  # characters that are listened to
_OVERHEAD = 100  # what a test double keeps of each call beside its words, about
_Ask = Callable[..., Any]


def _say(args: Sequence[Any], pairs: Sequence[Any]) -> bool:
    if builtins.print is _print and sys.stdout is sys.__stdout__:
        return False
    how = dict(zip(pairs[::2], pairs[1::2], strict=True))
    print(*args, **{name: how[name] for name in _HOW if name in how})
    return True


def _write(name: str, text: str) -> bool:
    stream, own = (sys.stdout, sys.__stdout__) if name == "stdout" else (sys.stderr, sys.__stderr__)
    if stream is not own:
        stream.write(text)
    return stream is not own


def _answer(prompt: Sequence[Any]) -> str:
    if builtins.input is _input and sys.stdin is sys.__stdin__:
        raise EOFError("EOF when reading a line")
    return input(*prompt)


def _read(name: str) -> str:
    if sys.stdin is sys.__stdin__:
        return ""
    return sys.stdin.readline() if name == "readline" else sys.stdin.read()


def _warn(name: str, text: str) -> bool:
    found: Any = getattr(builtins, name, None)
    category = found if isinstance(found, type) and issubclass(found, Warning) else UserWarning
    # with a registry of its own: the next program's warning is not the same one again
    warnings.warn_explicit(text, category, "solution.py", 1, registry={})
    return True


def listeners() -> Mapping[str, Callable[..., Any]]:
    """The tests' side: what one program may ask. What it says is kept in memory there, so it is bounded."""
    said = 0

    def counted(act: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*words: Any) -> Any:
            nonlocal said
            said += _OVERHEAD + sum(len(word) for part in words for word in _texts(part))
            if said > _MOST:
                raise ExamOverError("flood: more words than tests listen to")
            return act(*words)

        return answer

    heard: dict[str, Callable[..., Any]] = {"say": _say, "write": _write, "input": _answer, "warn": _warn}
    return {"read": _read} | {name: counted(act) for name, act in heard.items()}


def _texts(part: object) -> Sequence[str]:
    parts = part if isinstance(part, list) else [part]
    return [each for each in parts if isinstance(each, str)]


class _Output(io.TextIOBase):
    def __init__(self, name: str, own: Any, ask: _Ask) -> None:
        self._name, self._own, self._ask = name, own, ask

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text) if self._ask("write", self._name, text) else int(self._own.write(text))


class _Input(io.TextIOBase):
    def __init__(self, ask: _Ask) -> None:
        self._ask = ask

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        return str(self._ask("read", "read"))

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        return str(self._ask("read", "readline"))


def open_console(ask: _Ask) -> None:
    """The program's side: puts the tests' streams and functions in place of its own."""
    own = sys.stdout

    def say(*args: Any, file: Any = None, **how: Any) -> None:
        pairs = [item for pair in how.items() for item in pair]
        if file is not None or not ask("say", list(args), pairs):
            _print(*args, file=file or own, **how)

    def warn(message: Any, category: type, *about: Any) -> None:
        known = next(kind.__name__ for kind in category.__mro__ if kind.__module__ == "builtins")
        ask("warn", known, str(message))

    builtins.print = say
    builtins.input = lambda *prompt: ask("input", list(prompt))
    sys.stdout, sys.stderr = _Output("stdout", own, ask), _Output("stderr", sys.stderr, ask)
    sys.stdin = _Input(ask)
    warnings.simplefilter("always")  # what is of interest the tests say, on their side
    warnings.showwarning = warn  # type: ignore[assignment]
