"""The words of pytest that test sources use outside of pytest: raises, approx, fail, skip, fixture, param, mark.

Jails show the standard library and no installed packages, and importing all of pytest for `raises` would cost
every examiner 150 ms. Where a sandbox does show pytest (`packages=("pytest",)`), the real one is used.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from types import ModuleType, TracebackType
from typing import Any

_MAX_ROWS = 10_000  # of a table
_REL, _ABS = 1e-6, 1e-12  # pytest's own tolerances


class Failed(AssertionError):  # noqa: N818, pytest calls it so
    """What `fail` raises, and `raises` where nothing was raised."""


class UnknownWordError(BaseException):
    """A word of pytest that is not known here: a fault of the tests, whatever the candidate did before.

    Not an Exception: `pytest.raises(Exception)` is not meant for it.
    """


class Skipped(BaseException):
    """What `skip` and `xfail` raise while a test runs. Not an Exception, as in pytest."""


class Raises:
    """`with raises(KeyError, match="x") as caught:`; `caught.value` is the exception."""

    value: BaseException

    def __init__(self, expected: Any, match: str | None) -> None:
        self._expected = expected
        self._match = match

    def __enter__(self) -> Raises:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            raise Failed(f"did not raise {self._expected!r}")
        if not isinstance(error, self._expected):
            return False
        self.value, self.type, self.tb = error, type(error), trace
        self.typename = self.type.__name__
        return self._match is None or self.match(self._match)

    def errisinstance(self, kinds: Any) -> bool:
        return isinstance(self.value, kinds)

    def match(self, pattern: str) -> bool:
        if not re.search(pattern, str(self.value)):
            raise Failed(f"{pattern!r} does not match {str(self.value)[:200]!r}")
        return True


def raises(expected_exception: Any, *args: Any, match: str | None = None, **kwargs: Any) -> Any:
    """As a context manager, or `raises(KeyError, function, *args)`."""
    context = Raises(expected_exception, match)
    if not args:
        if kwargs:
            raise UnknownWordError(f"'{next(iter(kwargs))}' of raises is not known here")
        return context
    function, *rest = args
    with context:
        function(*rest, **kwargs)
    return context


class Warns:
    """`with warns(UserWarning, match="x") as caught:`; `caught[0].message` is the first warning of any kind."""

    def __init__(self, expected: Any, match: str | None) -> None:
        self._expected = expected
        self._match = match
        self._catching = warnings.catch_warnings(record=True)
        self.list: list[Any] = []

    def __enter__(self) -> Warns:
        recorded = self._catching.__enter__()
        assert recorded is not None, "asked to record"
        self.list = recorded
        warnings.simplefilter("always")
        return self

    def __exit__(self, kind: type[BaseException] | None, *about: Any) -> None:
        self._catching.__exit__(kind, *about)
        if kind is None and not any(map(self._fits, self.list)):
            raise Failed(f"did not warn of {self._expected!r}, match={self._match!r}")

    def _fits(self, warning: Any) -> bool:
        is_kind = issubclass(warning.category, self._expected)
        return is_kind and (self._match is None or bool(re.search(self._match, str(warning.message))))

    def __len__(self) -> int:
        return len(self.list)

    def __getitem__(self, place: int) -> Any:
        return self.list[place]


def warns(expected_warning: Any = Warning, *args: Any, match: str | None = None, **kwargs: Any) -> Any:
    """As a context manager, or `warns(UserWarning, function, *args)`, which returns what the function does."""
    context = Warns(expected_warning, match)
    if not args:
        return context
    function, *rest = args
    with context:
        return function(*rest, **kwargs)


class Approx:
    """Equal to numbers, and to sequences and mappings of numbers, within a tolerance."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expected: Any, rel: float | None, abs: float | None, nan_ok: bool) -> None:  # noqa: A002
        self._expected = expected
        self._abs = abs if abs is not None else _ABS
        self._rel = rel if rel is not None else (_REL if abs is None else 0.0)
        self._nan_ok = nan_ok

    def __eq__(self, actual: object) -> bool:
        return self._close(actual, self._expected)

    def __repr__(self) -> str:
        return f"approx({self._expected!r})"

    def _close(self, actual: Any, expected: Any) -> bool:
        if isinstance(expected, Mapping):
            same = isinstance(actual, Mapping) and actual.keys() == expected.keys()
            return same and all(self._close(actual[key], expected[key]) for key in expected)
        if isinstance(expected, Sequence) and not isinstance(expected, str | bytes):
            same = isinstance(actual, Sequence) and len(actual) == len(expected)
            return same and all(map(self._close, actual, expected))
        numbers = all(isinstance(value, int | float | complex) for value in (actual, expected))
        if not numbers or actual == expected:
            return bool(actual == expected)
        if isinstance(expected, float) and math.isnan(expected):
            return self._nan_ok and isinstance(actual, float) and math.isnan(actual)
        if math.isinf(abs(expected)) or math.isinf(abs(actual)):
            return False
        return bool(abs(actual - expected) <= max(self._rel * abs(expected), self._abs))


def approx(expected: Any, rel: float | None = None, abs: float | None = None, nan_ok: bool = False) -> Approx:  # noqa: A002
    return Approx(expected, rel, abs, nan_ok)


def fail(reason: str = "", pytrace: bool = True) -> None:
    raise Failed(reason)


def skip(reason: str = "", *, allow_module_level: bool = False) -> None:
    raise Skipped(reason)


def fixture(function: Any = None, *, scope: str = "function", autouse: bool = False, **about: Any) -> Any:
    """Marks a function whose result tests ask for by its name; `fixtures.py` calls it."""
    if function is None:
        return partial(fixture, scope=scope, autouse=autouse, **about)
    if about.get("params") is not None:
        about["params"] = _kept(about["params"])
    function.proctor_fixture = {"scope": scope, "autouse": autouse, **about}
    return function


def _kept(rows: Any) -> list[Any]:
    """Rows may come from a generator, and are read once a test. One of the candidate's may have no end."""
    return list(islice(rows, _MAX_ROWS))


class Param:
    """`pytest.param(1, 2, id="x")`: one row of a table."""

    def __init__(self, *values: Any, **about: Any) -> None:
        self.values = values
        self.marks = about.get("marks", ())


class _Mark:
    """`pytest.mark.NAME(...)`: kept on the function, as pytest does; `suite.py` reads it."""

    def __init__(
        self, name: str, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self.name = name
        self.args = args
        self.kwargs = dict(kwargs or {})
        if name == "parametrize" and len(args) > 1:
            self.args = (args[0], _kept(args[1]), *args[2:])
        elif "argvalues" in self.kwargs:
            self.kwargs["argvalues"] = _kept(self.kwargs["argvalues"])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and callable(args[0]):
            function = args[0]
            function.pytestmark = [*getattr(function, "pytestmark", ()), self]
            return function
        return _Mark(self.name, args, kwargs)


class _Marks:
    def __getattr__(self, name: str) -> Callable[..., Any]:
        return _Mark(name)


def stand_in() -> ModuleType:
    """A module that goes by the name of pytest."""
    module = ModuleType("pytest")
    module.__dict__.update(
        raises=raises, warns=warns, approx=approx, fail=fail, fixture=fixture, param=Param, mark=_Marks()
    )
    module.__dict__.update(skip=skip, xfail=skip)
    module.__dict__["__getattr__"] = _refuse
    return module


def _refuse(name: str) -> Any:
    if name.startswith("__"):  # asked for by the machinery of imports
        raise AttributeError(name)
    raise UnknownWordError(f"'pytest.{name}' is not known here")
