"""What a test is given by the names of its parameters: fixtures of the test source, `capsys`, `tmp_path`, `request`.

Known: functions marked by `pytest.fixture`, in the source or in a test class, that return or yield, may ask for
others in turn, may have `params`, and may go for every test (`autouse`); those of a wider scope than a function
are called once in their class or file. Not known: the rest of pytest's own fixtures, and most of `request`.
"""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

from proctor.sandbox.exam.grouping import Group
from proctor.sandbox.exam.marks import params_of
from proctor.sandbox.exam.pytest_words import UnknownWordError

_BUILT_IN = ("capsys", "request", "tmp_path")


class Output(NamedTuple):
    """What was written since the last time."""

    out: str
    err: str


class Capsys:
    """Takes what is written to the standard streams."""

    @contextmanager
    def taking(self) -> Iterator[Capsys]:
        streams = sys.stdout, sys.stderr
        self.readouterr()
        try:
            yield self
        finally:
            sys.stdout, sys.stderr = streams

    def readouterr(self) -> Output:
        found = Output(
            *(s.getvalue() if isinstance(s, io.StringIO) else "" for s in (sys.stdout, sys.stderr))
        )
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        return found


@dataclass
class Asked:
    """One run of one test: who asks for fixtures, and what it was given so far.

    Attributes:
        instance: of the test's class; None for a function.
        known: what it is given directly, by name.
        params: of fixtures that have some, by name.
        stack: closed after the test.
    """

    instance: object
    known: Mapping[str, Any]
    params: Mapping[str, Any]
    stack: ExitStack
    given: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.given.update(self.known)


class Fixtures:
    """The fixtures of a namespace.

    Attributes:
        file: the group of all tests of the source.
        group: of the tests that these fixtures are for: the same, or a class.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._functions = _marked(names)
        self.file = self.group = Group()

    def of(self, kind: type) -> Fixtures:
        """Those that the tests of a class may ask for."""
        found = Fixtures({})
        found._functions = self._functions | _marked(dict(inspect.getmembers(kind)))
        found.file = self.file
        return found

    @property
    def automatic(self) -> list[str]:
        """Those that go for every test, of wider scopes first."""
        found = [name for name, function in self._functions.items() if function.proctor_fixture["autouse"]]
        return sorted(found, key=lambda name: self._scope(name) == "function")

    def choices(
        self, names: Iterable[str], known: Mapping[str, Any], indirect: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Every combination of the params of what a test asks for; `indirect` are given by the test.

        Raises UnknownWordError where it asks for something that is not known.
        """
        tables = []
        for name in self._closure(names, known):
            about = self._functions[name].proctor_fixture if name in self._functions else {}
            params = params_of(about) if name not in indirect else None
            if params is not None:
                tables.append([(name, value) for value in params])
        for combination in product(*tables):
            yield {**indirect, **dict(combination)}

    def _closure(self, names: Iterable[str], known: Mapping[str, Any]) -> list[str]:
        """What these names ask for in turn, and they themselves; but for what is known already."""
        found: list[str] = []
        waiting = list(names)
        for name in waiting:
            if name in found or name in known:
                continue
            found.append(name)
            if name in self._functions:
                waiting += wants(self._functions[name])
            elif name not in _BUILT_IN:
                raise UnknownWordError(f"'{name}' is asked for, which is not known here as a fixture")
        return found

    def give(self, name: str, asked: Asked) -> Any:
        """The value for a name. Raises UnknownWordError for one that is not known."""
        if name not in asked.given:
            asked.given[name] = self._value(name, asked)
        return asked.given[name]

    def _value(self, name: str, asked: Asked) -> Any:
        if name not in self._functions:
            if name == "capsys":
                return asked.stack.enter_context(Capsys().taking())
            if name == "tmp_path":
                import tempfile  # heavy, with the memory that submissions are forked from
                from pathlib import Path

                return Path(asked.stack.enter_context(tempfile.TemporaryDirectory()))
            if name == "request":
                return Request(asked, self.give, asked.stack, name)
            raise UnknownWordError(f"'{name}' is not known here as a fixture")
        scope = self._scope(name)
        group = self.group if scope == "class" else self.file
        if scope == "function" or (scope == "class" and asked.instance is None):
            return self._call(name, asked, asked.stack)
        params = tuple(
            id(asked.params[each]) for each in self._closure([name], asked.known) if each in asked.params
        )
        key = (self._functions[name], params)
        if key not in group.values:
            group.values[key] = self._call(name, asked, group.stack)
        return group.values[key]

    def _scope(self, name: str) -> str:
        return str(self._functions[name].proctor_fixture["scope"])

    def _call(self, name: str, asked: Asked, stack: ExitStack) -> Any:
        function = self._functions[name]
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise UnknownWordError(f"the fixture '{name}' is a coroutine, which is not known here")
        request = Request(asked, self.give, stack, name)
        args = [asked.instance] if _is_method(function) else []
        value = function(
            *args,
            **{each: request if each == "request" else self.give(each, asked) for each in wants(function)},
        )
        if inspect.isgeneratorfunction(function):  # what it returns may be a generator of the candidate's
            steps, value = value, next(value)
            stack.callback(next, steps, None)
        return value


class Request:
    """What a fixture or a test knows as `request`. `param` is there where the fixture has params."""

    def __init__(self, asked: Asked, give: Callable[[str, Asked], Any], stack: ExitStack, name: str) -> None:
        self.instance = asked.instance
        self.cls = None if asked.instance is None else type(asked.instance)
        self.addfinalizer = stack.callback
        self.getfixturevalue = lambda wanted: give(wanted, asked)
        if name in asked.params:
            self.param = asked.params[name]

    def __getattr__(self, name: str) -> Any:
        if name == "param" or name.startswith("__"):
            raise AttributeError(name)
        raise UnknownWordError(f"'request.{name}' is not known here")


def wants(function: Callable[..., Any], is_method: bool | None = None) -> list[str]:
    """Names of the parameters that have no default, but for `self`, and for what `mock.patch` fills in."""
    is_method = _is_method(function) if is_method is None else is_method
    parameters = list(inspect.signature(function).parameters.values())[is_method:]
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [p.name for p in parameters if p.default is p.empty and p.kind in kinds]
    mocks = sys.modules.get("unittest.mock")
    filled = [
        patching
        for patching in getattr(function, "patchings", ())
        if mocks is not None and patching.new is mocks.DEFAULT and not patching.attribute_name
    ]
    return names[len(filled) :]


def _is_method(function: Callable[..., Any]) -> bool:
    return list(inspect.signature(function).parameters)[:1] == ["self"]


def _marked(names: Mapping[str, Any]) -> dict[str, Any]:
    marked = {}
    for name, value in names.items():
        about = vars(value).get("proctor_fixture") if inspect.isfunction(value) else None
        if about is not None:
            marked[about.get("name") or name] = value
    return marked
