"""`pickle.loads` for tests: of a program's bytes it builds plain data, and calls nothing.

Unpickling calls what the bytes name, here in the tests' own process. Bytes that the tests pickled themselves are
loaded as ever.
"""

from __future__ import annotations

import functools
import io
from typing import Any

# Written in C: their attributes cannot be set, which bytes may ask for as well, and they call nothing but each other.
_HARMLESS = {
    "builtins": ("set", "frozenset", "complex", "range", "slice", "bytearray"),
    "collections": ("OrderedDict", "defaultdict", "deque"),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
}
_MOST = 1000  # texts of the tests' own that are remembered


def guard() -> None:
    """In a process that serves these tests only (`traces.py`)."""
    import pickle  # heavy, and rarely needed

    module: Any = pickle
    if getattr(module.loads, "__module__", "") == __name__:
        return
    dumps, loads = pickle.dumps, pickle.loads
    own: set[bytes] = set()

    class Unpickler(pickle.Unpickler):
        """For files and bytes of whoever made them."""

        def find_class(self, module: str, name: str, /) -> Any:
            if name not in _HARMLESS.get(module, ()):
                raise pickle.UnpicklingError(f"pickled data that is not plain: '{module[:40]}.{name[:40]}'")
            return super().find_class(module, name)

    @functools.wraps(dumps, ["__doc__"])
    def dump_text(*args: Any, **how: Any) -> bytes:
        made = dumps(*args, **how)
        if len(own) < _MOST:
            own.add(made)
        return made

    @functools.wraps(loads, ["__doc__"])
    def load_text(data: Any, /, **how: Any) -> Any:
        return loads(data, **how) if bytes(data) in own else Unpickler(io.BytesIO(data), **how).load()

    def load(file: Any, **how: Any) -> Any:
        return Unpickler(file, **how).load()

    module.dumps, module.loads, module.load, module.Unpickler = dump_text, load_text, load, Unpickler
