"""Number 1 of a container: says what the container has, runs the runner, ends strays, leaves with the runner.

    python -I -S keeper.py ROOT WORK JAIL   ROOT: the folder in which `proctor` lies; WORK: a folder to write
                                            to; JAIL: `container.Jail` as JSON

Its end is the end of every process in the container, and the runner's end, which follows that of standard
input, is its own. Whatever loses its parents ends up here as a child: nothing that the runner knows, hence
killed. Standard library only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import site
import sys
import sysconfig
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path.append(sys.argv[1])

from proctor.sandbox import wire
from proctor.sandbox.languages import LANGUAGES
from proctor.sandbox.local.layout import make_setting
from proctor.sandbox.runner import Runner

CANARY = "canary.txt"  # its mode allows what the jail must refuse; see `proving`
_LOOK_S = 0.25


def greeting(work: str, wanted: dict[str, Any]) -> bytes:
    """A frame with the jail's setting in this image, or the packages that the image lacks."""
    base = os.path.realpath(sys.base_prefix)
    library = sysconfig.get_path("stdlib", vars={"base": base, "installed_base": base})
    # -S left them out.
    sys.path += [
        path for path in (*site.getsitepackages(), f"{library}/site-packages") if path not in sys.path
    ]
    missing = [name for name in wanted["packages"] if not _is_installed(name)]
    if missing:
        return wire.pack({"missing": missing})
    patterns = [pattern for language in LANGUAGES for pattern in language.readable]
    shown = tuple(str(path) for pattern in patterns for path in Path("/").glob(pattern))
    setting = make_setting(readable=shown, **wanted)
    if not setting.uses_namespaces:
        setting = dataclasses.replace(setting, work=f"{work}/slots")
    return wire.pack({"missing": [], "setting": setting.as_dict()})


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def run(package_root: str) -> NoReturn:
    """The runner, in a fork. Its link gets descriptors of its own: what is printed must not end up in it."""
    link = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    runner = Runner(*link, package_root)
    with contextlib.suppress(EOFError, ConnectionError):  # the host is gone, and nobody is left to tell
        runner.serve()
    os._exit(0)  # no clearing up: the container goes as a whole


def keep(runner: int) -> None:
    """Until the runner has ended."""
    while runner not in _reap():
        for stray in _children() - {runner}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)
        signal.sigtimedwait([signal.SIGCHLD], _LOOK_S)
        time.sleep(0.01)  # strays that multiply shall not keep a processor busy here as well


def _reap() -> set[int]:
    """Children that have ended."""
    ended: set[int] = set()
    with contextlib.suppress(ChildProcessError):
        while child := os.waitpid(-1, os.WNOHANG)[0]:
            ended.add(child)
    return ended


def _children() -> set[int]:
    return {int(number) for number in Path("/proc/self/task/1/children").read_text().split()}


def main(package_root: str, work: str, jail: str) -> None:
    Path(package_root, CANARY).write_text("not for programs")
    os.write(1, greeting(work, json.loads(jail)))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # number 1 has no default action
    runner = os.fork()
    if runner == 0:
        run(package_root)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    keep(runner)


if __name__ == "__main__":
    main(*sys.argv[1:])
