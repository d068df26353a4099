"""Values and calls as bounded text, for evidence. Nothing is asked of the candidate for it."""

from __future__ import annotations

import reprlib
from typing import Any

from proctor.sandbox.exam.bounds import WireError
from proctor.sandbox.exam.decode import Decoder
from proctor.sandbox.exam.remote import is_remote

MAX_TEXT = 500
_MAX_BITS = 14_000  # of an int in decimal, which takes time by the square of its length


class _Opaque:
    """Stands for an object of either side in a message that is only shown."""

    def __init__(self, tag: str, body: Any) -> None:
        self._text = (
            "<object of the candidate>" if tag == "y" else f"<{body[1] if len(body) > 1 else 'object'}>"
        )

    def __repr__(self) -> str:
        return self._text


class _Short(reprlib.Repr):
    """repr with bounds on every level."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = self.maxdict = 30
        self.maxstring = self.maxlong = self.maxother = 200
        self.maxlevel = 6

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < _MAX_BITS else f"<int of {x.bit_length()} bits>"

    def repr1(self, x: object, level: int) -> str:
        return "<object of the candidate>" if is_remote(x) else super().repr1(x, level)


_repr = _Short().repr


def show(value: object) -> str:
    """A bounded text for any value that a message can hold."""
    try:
        return _repr(value)[:MAX_TEXT]
    except BaseException:  # an int too long for decimal, too deep a nesting, a `__repr__` that leaves
        return f"<{type(value).__name__} that cannot be shown>"


def show_call(line: bytes) -> str:
    """A call as it was sent: the arguments themselves may have changed since."""
    try:
        verb, *rest = Decoder(adopt=_Opaque).decode(line)
    except WireError:
        return ""
    *target, args, pairs = rest
    name = target[-1] if verb == "method" else target[0]
    shown = [show(arg) for arg in args]
    shown += [f"{key}={show(value)}" for key, value in zip(pairs[::2], pairs[1::2], strict=True)]
    return f"{name}({', '.join(shown)})"[:MAX_TEXT]
