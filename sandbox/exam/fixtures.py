"""What a test is given by the names of its parameters: fixtures of the test source, and `capsys`.

Known: functions marked by `pytest.fixture`, in the source or in a test class, that return or yield, may ask for
others in turn, and may go for every test (`autouse`); those of a wider scope than a function are called once.
Not known: `params`, and pytest's own fixtures but for `capsys`.
"""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple


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


class Fixtures:
    """The fixtures of a namespace."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._functions = _marked(names)
        self._shared: dict[str, Any] = {}

    def of(self, kind: type) -> Fixtures:
        """Those that the tests of a class may ask for."""
        found = Fixtures({})
        found._functions = self._functions | _marked(dict(inspect.getmembers(kind)))
        found._shared = self._shared
        return found

    def knows(self, name: str) -> bool:
        return name in self._functions or name == "capsys"

    @property
    def automatic(self) -> list[str]:
        return [name for name, function in self._functions.items() if function.proctor_fixture["autouse"]]

    def give(self, name: str, instance: object, given: dict[str, Any], stack: ExitStack) -> Any:
        """The value for a name. `given` has those of this test so far; `stack` is closed after it.

        Raises LookupError for a name that is not known.
        """
        if name in given or name in self._shared:
            return given[name] if name in given else self._shared[name]
        if name == "capsys" and name not in self._functions:
            value: Any = stack.enter_context(Capsys().taking())
        elif name not in self._functions:
            raise LookupError(f"'{name}' is not known here as a fixture")
        else:
            value = self._call(name, instance, given, stack)
        given[name] = value
        return value

    def _call(self, name: str, instance: object, given: dict[str, Any], stack: ExitStack) -> Any:
        function = self._functions[name]
        needed = list(inspect.signature(function).parameters)
        args = [instance] if needed[:1] == ["self"] else []
        value = function(
            *args, **{each: self.give(each, instance, given, stack) for each in needed[len(args) :]}
        )
        if inspect.isgenerator(value):
            steps, value = value, next(value)
            stack.callback(next, steps, None)
        if function.proctor_fixture["scope"] != "function":
            self._shared[name] = value
        return value


def _marked(names: Mapping[str, Any]) -> dict[str, Any]:
    marked = {}
    for name, value in names.items():
        about = vars(value).get("proctor_fixture") if inspect.isfunction(value) else None
        if about is not None:
            marked[about.get("name") or name] = value
    return marked
