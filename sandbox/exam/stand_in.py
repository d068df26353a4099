"""The candidate's stand-in for an object of the tests: a callback, an iterator, a test double.

The tests' side decides what may be done to it (`lent.py`); here everything is passed on.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from proctor.sandbox.exam.operations import BINARY, COMPARE, OTHER, UNARY

if TYPE_CHECKING:
    from proctor.sandbox.exam.link import Conversation


def ask(conversation: Conversation, *message: object) -> Any:
    """The answer to a request of the program. Raises what the tests raised."""
    verb, value, *_ = conversation.ask(conversation.encoder.encode(list(message)))
    if verb == "!":
        raise value
    return value


class StandIn:
    """Passes on whatever is done to it."""

    __slots__ = ("_conversation", "_name", "number")

    @classmethod
    def of(cls, body: Any, conversation: Conversation) -> StandIn:
        """From the body of a handle: [number, name]."""
        self = object.__new__(cls)
        object.__setattr__(self, "number", body[0])
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

    def __await__(self) -> Generator[Any, None, Any]:
        """Of a coroutine: it runs on the tests' side, to its end."""
        yield from ()
        return self._ask("await", self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
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
