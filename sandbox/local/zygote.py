"""The process that slots are forked from. Started by exec, so that nothing of the caller is in its memory.

It imports what submissions commonly need, builds the minimal root and moves into it, and then forks slots
when the runner asks. It never sees a payload: what it holds, any submission may read.

    python -s -S zygote.py DESCRIPTOR ROOT    DESCRIPTOR: the runner's socket; ROOT: where `proctor` lies
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import socket
import sys
import traceback
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path.append(sys.argv[2])

from proctor.sandbox.local import namespaces, root, slot, syscalls
from proctor.sandbox.local.setting import MAX_MESSAGE, Setting
from proctor.sandbox.local.slot import Plan


def main(descriptor: int) -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
    _be_patient()
    link = socket.socket(fileno=descriptor)
    setting = Setting.from_dict(json.loads(link.recv(MAX_MESSAGE)))
    try:
        zygote = Zygote(setting)
    except Exception as error:  # the border of this process: the runner turns it into a PoolError
        link.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        return
    link.send(json.dumps({"ready": True}).encode())
    zygote.serve(link)


def _be_patient() -> None:
    """No slot and no submission takes the processor from who has it, just because it was sent something.

    An examiner on the candidate's processor reads ten answers when that waits, and not one by one as they
    come: that is half of an exam's changes of process. See sched(7), SCHED_BATCH.
    """
    with contextlib.suppress(OSError):  # refused by some containers: only slower
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class Zygote:
    """Prepared memory and, where there are namespaces, the prepared root."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._privileged = namespaces.is_privileged()
        self._id_base = namespaces.id_base() if self._privileged else None
        # Without user namespaces root's slots stay root, and its submissions take identities of the host.
        self._nests_users = setting.uses_namespaces and (not self._privileged or namespaces.may_nest_users())
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.umask(0o022)
        os.environ.clear()
        for item in setting.environment:
            name, _, value = item.partition("=")
            os.environ[name] = value
        import_modules(setting)
        random.seed(0)  # the same numbers for every run: a verdict shall not depend on luck
        if setting.uses_namespaces:
            namespaces.enter_own_mounts(privileged=self._privileged)
            root.build(list(setting.readable), list(setting.masked), list(setting.unmasked))
        sys.path[:] = setting.inner_path
        gc.collect()
        gc.freeze()  # a collection in a submission shall not touch, and so copy, these pages

    def serve(self, link: socket.socket) -> None:
        """Forks a slot for each message (its number; its socket beside it); answers with its process id."""
        while True:
            message, descriptors, _, _ = socket.recv_fds(link, MAX_MESSAGE, 1)
            if not message:
                _reap(0)
                return
            _reap(os.WNOHANG)
            with socket.socket(fileno=descriptors[0]) as control:
                answer = self._answer(json.loads(message), control, link)
            link.send(json.dumps(answer).encode())

    def _answer(
        self, order: dict[str, Any], control: socket.socket, link: socket.socket
    ) -> dict[str, object]:
        try:
            return {"pid": self._fork_slot(self._plan(**order), control, link)}
        except OSError as error:
            return {"error": str(error)}

    def _fork_slot(self, plan: Plan, control: socket.socket, link: socket.socket) -> int:
        gate, opener = socket.socketpair()
        flags = namespaces.OF_SLOT if self._setting.uses_namespaces else 0
        with gate, opener:
            process = syscalls.clone(flags | (syscalls.CLONE_NEWUSER if self._nests_users else 0))
            if process == 0:
                link.close()
                opener.close()
                _become_slot(control, gate, self._proc, self._setting, plan)
            if self._nests_users:
                self._map(process, plan.number)
            opener.send(b"go")
        return process

    def _plan(self, slot: int, *, rehearses: bool) -> Plan:
        if self._nests_users:
            box_id = namespaces.BOX_ID if self._privileged else None
        else:
            box_id = None if self._id_base is None else namespaces.submission_id(slot, self._id_base)
        return Plan(slot, box_id, becomes_root=self._nests_users and self._privileged, rehearses=rehearses)

    def _map(self, process: int, number: int) -> None:
        folder = os.open(str(process), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._proc)
        try:
            maps = namespaces.slot_maps(number, self._id_base)
            namespaces.write_maps(folder, maps, maps, may_set_groups=self._privileged)
        finally:
            os.close(folder)


def _become_slot(
    control: socket.socket, gate: socket.socket, proc: int, setting: Setting, plan: Plan
) -> NoReturn:
    try:
        slot.main(control, gate, proc, setting, plan)
    except BaseException:  # the border of this process, which must not return into the zygote's code
        traceback.print_exc()
    finally:
        os._exit(1)


def _reap(options: int) -> None:
    """Takes note of slots that have ended (0: of all); whoever started them holds a pidfd and has seen it."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def import_modules(setting: Setting) -> None:
    sys.path[:] = setting.search_path
    for name in setting.modules:
        importlib.import_module(name)


if __name__ == "__main__":
    main(int(sys.argv[1]))
