"""What a class of the program is to Python: what it derives from, what is in it, and whether it is a `dict`.

The program tells the names of its classes' bases, and what else tests ask about a class is asked for there. Python's
own `isinstance(bag, dict)` looks at real classes, though: a stand-in that claims to be one shows it a class that
derives from `dict` and has nothing else.
"""

from __future__ import annotations

import abc
import builtins
import collections
import collections.abc
from collections.abc import Iterable, Mapping
from typing import Any

from proctor.sandbox.exam.class_facts import own_names
from proctor.sandbox.exam.remote import ClassInfo, RemoteClass

_PYTHONS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        *(list, dict, set, frozenset, tuple, property, classmethod, staticmethod, int, float, str),
        *(collections.OrderedDict, collections.defaultdict, collections.Counter, collections.deque),
        *(collections.UserDict, collections.UserList, collections.UserString),
        *(getattr(collections.abc, name) for name in collections.abc.__all__),
    )
}
_PARTS = frozenset({"property", "classmethod", "staticmethod"})  # of a class
# Heirs of ABC are known by their own class, not as "an ABC".
_ALL: Mapping[str, type] = {**_PYTHONS, "ABC": abc.ABC}


def shown_class(name: str, names: Iterable[str]) -> type | None:
    """A class like those of Python's that `names`, the bases of a class from the nearest on, say it is."""
    return _derived(name, [_PYTHONS[each] for each in names if each in _PYTHONS])


def is_subclass(kind: Any, of: Any) -> bool:
    """`issubclass` for tests that use it: Python's own would not know that a class of the program is a `dict`."""
    if isinstance(of, tuple):
        return any(is_subclass(kind, each) for each in of)
    info = own_names(kind).get("_proctor_class") if isinstance(kind, RemoteClass) else None
    if info is None or isinstance(of, RemoteClass):
        return builtins.issubclass(kind, of)
    derived = _derived(info.name, [_ALL[each] for each in info.told_bases if each in _ALL])
    return builtins.issubclass(derived or kind, of)


def _derived(name: str, bases: list[type]) -> type | None:
    nearest = [
        kind
        for place, kind in enumerate(bases)
        if not any(builtins.issubclass(other, kind) for other in bases[:place])
    ]
    try:
        return abc.ABCMeta(name, tuple(nearest), {}) if nearest else None
    except TypeError:  # no class of Python's could derive from all of these
        return None


def claims(info: ClassInfo) -> dict[str, Any]:
    """What the stand-in of a class has in its body so that its objects claim to be what the class says they are.

    Only where the class is what is tested: an answer that is no real list shall not pass for one.
    """
    if not (info.under_test or info.name in _PARTS):
        return {}
    shown = shown_class(info.name, info.told_bases)
    return {} if shown is None else {"__class__": property(lambda self: shown)}
