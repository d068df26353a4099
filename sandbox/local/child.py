"""What happens in the forked process before, around and after the submission's own code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from proctor.sandbox.channel import RAISED, READY, RECORD, Channel, write_record
from proctor.sandbox.local import command, namespaces
from proctor.sandbox.local.orders import read_program
from proctor.sandbox.local.seal import LINK, PEER, Closing, Traits

Entry = Callable[[bytes, Channel], None]
_IS_READY = RECORD.pack(READY, 0)


def main(seal: Closing, work: str, *, is_command: bool, has_peer: bool) -> NoReturn:
    """Runs one submission, whose descriptors are in their places already."""
    status = 127
    try:
        header, block = read_program(LINK)
        function = None if is_command else find_entry(header["entry"])
        if is_command and seal.has_namespaces:
            namespaces.show_own_processes()
        seal.close(Traits(is_command, has_peer))
        os.write(LINK, _IS_READY)  # whatever is wrong from here on is the submission's
        if function is None:
            status = command.run(header, block, LINK, work)
        else:
            status = call_entry(function, block, Channel(LINK, PEER if has_peer else None, block))
    except BaseException:  # the border of this process: what is wrong here is ours, and goes to stderr
        traceback.print_exc()
    finally:
        os._exit(status)


def find_entry(name: str) -> Entry:
    """The function that "package.module:function" names; the zygote has imported the module."""
    module, _, function = name.partition(":")
    found: Entry = getattr(sys.modules[module], function)
    return found


def call_entry(function: Entry, payload: bytes, channel: Channel) -> int:
    """Calls it; the exit status is Python's for a script that ends the same way."""
    try:
        function(payload, channel)
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException as error:  # whatever a submission raises is its result
        status = 1
        _tell(error)
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        try:
            stream.flush()  # type: ignore[union-attr]  # None where there was none
        except Exception:  # closed or replaced by the submission: its loss
            continue
    return status


def _tell(error: BaseException) -> None:
    """Names the exceptions behind which a limit may stand; no need to guess from a traceback."""
    if isinstance(error, (MemoryError, OSError)):
        note = json.dumps({"type": type(error).__name__, "errno": getattr(error, "errno", None)}).encode()
        try:
            write_record(LINK, RAISED, note)
        except OSError:  # closed by the submission
            return
