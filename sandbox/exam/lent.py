"""Objects of the tests that the candidate may use by number: callbacks, iterators, test doubles.

The candidate is hostile, and behind a function of the tests stand its globals with every expected value.
So: only objects that a test handed over, only by the number they were given; functions may be called and
iterators advanced; attributes only of other objects and of files in memory, and none whose name begins with an
underscore but those that the candidate has set itself. Of a test double or a test case, nothing that unittest gave
it: it decides the tests' checks.
"""

from __future__ import annotations

import inspect
import io
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from proctor.sandbox.exam.awaiting import advance
from proctor.sandbox.exam.bounds import WireError
from proctor.sandbox.exam.link import ExamOverError
from proctor.sandbox.exam.operations import ASYNC, IN_PLACE, INSPECT, OPERATIONS
from proctor.sandbox.exam.rich import error_names, is_method

_ONLY_CALLED = (
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, type, types.ModuleType),
    *(types.GeneratorType, types.CoroutineType, types.CodeType, types.FrameType, Iterator),
)
_TYPES = (int, float, str, bool, bytes, list, tuple, dict, set, frozenset, complex, None)
_FILES = (io.StringIO, io.BytesIO)  # iterators whose methods are what they are for
_FRAMEWORK, _CASE = "unittest.", "unittest.case"
_NOTHING = object()
# Lent by tests such as `apply(eval, "1 + 1")`, they would lead to all that the tests know.
_REACHING = (
    *(eval, exec, compile, __import__, globals, locals, vars, dir),
    *(getattr, setattr, delattr, open, input, breakpoint),
)
_NOT_FOR_THE_CANDIDATE = frozenset(
    {"await", "isinstance", "enter", "exit", "format", *IN_PLACE, *ASYNC, *INSPECT}
)


class Lent:
    """What this side lends, by number, and the answers to requests about it."""

    def __init__(self, number_of: Callable[[object], int | str | None]) -> None:
        self._number_of = number_of  # of what is the candidate's own
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        # Attributes that only the candidate has set, by object and name.
        self._given: set[tuple[int, str]] = set()
        self._verbs: dict[str, Callable[..., Any]] = {
            "call": self._call,
            "get": self._get,
            "set": self._set,
            "op": self._operate,
            "await": self._await,
            "about": self._about,
        }

    def allow(self, verbs: Mapping[str, Callable[..., Any]]) -> None:
        """Further requests, which are about no object."""
        self._verbs.update(verbs)

    def existing(self, value: object) -> Any | None:
        """The node of one of the candidate's own objects, or of one that was lent before."""
        number = self._number_of(value)
        return {"y": number} if number is not None else None

    def has(self, value: object) -> bool:
        return id(value) in self._numbers

    def export(self, value: object) -> Any:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        name = str(getattr(value, "__name__", type(value).__name__))
        if isinstance(value, type) and issubclass(value, BaseException):
            return {"h": [number, name, error_names(value)]}
        return {"h": [number, name]}

    def __getitem__(self, number: object) -> Any:
        if type(number) is not int or not 0 <= number < len(self._objects):
            raise WireError("a number that was never lent")
        return self._objects[number]

    def answer(self, message: list[Any]) -> list[Any]:
        """The answer to a request of the candidate. Raises ExamOverError where it is not one it may make."""
        verb, *rest = message
        act = self._verbs.get(verb)
        if act is None:
            raise ExamOverError(f"forbidden: request '{verb[:40]}'")
        try:
            return ["=", act(*rest)]
        except AssertionError:
            return ["!", AssertionError(), []]  # its text may hold what was expected
        except Exception as error:  # a callback of the tests raised: the candidate gets to see that
            return ["!", error, []]

    def _own(self, value: object) -> Any:
        number = self._numbers.get(id(value))
        if number is None or self._objects[number] is not value:
            raise ExamOverError("forbidden: an object that was not lent")
        return value

    def _call(self, target: object, args: list[Any], pairs: list[Any]) -> object:
        kwargs = dict(zip(pairs[::2], pairs[1::2], strict=True))
        if isinstance(target, type) and any(not _is_plain_name(name) for name in kwargs):
            raise TypeError("a name that is none")  # `Mock(**{"a.b": 1})` sets what it likes
        if any(target is each for each in _REACHING):
            raise TypeError(f"'{target.__name__}' of the tests cannot be called from a candidate")  # type: ignore[attr-defined]
        if _definer(self._own(target), "__call__") == _CASE:
            raise TypeError("a test case cannot be run from a candidate")
        return target(*args, **kwargs)  # type: ignore[operator]

    def _await(self, target: object, is_left: bool = False) -> list[object]:
        """What became of a coroutine of the tests, as `advance` says it."""
        coroutine: Any = self._own(target)
        if type(coroutine) is not types.CoroutineType:
            raise AttributeError("only coroutines can be awaited from a candidate")
        return advance(coroutine, is_left is True)

    def _about(self, target: object) -> dict[str, object]:
        """What a decorator may want to know of a function; of values that stand in it, nothing."""
        value: Any = self._own(target)
        if not isinstance(value, types.FunctionType | types.MethodType):
            return {}
        parameters = inspect.signature(value).parameters.values()
        known = {name: kind for name, kind in value.__annotations__.items() if kind in _TYPES}
        return {
            "doc": value.__doc__,
            "qualname": value.__qualname__,
            "annotations": known,
            "parameters": [
                [each.name, int(each.kind), each.default is not each.empty] for each in parameters
            ],
        }

    def _get(self, target: object, name: str) -> object:
        self._check_attribute(target, name, (id(target), name) in self._given)
        return getattr(target, name)

    def _set(self, target: object, name: str, value: object) -> None:
        is_given = (id(target), name) in self._given or _is_new(target, name)
        self._check_attribute(target, name, is_given)
        if is_given:
            self._given.add((id(target), name))
        if is_method(target, name):  # a test double's own checks
            raise AttributeError(f"'{name}' of an object of the tests is a method")
        setattr(target, name, value)

    def _check_attribute(self, target: object, name: str, is_given: bool) -> None:
        is_closed = _is_closed(self._own(target))
        is_plain = type(name) is str and not name.startswith("__" if is_given else "_")
        if is_closed or not is_plain or _definer(target, name).startswith(_FRAMEWORK):
            raise AttributeError(f"'{name}' of an object of the tests cannot be reached from a candidate")

    def _operate(self, name: str, target: object, *operands: object) -> object:
        self._own(target)
        if type(name) is not str or name in _NOT_FOR_THE_CANDIDATE or name not in OPERATIONS:
            raise ExamOverError("forbidden: operation")
        if name in ("str", "repr") and isinstance(target, _ONLY_CALLED):
            return f"<{getattr(target, '__name__', 'iterator')}>"
        if name == "contains" and isinstance(target, Iterator):  # Python's own search cannot be interrupted
            return any(each is operands[0] or each == operands[0] for each in target)
        return OPERATIONS[name](target, *operands)


def _is_closed(value: object) -> bool:
    """Whether it has no attributes for a candidate. A `MagicMock` counts as an iterator, for it has `__next__`."""
    is_double = _definer(value, "assert_called_with") == "unittest.mock"
    return isinstance(value, _ONLY_CALLED) and not (isinstance(value, _FILES) or is_double)


def _is_plain_name(name: object) -> bool:
    return type(name) is str and "." not in name and not name.startswith("__")


def _is_new(value: object, name: str) -> bool:
    """Whether an object, which is no test double, has nothing by that name: a descriptor may keep `_price` there."""
    is_double = _definer(value, "assert_called_with") == "unittest.mock"
    return not is_double and inspect.getattr_static(value, name, _NOTHING) is _NOTHING


def _definer(value: object, name: str) -> str:
    """The module of the class that gives an object what it has by a name; "" where no class does."""
    kind = next((kind for kind in type(value).__mro__ if name in vars(kind)), None)
    return "" if kind is None else kind.__module__
