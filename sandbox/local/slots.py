"""The runner's hold on its zygotes and slots: starting them, noticing that one is gone, taking it away."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from proctor.sandbox.core import PoolError
from proctor.sandbox.local import cgroup, watch
from proctor.sandbox.local.setting import MAX_MESSAGE, Setting

_ZYGOTE = str(Path(__file__).with_name("zygote.py"))
# Equal hashes everywhere, so that the order of a set is the same in every run. That
# rules -I out, which ignores the environment; there is nothing else in it.
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
_FLAGS = ["-s", "-S", "-X", "utf8"] + (["-P"] if sys.version_info >= (3, 11) else [])
_START_S = 60.0  # imports and mounts on a busy machine
_END_S = 5.0  # for slots to be taken down


@dataclass(slots=True, eq=False)
class Zygote:
    """A zygote process and the socket on which it forks slots for us."""

    process: subprocess.Popen[bytes]
    link: socket.socket
    slots: int = 0  # that live
    is_retired: bool = False

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def fork_slot(self, number: int, *, rehearses: bool) -> tuple[int, socket.socket]:
        """(process id, socket) of a new slot. Raises OSError or ValueError where the zygote is gone."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            socket.send_fds(
                self.link, [json.dumps({"slot": number, "rehearses": rehearses}).encode()], [theirs.fileno()]
            )
            answer = json.loads(self.link.recv(MAX_MESSAGE))
            if "error" in answer:
                raise PoolError(f"a slot could not be forked: {answer['error']}")
        except (OSError, ValueError, PoolError):
            ours.close()
            raise
        finally:
            theirs.close()
        return int(answer["pid"]), ours

    def close(self) -> None:
        """Lets it reap its slots, which have been killed, so that they are nobody's zombies; then it ends."""
        self.link.close()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_zygote(setting: Setting, package_root: str) -> Zygote:
    """Executes a zygote in a fresh interpreter, without our environment. Raises PoolError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, *_FLAGS, _ZYGOTE, str(theirs.fileno()), package_root]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, env=_ENVIRONMENT, pass_fds=[theirs.fileno()], cwd="/"
    )
    theirs.close()
    ours.settimeout(_START_S)
    try:
        ours.send(json.dumps(setting.as_dict()).encode())
        answer = json.loads(ours.recv(MAX_MESSAGE) or b"{}")
    except OSError as error:
        answer = {"error": str(error)}
    if not answer.get("ready"):
        ours.close()
        process.kill()
        process.wait()
        raise PoolError(f"the zygote did not start: {answer.get('error', 'it ended without a word')}")
    return Zygote(process, ours)


@dataclass(slots=True, eq=False)
class Slot:
    """A slot, seen from outside."""

    number: int
    pid: int  # in the runner's process namespace
    handle: int  # pidfd: stays this process, however often the number is given out again
    control: socket.socket
    zygote: Zygote
    children: watch.Children
    group: cgroup.Group | None = None
    processor: int | None = None  # the one it is kept to

    def stay_on(self, processor: int | None) -> None:
        """Keeps the slot and what runs in it to one processor. None: wherever this process may be."""
        if processor == self.processor:
            return
        self.processor = processor
        allowed = os.sched_getaffinity(0) if processor is None else {processor}
        for process in (self.pid, *self.children.now()):
            with contextlib.suppress(OSError):  # it has ended, or the processor is not ours any more
                os.sched_setaffinity(process, allowed)

    def end_submission(self) -> None:
        """Kills the process that the slot waits for: number 1 of its namespace, whose end is all others'."""
        for process in self.children.now():
            with contextlib.suppress(ProcessLookupError):
                self._end(process)

    def _end(self, process: int) -> None:
        """It cannot be another one, though its number be given out again: it still is the slot's child once we
        hold a pidfd of it. Raises ProcessLookupError.
        """
        handle = os.pidfd_open(process)
        try:
            if process in self.children.now():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


@dataclass(slots=True, eq=False)
class Stable:
    """Makes slots, and clears away what belongs to one that is given up."""

    setting: Setting
    package_root: str
    _delegation: cgroup.Delegation | None = None
    _zygote: Zygote | None = None
    _numbers: set[int] = field(default_factory=set)

    def open(self) -> str:
        """Starts the first zygote. Returns which control group counts, "" if none. Raises PoolError."""
        if not self.setting.uses_namespaces:
            Path(self.setting.work).mkdir(mode=0o711, parents=True, exist_ok=True)
        self._delegation = cgroup.find_delegation()
        self._zygote = start_zygote(self.setting, self.package_root)
        return "" if self._delegation is None else self._delegation.name

    def renew(self, setting: Setting) -> None:
        """From now on slots are made after another plan; those at work may end it. Raises PoolError."""
        fresh = start_zygote(setting, self.package_root)
        self.setting = setting
        if self._zygote is not None:
            self._retire(self._zygote)
        self._zygote = fresh

    def make_slot(self, *, rehearses: bool) -> Slot:
        """Raises PoolError where even a new zygote forks none.

        `rehearses`: it is for many submissions, each of which is a fork, and not for an examiner that stays.
        """
        for _ in range(2):
            zygote = self._living_zygote()
            number = next(n for n in range(1 << 20) if n not in self._numbers)
            try:
                pid, control = zygote.fork_slot(number, rehearses=rehearses)
            except (OSError, ValueError):
                zygote.process.kill()
                zygote.process.wait()
                continue
            zygote.slots += 1
            self._numbers.add(number)
            slot = Slot(number, pid, os.pidfd_open(pid), control, zygote, watch.Children(pid))
            slot.group = self._make_group(slot)
            return slot
        raise PoolError("the zygote ends instead of forking slots; its complaint is on standard error")

    def drop_slot(self, slot: Slot) -> None:
        """Ends a slot and, as it is number 1 of its namespace, all that it started."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(slot.handle, signal.SIGKILL)
        slot.control.close()
        slot.children.close()
        if slot.group is not None:
            _wait_for_end(slot.handle)
            slot.group.remove()
        os.close(slot.handle)
        self._numbers.discard(slot.number)
        slot.zygote.slots -= 1
        if slot.zygote.is_retired:
            self._retire(slot.zygote)

    def close(self) -> None:
        if self._zygote is not None:
            self._zygote.close()
        if self.setting.work:
            shutil.rmtree(self.setting.work, ignore_errors=True)
        if self._delegation is not None:
            self._delegation.close()

    def _living_zygote(self) -> Zygote:
        if self._zygote is None or not self._zygote.is_alive:
            if self._zygote is not None:
                self._zygote.close()
            self._zygote = start_zygote(self.setting, self.package_root)
        return self._zygote

    def _retire(self, zygote: Zygote) -> None:
        """A zygote's end is that of its slots: it stays until the last of them is gone."""
        zygote.is_retired = True
        if zygote.slots == 0:
            zygote.close()

    def _make_group(self, slot: Slot) -> cgroup.Group | None:
        if self._delegation is None:
            return None
        group = self._delegation.make_group(slot.number)
        group.add(slot.pid)
        return group


def _wait_for_end(handle: int) -> None:
    """A moment for the kernel to take the processes down: a group that is not empty cannot be removed."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll(2000)
