"""Runs an external command inside the jail: this process stays as number 1 and reaps.

The command never holds the link to the runner. Its end is told over that link; then everything else that it
started is killed, and only then are the files read that it was to leave.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH103, PTH120, PTH123

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
from typing import Any

from proctor.sandbox.channel import COLLECTED, ENDED, write_record

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # which a command would inherit
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
}


def run(header: dict[str, Any], block: bytes, link: int, work: str) -> int:
    """The command's exit status, 128 + signal where one ended it."""
    stdin = lay_out(header, block, work)
    environment = os.environ | _ENVIRONMENT | {"HOME": work, "TMPDIR": work} | header["env"]
    try:
        process = _spawn(header["argv"], environment, stdin, link)
    except (OSError, ValueError) as error:
        note = {"exit_code": 127, "signal": None, "error": f"{header['argv'][0]}: {error}"}
        write_record(link, ENDED, json.dumps(note).encode())
        return 127
    code = os.waitstatus_to_exitcode(_wait_for(process))
    if os.getpid() == 1:  # in a namespace of our own; without one the slot ends what is left
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        _reap_all()
    note = {"exit_code": code if code >= 0 else None, "signal": -code if code < 0 else None}
    write_record(link, ENDED, json.dumps(note).encode())
    for index, name in enumerate(header["collect"]):
        _collect(index, name, link)
    return code if code >= 0 else 128 - code


def _spawn(argv: list[str], environment: dict[str, str], stdin: int, link: int) -> int:
    """Without `subprocess`, whose import would make every fork of the slot dearer. Raises OSError, ValueError."""
    os.environ["PATH"] = environment["PATH"]  # where posix_spawnp looks for the command
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_CLOSE, link)]
    return os.posix_spawnp(argv[0], argv, environment, file_actions=actions, setsigdef=_IGNORED_BY_PYTHON)


def lay_out(header: dict[str, Any], block: bytes, work: str) -> int:
    """Writes the program's files into the work folder. Returns a descriptor to read standard input from."""
    start = 0
    for name, size in header["files"]:
        if "/" in name:
            os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o755), "wb") as target:
            target.write(block[start : start + size])
        start += size
    if start == len(block):
        return os.open(os.devnull, os.O_RDONLY)
    stdin = os.open(work, os.O_TMPFILE | os.O_RDWR, 0o600)
    with open(stdin, "wb", closefd=False) as target:
        target.write(block[start:])
    os.lseek(stdin, 0, os.SEEK_SET)
    return stdin


def _wait_for(process: int) -> int:
    while True:
        ended, status = os.wait()
        if ended == process:
            return status


def _reap_all() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _collect(index: int, name: str, link: int) -> None:
    """Sends a regular file; a link or a pipe in its place is not followed, nor waited for."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    with open(descriptor, "rb") as file:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            write_record(link, COLLECTED, bytes([index]) + file.read())
