"""What a runner tells its zygote, once: which isolation, which files, which modules. Plain data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

MAX_MESSAGE = 1 << 18  # between runner and zygote
# What the weaker modes leave out. "full" leaves out nothing.
MODES = ("full", "no-landlock", "no-namespaces", "process")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One jail's construction plan."""

    isolation: str = "full"
    readable: tuple[str, ...] = ()  # paths of the host to show inside, read-only
    masked: tuple[str, ...] = ()  # folders within them to show empty
    unmasked: tuple[str, ...] = ()  # paths within those to show nevertheless
    search_path: tuple[str, ...] = ()  # sys.path while `modules` are imported
    inner_path: tuple[str, ...] = ()  # sys.path of submissions
    environment: tuple[str, ...] = ()  # NAME=VALUE, all that submissions find in theirs
    work: str = ""  # without namespaces: the folder for the slots' work folders
    modules: tuple[
        str, ...
    ] = ()  # imported before the first fork: homes of `entry` functions, common libraries

    @property
    def uses_namespaces(self) -> bool:
        return self.isolation in ("full", "no-landlock")

    @property
    def uses_landlock(self) -> bool:
        return self.isolation in ("full", "no-namespaces")

    @property
    def uses_seccomp(self) -> bool:
        return self.isolation != "process"

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Setting:
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**fields)
