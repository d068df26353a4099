"""The program as a module of the tests, in which they may put doubles: `with patch("solution.fetch", ...)`.

What they set there is set in the program too, whose own functions then call the double; the program keeps what was
there before, and gets it back when the tests put it back. Other modules' patches (`patch("time.sleep")`) stay here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


class ProgramModule(ModuleType):
    """Holds names of the program. `tell` has the program set one, or put back what it had."""

    def __init__(self, name: str, names: Mapping[str, Any], tell: Callable[..., Any] | None) -> None:
        super().__init__(name)
        vars(self).update(names, _proctor_names=dict(names), _proctor_tell=tell)

    def __setattr__(self, name: str, value: Any) -> None:
        tell, own = self._proctor_tell, self._proctor_names
        if tell is not None and name in own:
            tell("unpatch", name) if value is own[name] else tell("patch", name, value)
        super().__setattr__(name, value)


class Originals:
    """On the program's side: what stood under the names that are patched."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._kept: dict[str, Any] = {}

    def patch(self, name: str, value: Any) -> None:
        self._kept.setdefault(name, self._names[name])
        self._names[name] = value

    def unpatch(self, name: str) -> None:
        if name in self._kept:
            self._names[name] = self._kept.pop(name)

    def find(self, name: str) -> Any:
        """What the tests mean by a name: their own `from solution import f` is no double. None: nothing kept."""
        return self._kept.get(name) if self._kept else None
