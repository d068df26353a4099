"""The runner's hold on its zygote and its slots: starting, stopping, noticing that one is gone."""

# ruff: noqa: PTH -- pathlib would fatten the memory that submissions are forked from

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field

from proctor.sandbox.core import PoolError
from proctor.sandbox.local import zygote
from proctor.sandbox.local.running import Run
from proctor.sandbox.local.setting import Setting

_START_S = 60.0  # imports and mounts on a busy machine


@dataclass(slots=True, eq=False)
class SlotHandle:
    """A slot, seen from outside."""

    number: int
    pid: int  # in the runner's process namespace
    handle: int  # pidfd: stays this process, however often the number is given out again
    control: socket.socket
    run: Run | None = None
    keep: str = ""  # of the examiner that waits here for its next candidate
    runs: int = 0
    doubtful: bool = False

    def kill(self) -> None:
        """Ends it and, as it is number 1 of its namespace, all that it started."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        self.control.close()
        os.close(self.handle)
        if self.run is not None:
            self.run.close()
            self.run = None


@dataclass(slots=True, eq=False)
class ZygoteHandle:
    """The zygote process and the socket on which it forks slots for us."""

    process: subprocess.Popen[bytes]
    link: socket.socket
    numbers: set[int] = field(default_factory=set)

    def fork_slot(self) -> SlotHandle:
        """Raises PoolError where the zygote does not answer."""
        number = next(n for n in range(1 << 20) if n not in self.numbers)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            socket.send_fds(self.link, [json.dumps({"slot": number}).encode()], [theirs.fileno()])
            answer = json.loads(self.link.recv(zygote.MAX_MESSAGE) or b"{}")
            handle = os.pidfd_open(answer["pid"])
        except (OSError, KeyError, ValueError) as error:
            ours.close()
            raise PoolError(f"the zygote does not fork a slot: {error}") from error
        finally:
            theirs.close()
        self.numbers.add(number)
        return SlotHandle(number, answer["pid"], handle, ours)

    def close(self) -> None:
        self.link.close()
        self.process.kill()
        self.process.wait()


def start_zygote(setting: Setting, package_root: str) -> ZygoteHandle:
    """Executes a zygote in a fresh interpreter, without environment. Raises PoolError with its complaint."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-I", "-S", "-X", "utf8", zygote.__file__, str(theirs.fileno()), package_root]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env={}, pass_fds=[theirs.fileno()], cwd="/")
    theirs.close()
    ours.settimeout(_START_S)
    try:
        ours.send(json.dumps(setting.as_dict()).encode())
        answer = json.loads(ours.recv(zygote.MAX_MESSAGE) or b"{}")
    except OSError as error:
        answer = {"error": str(error)}
    if not answer.get("ready"):
        ours.close()
        process.kill()
        process.wait()
        raise PoolError(f"the zygote did not start: {answer.get('error', 'it ended without a word')}")
    return ZygoteHandle(process, ours)
