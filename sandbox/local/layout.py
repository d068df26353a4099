"""What of this host submissions get to see, and what the zygote imports before the first of them."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from proctor.sandbox.local import probes
from proctor.sandbox.local.packages import paths_of
from proctor.sandbox.local.setting import Setting

PACKAGE_ROOT = str(Path(__file__).absolute().parents[3])
# What programs commonly import: in the zygote's memory, so that a submission need not read and run it again.
# Each costs every fork something, hashlib with its library 40 us: one program in 650 imports that.
COMMON_MODULES = (
    "bisect", "collections", "copy", "datetime", "decimal", "enum", "fractions", "functools", "heapq", "io",
    "itertools", "json", "math", "operator", "random", "re", "string", "typing",
)  # fmt: skip
_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives", "/etc/ld.so.cache",
)  # fmt: skip
# Whatever the host has installed for Python, data sets with their tests included, is out of sight.
_PACKAGES = ("lib/python3*/site-packages", "lib/python3*/dist-packages", "lib/python3/dist-packages")
# Numerical libraries start a thread for each processor of the host: more than a program may have.
_SINGLE_THREADED = ("OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1")


def make_setting(
    isolation: str,
    *,
    readable: tuple[str, ...] = (),
    packages: tuple[str, ...] = (),
    modules: tuple[str, ...] = (),
) -> Setting:
    """The plan of a jail on this host, for this interpreter.

    Args:
        readable: further paths to show.
        packages: distributions that Python programs may import.
        modules: where `entry` functions live.

    Raises:
        MissingPackageError: a package is not installed.
    """
    base = os.path.realpath(sys.base_prefix)
    library = sysconfig.get_path("stdlib", vars={"base": base, "installed_base": base})
    standard = (library, f"{library}/lib-dynload")
    shown = paths_of(packages)
    return Setting(
        isolation=isolation,
        readable=(*_SYSTEM, base, *readable),
        masked=_package_folders(base),
        unmasked=shown,
        search_path=(*standard, *filter(None, sys.path), PACKAGE_ROOT),
        inner_path=(*standard, *sorted({str(Path(path).parent) for path in shown})),
        environment=_SINGLE_THREADED if shown else (),
        modules=(*COMMON_MODULES, probes.__name__, *modules),
    )


def _package_folders(base: str) -> tuple[str, ...]:
    found = {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    for prefix in (base, sys.prefix, "/usr", "/usr/local"):
        for pattern in _PACKAGES:
            found.update(str(path) for path in Path(prefix).glob(pattern))
    return tuple(sorted(os.path.realpath(path) for path in found))
