"""The tests' stand-in for a function of the candidate's program."""

from __future__ import annotations

from types import CodeType, MethodType
from typing import TYPE_CHECKING, Any

from proctor.sandbox.exam.bounds import MAX_NAMES
from proctor.sandbox.exam.operations import num_starred

if TYPE_CHECKING:
    from proctor.sandbox.exam.examinee import Examinee

# What tests may ask of a function or a class beside its own attributes.
_READ = frozenset(
    f"__{name}__"
    for name in (
        "doc",
        "annotations",
        "wrapped",
        "defaults",
        "kwdefaults",
        "module",
        "qualname",
        "abstractmethods",
    )
)


class RemoteFunction:
    """A function of the program, by its name there."""

    def __init__(self, examinee: Examinee, path: str) -> None:
        self._examinee = examinee
        self._path = path
        self.__name__ = self.__qualname__ = path.rpartition(".")[2]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._examinee.call(self._path, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        refuse_protocol(name)
        return self._examinee.ask("get", self, name)  # `f.cache_info()`

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        return self._examinee.ask("get", self, "__doc__")

    @property
    def __code__(self) -> CodeType:
        """What `inspect` reads of a function: its parameters, and whether it is a coroutine or a generator."""
        told = self._examinee.ask("code", self)
        try:
            return _code(*told)
        except (TypeError, ValueError, OverflowError, SystemError) as error:
            raise AttributeError("__code__") from error  # what was told is no function's

    def __get__(self, instance: object, owner: object = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __copy__(self) -> RemoteFunction:
        return self

    def __deepcopy__(self, memo: object) -> RemoteFunction:
        return self

    def __repr__(self) -> str:
        return f"<{self._path} of the candidate>"


def _code(flags: int, args: int, positional: int, keywords: int, names: list[str]) -> CodeType:
    """Code that nobody runs. Raises TypeError, ValueError, OverflowError or SystemError for what is none."""
    if not args + keywords + num_starred(flags) == len(names) <= MAX_NAMES:
        raise ValueError(f"{len(names)} names for other parameters")
    return RemoteFunction.__call__.__code__.replace(
        co_flags=flags,
        co_argcount=args,
        co_posonlyargcount=positional,
        co_kwonlyargcount=keywords,
        co_varnames=tuple(names),
        co_nlocals=len(names),
    )


def refuse_protocol(name: str) -> None:
    """Raises AttributeError for protocols (numpy's, copy's, pickle's) that tests did not ask for."""
    if name.startswith("__") and name.endswith("__") and name not in _READ:
        raise AttributeError(name)
