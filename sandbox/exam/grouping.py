"""Tests, and what several of them share: set up before the first, undone after the last."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from proctor.sandbox.exam.pytest_words import UnknownWordError


@dataclass(frozen=True)
class Test:
    """One collected test."""

    name: str
    run: Callable[[], object]


class Group:
    """The tests of a file or a class.

    Attributes:
        values: what lasts as long as the group, such as results of fixtures.
        stack: what is to be undone after the last test.
    """

    def __init__(self) -> None:
        self.values: dict[Any, Any] = {}
        self.stack = ExitStack()
        self._left = 0
        self._is_set_up = False

    def around(self, tests: Iterable[Test], set_up: Callable[[ExitStack], None]) -> list[Test]:
        """The same tests: the first to run sets up, which fills `stack`, and the last closes that."""
        found = [Test(test.name, partial(self._run, test.run, set_up)) for test in tests]
        self._left += len(found)
        return found

    def _run(self, run: Callable[[], object], set_up: Callable[[ExitStack], None]) -> None:
        self._left -= 1
        try:
            if not self._is_set_up:
                set_up(self.stack)
                self._is_set_up = True
            run()
        finally:
            if self._left == 0:
                self.stack.close()


def set_up_by(stack: ExitStack, owner: object, words: Sequence[str], argument: object) -> None:
    """Calls a hook of `owner`, and has `stack` call its counterpart; each gets `argument` where it takes one.

    Args:
        words: what the two are called, such as "setup_class" and "teardown_class".
    """
    before, after = (getattr(owner, word, None) for word in words)
    _call_hook(before, argument)
    stack.callback(_call_hook, after, argument)


def _call_hook(hook: Any, argument: object) -> None:
    if hook is not None and not hasattr(hook, "proctor_fixture"):
        finish(hook(*([argument] if inspect.signature(hook).parameters else ())))


def finish(result: object) -> None:
    """Runs what a test or a hook has left to be run. Raises UnknownWordError for a generator, which nobody runs."""
    if type(result) in (GeneratorType, AsyncGeneratorType):
        raise UnknownWordError("a test that yields, which is not run")
    if inspect.iscoroutine(result):
        import asyncio  # heavy, and rarely needed

        asyncio.run(result)
