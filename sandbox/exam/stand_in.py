"""The candidate's stand-in for an object of the tests: a callback, an iterator, a test double.

The tests' side decides what may be done to it (`lent.py`); here everything is passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from proctor.sandbox.exam.changes import put_back
from proctor.sandbox.exam.operations import BINARY, COMPARE, OTHER, UNARY

if TYPE_CHECKING:
    from proctor.sandbox.exam.link import Conversation


def ask(conversation: Conversation, *message: object) -> Any:
    """The answer to a request of the program. Raises what the tests raised."""
    is_call = message[0] == "call"
    with conversation.turn:
        line = conversation.encoder.encode(list(message))
        given = conversation.containers(message[2:]) if is_call else ()
        verb, value, *rest = conversation.ask(line, conversation.shared)
    changed = rest[0] if rest else []
    for place, fresh in zip(changed[::2], changed[1::2], strict=True):
        put_back(given[place], fresh)
    if verb == "!":
        raise value
    return value


def _signature(told: dict[str, Any]) -> Any:
    import inspect  # heavy, and rarely needed

    types, none = told["annotations"], inspect.Parameter.empty
    parameters = [
        inspect.Parameter(
            name,
            inspect._ParameterKind(kind),
            default=... if has_default else none,  # there is one, and it is the tests' own affair
            annotation=types.get(name, none),
        )
        for name, kind, has_default in told["parameters"]
    ]
    return inspect.Signature(parameters, return_annotation=types.get("return", none))


def _code(told: dict[str, Any]) -> Any:
    names = tuple(name for name, kind, _ in told["parameters"] if kind < 2)  # by position
    return SimpleNamespace(
        co_argcount=len(names), co_varnames=names, co_name=told["qualname"].rpartition(".")[2]
    )


# What programs ask of a function that they decorate.
_OF_FUNCTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "__qualname__": lambda told: told["qualname"],
    "__annotations__": lambda told: dict(told["annotations"]),
    "__signature__": _signature,
    "__code__": _code,
}


class StandIn:
    """Passes on whatever is done to it."""

    __slots__ = ("_about", "_conversation", "_name", "_number")

    @classmethod
    def of(cls, body: Any, conversation: Conversation) -> StandIn:
        """From the body of a handle: [number, name]."""
        self = object.__new__(cls)
        object.__setattr__(self, "_number", body[0])
        object.__setattr__(self, "_name", body[1])
        object.__setattr__(self, "_conversation", conversation)
        return self

    @property
    def __name__(self) -> str:
        return str(self._name)

    def _ask(self, *message: object) -> Any:
        return ask(self._conversation, *message)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        pairs = [item for pair in kwargs.items() for item in pair]
        return self._ask("call", self, list(args), pairs)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self._told().get("doc")

    def _told(self) -> dict[str, Any]:
        """What the tests tell of a function or a class of theirs."""
        if not hasattr(self, "_about"):
            object.__setattr__(self, "_about", self._ask("about", self))
        about: dict[str, Any] = self._about
        return about

    def __await__(self) -> Generator[Any, None, Any]:
        """Of a coroutine: it runs on the tests' side, a little at a time; the program's own loop goes on between."""
        while True:
            is_done, value = self._ask("await", self)
            if is_done:
                return value
            try:
                yield
            except BaseException:  # cancelled: the program waits no longer
                self._ask("await", self, True)
                raise

    def __getattr__(self, name: str) -> Any:
        if name in _OF_FUNCTIONS and (told := self._told()):
            return _OF_FUNCTIONS[name](told)
        if name.startswith("__") or name == "_about":
            raise AttributeError(name)
        return self._ask("get", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._ask("set", self, name, value)


def _special(name: str) -> Any:
    def method(self: StandIn, *operands: object) -> Any:
        return self._ask("op", name, self, *operands)

    return method


for _name in (*BINARY, *COMPARE, *UNARY, *OTHER, *(f"r{name}" for name in BINARY)):
    if _name not in ("await", "isinstance"):
        setattr(StandIn, f"__{_name}__", _special(_name))
