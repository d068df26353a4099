"""What happens in the forked process before, around and after the submission's own code."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from proctor.sandbox.channel import RAISED, READY, RECORD, Channel, receive_exactly
from proctor.sandbox.core import Limits
from proctor.sandbox.local import command, landlock, namespaces, privileges, seccomp, syscalls
from proctor.sandbox.wire import LENGTHS

LINK, PEER = 3, 4  # where a submission finds its socket to the runner, and in an exam the one to its peer

Entry = Callable[[bytes, Channel], None]
_COUNTED_APART = 8  # processes: leaves the refusal to the control group, which also counts it


@dataclass(frozen=True, slots=True)
class Jail:
    """What the slot prepared once for all its submissions."""

    work: str
    box_id: int | None  # user and group to become
    has_namespaces: bool
    spare_processes: int  # of our user's own, where the kernel counts them with the submission's
    rulesets: tuple[int | None, int | None]  # of Landlock, for functions and for commands
    filter: seccomp.Filter | None


def main(jail: Jail, limits: Limits, descriptors: Sequence[int], *, is_counted: bool) -> NoReturn:
    """Runs one submission.

    Args:
        descriptors: link to the runner, standard output, standard error and, in an exam, the peer's.
        is_counted: a control group counts its memory.
    """
    status = 127
    try:
        has_peer = place(descriptors)
        link = socket.socket(fileno=LINK)
        header, block = receive_order(link)
        is_command = bool(header["argv"])
        function = None if is_command else find_entry(header["entry"])
        if is_command and jail.has_namespaces:
            namespaces.show_own_processes()
        bounds_data = not (is_command and is_counted)
        spare = jail.spare_processes + _COUNTED_APART * is_counted
        privileges.limit(limits, bounds_data=bounds_data, spare_processes=spare)
        lock_down(jail, jail.rulesets[is_command], has_peer=has_peer)
        link.sendall(RECORD.pack(READY, 0))  # whatever is wrong from here on is the submission's
        if function is None:
            status = command.run(header, block, link, jail.work)
        else:
            peer = socket.socket(fileno=PEER) if has_peer else None
            status = call_entry(function, block, Channel(link, peer, block), link)
    except (
        BaseException
    ):  # the border of this process: what is wrong here is ours, and goes to standard error
        traceback.print_exc()
    finally:
        os._exit(status)


def place(descriptors: Sequence[int]) -> bool:
    """Puts the descriptors where the submission expects them; the slot keeps 0 to 4 free for that."""
    for target, source in zip((LINK, 1, 2, PEER), descriptors, strict=False):
        os.dup2(source, target, inheritable=target in (1, 2))
    return len(descriptors) > 3


def receive_order(link: socket.socket) -> tuple[dict[str, Any], bytes]:
    """The program itself, which the slot never sees."""
    header_size, block_size = LENGTHS.unpack(receive_exactly(link, LENGTHS.size))
    return json.loads(receive_exactly(link, header_size)), receive_exactly(link, block_size)


def lock_down(jail: Jail, ruleset: int | None, *, has_peer: bool) -> None:
    """Every layer that is set per run; there is no way back from any of them."""
    if not jail.has_namespaces:
        os.setsid()
    privileges.drop(jail.box_id)
    if ruleset is not None:
        landlock.restrict(ruleset)
    syscalls.call("close_range", PEER + has_peer, 0xFFFF_FFFF, 0)
    if jail.filter is not None:
        jail.filter.install()


def find_entry(name: str) -> Entry:
    """The function that "package.module:function" names; the zygote has imported the module."""
    module, _, function = name.partition(":")
    found: Entry = getattr(sys.modules[module], function)
    return found


def call_entry(function: Entry, payload: bytes, channel: Channel, link: socket.socket) -> int:
    """Calls it; the exit status is Python's for a script that ends the same way."""
    random.seed()
    try:
        function(payload, channel)
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException as error:  # whatever a submission raises is its result
        status = 1
        _tell(error, link)
        traceback.print_exc()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    return status


def _tell(error: BaseException, link: socket.socket) -> None:
    """Names the exceptions behind which a limit may stand; no need to guess from a traceback."""
    if isinstance(error, (MemoryError, OSError)):
        note = json.dumps({"type": type(error).__name__, "errno": getattr(error, "errno", None)}).encode()
        with contextlib.suppress(OSError):
            link.sendall(RECORD.pack(RAISED, len(note)) + note)
