"""Which files of the host's site-packages programs may import: chosen distributions, with what they require.

Not all of site-packages: it holds whatever else the host has installed, data sets and hidden tests included.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from proctor.sandbox.core import SandboxError
from proctor.sandbox.languages import MissingToolError

_NAME = re.compile(r"[A-Za-z0-9._-]+")


class MissingPackageError(SandboxError, MissingToolError):
    """What programs were to import is not installed here."""


def paths_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Files and folders at the top of site-packages that belong to these distributions.

    Raises MissingPackageError for a name that is not installed. What only an extra requires is left out, and so are
    requirements that are not installed: they are for other systems or other versions of Python.
    """
    found: dict[str, set[str]] = {}
    for name in names:
        try:
            _add(metadata.distribution(name), found)
        except metadata.PackageNotFoundError:
            raise MissingPackageError(
                f"package {name!r} for programs is not installed here: pip install {name}"
            ) from None
    return tuple(sorted(path for paths in found.values() for path in paths))


def _add(distribution: metadata.Distribution, found: dict[str, set[str]]) -> None:
    name = distribution.metadata["Name"].lower()
    if name in found:
        return
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
    found[name] = {str(Path(str(distribution.locate_file(top)))) for top in tops}
    for requirement in distribution.requires or ():
        needed = _NAME.match(requirement)
        if needed is None or "extra ==" in requirement:
            continue
        try:
            _add(metadata.distribution(needed[0]), found)
        except metadata.PackageNotFoundError:
            continue
