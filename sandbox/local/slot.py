"""A slot: one place to run submissions, one after the other, in namespaces that are entered once.

It is number 1 of a process namespace of its own, so its end is the end of all it started. It passes
descriptors on and waits; payloads, outputs and reports never enter its memory, because every submission is
a fork of it and could read them there. When in doubt it leaves: the runner makes a new one.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH110, PTH116, PTH120, PTH208

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from proctor.sandbox.core import Limits
from proctor.sandbox.local import (
    child,
    descriptors,
    landlock,
    orphans,
    pages,
    privileges,
    rehearsal,
    root,
    seccomp,
    syscalls,
    workplace,
)
from proctor.sandbox.local.orders import FAULT, ORDER_SIZE, pack_answer, pack_order, unpack_order
from proctor.sandbox.local.seal import Seal
from proctor.sandbox.local.setting import Setting
from proctor.sandbox.streams import give_outputs

CONTROL, OOM_SCORE, PROC = 10, 11, 12  # where the slot keeps its own descriptors
# The kernel gives out the lowest free numbers. With 0 taken and 1 to 4 free, what the runner sends in this
# order is received just where the submission expects it: standard output, error, its link, and its peer.
_MOST_DESCRIPTORS = 4
_ALL_DESCRIPTORS = _MOST_DESCRIPTORS * struct.calcsize("i")  # bytes
_DESCRIPTORS_SIZE = socket.CMSG_SPACE(_ALL_DESCRIPTORS)
_MOST_WORDS = 1 << 12


@dataclass(frozen=True, slots=True)
class Plan:
    """How one slot differs from the others."""

    number: int
    box_id: int | None  # user and group of its submissions; None: the slot's own, because it may not choose
    becomes_root: bool  # of its user namespace, where it was forked with an identity that is not mapped
    rehearses: bool  # looks what submissions write to, so that it comes with each fork


def main(control: socket.socket, gate: socket.socket, proc: int, setting: Setting, plan: Plan) -> None:
    """Runs in the fork, from the word of the zygote that identities are mapped, to the end of the slot."""
    if gate.recv(2) != b"go":
        return
    control = settle(control, proc)
    give_outputs()
    try:
        Slot(control, setting, plan).serve()
    except Exception as error:  # the border of this process: the runner hears why there will be another
        with contextlib.suppress(OSError):
            control.send(FAULT + f"{type(error).__name__}: {error}".encode()[:_MOST_WORDS])


def settle(control: socket.socket, proc: int) -> socket.socket:
    """Keeps nothing (as 0), the socket to the runner, our out-of-memory score and /proc; closes all else."""
    null = os.open("/dev/null", os.O_RDONLY)
    score = os.open("self/oom_score_adj", os.O_WRONLY, dir_fd=proc)
    kept = [descriptors.move(descriptor) for descriptor in (control.detach(), score, proc)]
    os.dup2(null, 0)
    for descriptor, target in zip(kept, (CONTROL, OOM_SCORE, PROC), strict=True):
        os.dup2(descriptor, target, inheritable=False)
    os.closerange(1, CONTROL)
    syscalls.call("close_range", PROC + 1, 0xFFFF_FFFF, 0)
    return socket.socket(fileno=CONTROL)


class Slot:
    """What is set up once; then one submission after the other."""

    def __init__(self, control: socket.socket, setting: Setting, plan: Plan) -> None:
        self._control = control
        self._has_namespaces = setting.uses_namespaces
        self._message, self._is_command = b"", False
        if plan.becomes_root:
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        if self._has_namespaces:
            socket.sethostname("box")
        self._work = _workplace(setting, plan)
        privileges.narrow()
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if not self._has_namespaces:
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        spare = 0 if plan.box_id is not None or self._has_namespaces else _own_processes()
        self._seal = Seal(
            plan.box_id, self._has_namespaces, _rulesets(setting, self._work.path), _filter(setting), spare
        )
        self._clone = syscalls.prepare_clone(syscalls.CLONE_NEWPID if self._has_namespaces else 0)
        if plan.rehearses:
            with contextlib.suppress(OSError):  # refused: forks are slower
                self._copy_what_is_written(setting.modules)
        os.close(PROC)
        privileges.limit()

    def _copy_what_is_written(self, modules: Sequence[str]) -> None:
        """Has memory that submissions write to copied with each fork. Raises OSError."""
        parts = [part for name in modules if (part := getattr(sys.modules[name], "REHEARSAL", None))]
        if not parts:
            return
        ring = descriptors.move(pages.make_ring())
        self._follow(pack_order(Limits(), is_command=False, is_counted=False))
        try:
            written = rehearsal.find_written(self._clone, self._seal, parts[0], self._work.path, PROC)
            pages.copy_with_forks(ring, written)
        except OSError:
            os.close(ring)
            raise

    def serve(self) -> None:
        """Runs one submission for each message until the runner closes the socket."""
        while True:
            message, ancillary, _, _ = self._control.recvmsg(ORDER_SIZE, _DESCRIPTORS_SIZE)
            if not message:
                return
            if message != self._message:
                self._follow(message)
            has_peer = sum(len(data) for _, _, data in ancillary) == _ALL_DESCRIPTORS
            self._control.send(self._run(has_peer=has_peer))
            self._work.clean()  # a failure here comes after the answer: it costs the slot, not the result

    def _follow(self, message: bytes) -> None:
        """Prepares for runs after another order than the last one."""
        order = unpack_order(message)
        self._work.prepare(order.file_mb)
        self._seal.set_limits(order)
        self._message, self._is_command = message, order.is_command

    def _run(self, *, has_peer: bool) -> bytes:
        """Forks, waits, and says how it ended. Whom the runner wants to end earlier it kills itself."""
        # With the highest out-of-memory score: the kernel shall take the submission, not the slot.
        os.pwrite(OOM_SCORE, b"1000", 0)
        process = self._clone()
        if process == 0:
            child.main(self._seal, self._work.path, is_command=self._is_command, has_peer=has_peer)
        os.pwrite(OOM_SCORE, b"0", 0)
        os.closerange(1, 1 + _MOST_DESCRIPTORS)
        _, status, usage = os.wait4(process, 0)
        if not self._has_namespaces:
            orphans.end_all()
        blocks, files = self._work.free_space()
        return pack_answer(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, blocks, files)


def _workplace(setting: Setting, plan: Plan) -> workplace.Workplace:
    if setting.uses_namespaces:
        return workplace.PrivateMount()
    return workplace.PlainFolder(f"{setting.work}/slot-{plan.number}", plan.box_id)


def _filter(setting: Setting) -> seccomp.Filter | None:
    if not setting.uses_seccomp:
        return None
    apart = setting.uses_namespaces
    scoped = setting.uses_landlock and landlock.abi() >= landlock.SCOPES_SIGNALS
    return seccomp.Filter(
        seccomp.submission_filter(guards_signals=not (apart or scoped), guards_limits=not apart)
    )


def _own_processes() -> int:
    """Processes and threads of our user, which the kernel counts together with a submission's.

    Where it shares our identity; some room is left for what else the user may start.
    """
    own = os.geteuid()
    count = 0
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == own:
                count += len(os.listdir(f"/proc/{name}/task"))
    return count + 256


def _rulesets(setting: Setting, work: str) -> tuple[int | None, int | None]:
    """For functions, and for commands: all that a private root shows; without one, what the setting lists.

    A command's /proc is mounted for each run, out of the reach of rules made before: its ruleset lets it read
    all of the private root.
    """
    if not setting.uses_landlock:
        return None, None
    devices = [f"/dev/{name}" for name in root.DEVICES]
    if not setting.uses_namespaces:
        shown = [path for path in (*setting.readable, *setting.unmasked) if os.path.exists(path)]
        ruleset = descriptors.move(landlock.make_ruleset(shown, [work, *devices]))
        return ruleset, ruleset
    hidden = ("box", "dev", "tmp", root.CLOSED[1:], root.CANARY[1:])
    shown = [f"/{name}" for name in os.listdir("/") if name not in hidden]
    writable = [os.path.dirname(work), *devices]  # the work folder itself is mounted anew; its parent stays
    return (
        descriptors.move(landlock.make_ruleset(shown, writable, listable=["/"])),
        descriptors.move(landlock.make_ruleset(["/"], writable)),
    )
