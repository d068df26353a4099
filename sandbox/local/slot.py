"""A slot: one place to run submissions, one after the other, in namespaces that are entered once.

It is number 1 of a process namespace of its own, so its end is the end of all it started. It passes
descriptors on and waits; payloads, outputs and reports never enter its memory, because every submission is
a fork of it and could read them there. When in doubt it leaves: the runner makes a new one.
"""

# ruff: noqa: PTH -- pathlib would fatten the memory that submissions are forked from

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct

from proctor.sandbox.core import Limits
from proctor.sandbox.local import child, landlock, privileges, root, seccomp, syscalls
from proctor.sandbox.local.setting import Setting

# What a slot answers: wait status, processor seconds, peak memory in KiB, free blocks and free files of the
# work folder (-1: not looked at).
ANSWER = struct.Struct("<idqqq")
STOP = b"stop"
CONTROL = 10
_MAX_MESSAGE = 1 << 16


def main(control: socket.socket, gate: socket.socket, setting: Setting, *, privileged: bool) -> None:
    if gate.recv(2) != b"go":
        return
    Slot(settle(control), setting, privileged=privileged).serve()


def settle(control: socket.socket) -> socket.socket:
    """Keeps the socket to the runner as descriptor 10 and closes all else; 0 to 4 are taken, for child.place."""
    null = os.open("/dev/null", os.O_RDWR)
    high = fcntl.fcntl(control.detach(), fcntl.F_DUPFD_CLOEXEC, 100)
    for descriptor in range(5):
        os.dup2(null, descriptor)
    os.dup2(high, CONTROL, inheritable=False)
    os.closerange(5, CONTROL)
    syscalls.call("close_range", CONTROL + 1, 0xFFFF_FFFF, 0)
    return socket.socket(fileno=CONTROL)


class Slot:
    def __init__(self, control: socket.socket, setting: Setting, *, privileged: bool) -> None:
        self._control = control
        self._file_mb = 64
        if setting.uses_namespaces:
            if privileged:
                os.setresgid(0, 0, 0)
                os.setresuid(0, 0, 0)
            root.mount_work(self._file_mb)
        privileges.narrow()
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        os.chdir(root.WORK)
        self._jail = child.Jail(
            sets_ids=privileged and setting.uses_namespaces,
            counts_memory=False,
            ruleset=_ruleset() if setting.uses_landlock else None,
            filter=seccomp.Filter(seccomp.submission_filter()) if setting.uses_seccomp else None,
        )
        self._flags = syscalls.CLONE_NEWPID if setting.uses_namespaces else 0

    def serve(self) -> None:
        """Runs one submission for each message until the runner closes the socket."""
        while True:
            message, descriptors, _, _ = socket.recv_fds(self._control, _MAX_MESSAGE, 8)
            if not message:
                return
            if message == STOP:  # came after the submission had ended by itself
                continue
            order = json.loads(message)
            limits = Limits(**order["limits"])
            if limits.file_mb != self._file_mb:
                root.resize_work(limits.file_mb)
                self._file_mb = limits.file_mb
            process = syscalls.clone(self._flags)
            if process == 0:
                child.main(self._jail, order, limits, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            self._control.send(self._wait(process))

    def _wait(self, process: int) -> bytes:
        handle = os.pidfd_open(process)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.register(self._control.fileno(), select.POLLIN)
            while True:
                ready = [descriptor for descriptor, _ in poll.poll()]
                if handle in ready:
                    break
                if self._control.recv(16) != STOP:
                    os._exit(0)  # the runner is gone, or speaks out of turn
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            _, status, usage = os.wait4(process, 0)
        finally:
            os.close(handle)
        blocks, files = self._clean()
        return ANSWER.pack(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, blocks, files)

    def _clean(self) -> tuple[int, int]:
        """Replaces the work folder if anything was left in it. Returns what was free in it, (-1, -1) if clean."""
        if not os.listdir(root.WORK):
            return -1, -1
        space = os.statvfs(root.WORK)
        os.chdir("/")
        root.drop_work()
        root.mount_work(self._file_mb)
        os.chdir(root.WORK)
        return space.f_bfree, space.f_ffree


def _ruleset() -> int:
    shown = [f"/{name}" for name in os.listdir("/") if name not in ("box", "dev", "tmp")]
    devices = [f"/dev/{name}" for name in root.DEVICES]
    return landlock.make_ruleset(tuple(shown), ("/box", *devices))
