"""A runner as a child process of the host, and the socket to it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from proctor.sandbox import runner
from proctor.sandbox.client import exchange
from proctor.sandbox.local.layout import PACKAGE_ROOT
from proctor.sandbox.local.setting import Setting

_START_S, _END_S = 90.0, 10.0


class ProcessLink:
    """Started, by exec, with the link; ended with it. `group` names the control group that counts, if any.

    `processors`: one for each slot, to which it may keep it; or none. Raises PoolError where the runner cannot
    be set up.
    """

    def __init__(self, setting: Setting, slots: int, processors: Sequence[int] = ()) -> None:
        if not setting.uses_namespaces:
            setting = dataclasses.replace(setting, work=tempfile.mkdtemp(prefix="proctor-"))
            Path(setting.work).chmod(0o711)  # slots of root have identities of their own
        self._work = setting.work
        self.modules = set(setting.modules)  # what its zygote imports
        ours, theirs = socket.socketpair()
        python = os.path.realpath(sys.executable)
        command = [python, "-I", "-S", "-X", "utf8", runner.__file__, str(theirs.fileno()), PACKAGE_ROOT]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env={},
            pass_fds=[theirs.fileno()],
            cwd="/",
            start_new_session=True,  # a Ctrl-C on the host's terminal is the host's to handle
        )
        theirs.close()
        self._socket = ours
        self._host = os.getpid()
        try:
            self.group = self._set_up(setting, slots, processors)
        except BaseException:
            self.close()
            raise

    def _set_up(self, setting: Setting, slots: int, processors: Sequence[int]) -> str:
        self._socket.settimeout(_START_S)
        header = {"op": "setup", "setting": setting.as_dict(), "slots": slots, "processors": [*processors]}
        answer, _ = exchange(self, header)
        self._socket.settimeout(None)
        return str(answer["group"])

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, most: int) -> bytes:
        return self._socket.recv(most)

    def close(self) -> None:
        """In a fork of the host, which has no such child, only its copy of the socket goes."""
        if self._host != os.getpid():
            self._socket.close()
            return
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads from it
        self._socket.close()
        try:
            self._process.wait(_END_S)  # it has seen the end of its link, and clears up
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._work:
            shutil.rmtree(self._work, ignore_errors=True)  # the runner has, unless it was killed
