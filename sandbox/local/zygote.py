"""The process that slots are forked from. Started by exec, so that nothing of the caller is in its memory.

It imports what submissions commonly need, builds the minimal root and moves into it, and then forks slots
when the runner asks. It never sees a payload: what it holds, any submission may read.

    python -I -S zygote.py DESCRIPTOR ROOT    DESCRIPTOR: the runner's socket; ROOT: where `proctor` lies
"""

# ruff: noqa: PTH -- pathlib would fatten the memory that submissions are forked from

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys

if __name__ == "__main__":
    sys.path.append(sys.argv[2])

from proctor.sandbox.local import namespaces, root, slot, syscalls
from proctor.sandbox.local.setting import Setting

MAX_MESSAGE = 1 << 18


def main(descriptor: int) -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
    link = socket.socket(fileno=descriptor)
    setting = Setting.from_dict(json.loads(link.recv(MAX_MESSAGE)))
    try:
        zygote = Zygote(setting)
    except Exception as error:  # the border of this process: the runner turns it into a PoolError
        link.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        return
    link.send(json.dumps({"ready": True}).encode())
    zygote.serve(link)


class Zygote:
    """Prepared memory and, where there are namespaces, the prepared root."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._privileged = namespaces.is_privileged()
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._id_base = namespaces.id_base() if self._privileged else None
        import_modules(setting)
        if setting.uses_namespaces:
            namespaces.enter_own_mounts(privileged=self._privileged)
            root.build(list(setting.readable), list(setting.masked), list(setting.unmasked))
            root.seal()
        sys.path[:] = setting.inner_path
        gc.collect()
        gc.freeze()  # a collection in a submission shall not touch, and so copy, these pages

    def serve(self, link: socket.socket) -> None:
        """Forks a slot for each message (its number, and its socket beside it); answers with its process id."""
        while True:
            message, descriptors, _, _ = socket.recv_fds(link, MAX_MESSAGE, 1)
            if not message:
                return
            answer = self._fork_slot(json.loads(message)["slot"], socket.socket(fileno=descriptors[0]), link)
            link.send(json.dumps(answer).encode())

    def _fork_slot(self, number: int, control: socket.socket, link: socket.socket) -> dict[str, object]:
        gate, opener = socket.socketpair()
        flags = namespaces.OF_SLOT | syscalls.CLONE_NEWUSER if self._setting.uses_namespaces else 0
        process = syscalls.clone(flags)
        if process == 0:
            link.close()
            opener.close()
            os.close(self._proc)
            slot.main(control, gate, self._setting, privileged=self._privileged)
            os._exit(0)
        control.close()
        gate.close()
        try:
            if self._setting.uses_namespaces:
                self._map(process, number)
            opener.send(b"go")
        finally:
            opener.close()
        return {"pid": process}

    def _map(self, process: int, number: int) -> None:
        folder = os.open(str(process), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._proc)
        try:
            maps = namespaces.slot_maps(number, self._id_base)
            namespaces.write_maps(folder, maps, maps, may_set_groups=self._privileged)
        finally:
            os.close(folder)


def import_modules(setting: Setting) -> None:
    sys.path[:] = setting.search_path
    for name in setting.modules:
        importlib.import_module(name)


if __name__ == "__main__":
    main(int(sys.argv[1]))
