"""The fork server: a lean interpreter that imports once and forks workers that are ready at once.

It runs no task. It starts from `python -c`, never from the caller's `__main__`, so it has none of the
caller's memory, threads, descriptors, CUDA contexts or environment. It has one thread, which makes fork safe
and makes PR_SET_PDEATHSIG in its workers mean "when the server is gone".

It ends when the caller closes the connection or is gone, however that came about: it polls a pidfd of the
caller, so it does not matter who else still holds the other end of the connection.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from proctor.sandbox import worker_child
from proctor.sandbox.worker_walls import Walls

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SEND_TIMEOUT_S = 30.0  # a caller that was stopped reads again; one that never reads is gone


def main(arguments: str) -> NoReturn:
    """Serves until the caller is gone. The arguments are JSON, as `worker_launch` writes them."""
    settings = json.loads(arguments)
    control = socket.socket(fileno=settings["control"])
    control.settimeout(_SEND_TIMEOUT_S)
    try:
        server = Server(control, settings["caller"], settings["memory_mb"])
        server.load(settings["imports"])
        server.say("ready")
        server.run()
    except BaseException as error:  # the process's border: the caller shows it to whoever waits
        with contextlib.suppress(OSError):
            control.send(json.dumps(["failed", f"{type(error).__name__}: {error}"[:2000]]).encode())
    os._exit(0)


class Server:
    """Forks on request, and reports each worker's end."""

    def __init__(self, control: socket.socket, caller: int, memory_mb: int) -> None:
        self._control = control
        self._caller = caller
        self._memory_mb = memory_mb
        self._numbers: dict[int, int] = {}  # pid -> the caller's number for it
        self._pid = os.getpid()
        self._walls = Walls()
        self._libc = ctypes.CDLL(None, use_errno=True)
        # What a worker leaves behind becomes our child, so it can be found and killed.
        self._prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._wakeup, self._wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def run(self) -> None:
        """Returns when the caller is gone, or has closed the connection; then no worker is left."""
        poll = select.poll()
        for descriptor in (self._control.fileno(), self._caller, self._wakeup):
            poll.register(descriptor, select.POLLIN)
        try:
            while True:
                ready = {descriptor for descriptor, _ in poll.poll()}
                if self._caller in ready:
                    break
                if self._wakeup in ready:
                    self._reap()
                if self._control.fileno() in ready and not self._obey():
                    break
        finally:
            self._end_all()

    def load(self, modules: list[str]) -> None:
        """Imports, and ends with the caller even if an import never does.

        The signal comes when the thread that started us ends, which is the one that speaks to us: when it has
        ended, nobody is there to hear. Outside of imports it would keep us from reaping the workers.
        """
        self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if select.select([self._caller], [], [], 0)[0]:
            os._exit(0)  # it was gone before: no signal will come
        try:
            for module in modules:
                importlib.import_module(module)
        finally:
            self._prctl(_PR_SET_PDEATHSIG, 0)
            self._freeze()

    def say(self, *message: object, descriptors: tuple[int, ...] = ()) -> None:
        socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)

    def _obey(self) -> bool:
        """Does what the caller asks for in one message; False at the end of the connection."""
        message = self._control.recv(1 << 20)
        if not message:
            return False
        order, *details = json.loads(message)
        if order == "fork":
            self._fork(*details)
        elif order == "import":
            self._import(*details)
        return True

    def _import(self, module: str, path: list[str]) -> None:
        sys.path[:] = path
        with contextlib.suppress(BaseException):  # the task will meet the same error, and report it
            self.load([module])

    def _freeze(self) -> None:
        """Keeps the collector of a worker from touching, and so copying, all that it shares with us."""
        gc.collect()
        gc.freeze()
        # Not ru_maxrss: that of a process made by vfork and exec starts from its parent's.
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self._own_kb = pages * resource.getpagesize() // 1024

    def _fork(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError as error:
            self.say("unforked", f"{type(error).__name__}: {error}")
            return
        if pid == 0:
            self._become_worker(ours, theirs)
        self._numbers[pid] = number
        pidfd = os.pidfd_open(pid)
        self.say("worker", number, pid, descriptors=(ours.fileno(), pidfd))
        os.close(pidfd)
        ours.close()
        theirs.close()

    def _become_worker(self, ours: socket.socket, theirs: socket.socket) -> NoReturn:
        try:
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            self._prctl(_PR_SET_NO_NEW_PRIVS, 1)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (self._caller, self._wakeup, self._wakeup_write):
                os.close(descriptor)
            self._control.close()
            ours.close()
            if os.getppid() == self._pid:  # else it died before prctl: no signal will come
                worker_child.serve(theirs, self._memory_mb, self._walls)
        except BaseException:  # the process's border: the caller reads stderr when workers do not start
            traceback.print_exc()
        finally:
            os._exit(70)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup, 4096)
        worker_ended = False
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    break
                number = self._numbers.pop(pid, None)
                if number is not None:
                    worker_ended = True
                    # A fork's peak starts from what it was forked with.
                    grown_kb = usage.ru_maxrss - self._own_kb
                    self.say("exit", number, os.waitstatus_to_exitcode(status), grown_kb)
        if worker_ended:
            self._kill_orphans()

    def _end_all(self) -> None:
        """Reaped here: where the first process of a container reaps nobody, they would stay zombies."""
        with contextlib.suppress(ChildProcessError):
            while True:
                for pid in self._children():
                    os.kill(pid, signal.SIGKILL)
                pid, _ = os.waitpid(-1, 0)
                self._numbers.pop(pid, None)

    def _kill_orphans(self) -> None:
        for pid in self._children():
            if pid not in self._numbers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _prctl(self, option: int, value: int) -> None:
        if self._libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")

    def _children(self) -> list[int]:
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        with contextlib.suppress(OSError):
            return [int(pid) for pid in children.read_text(encoding="ascii").split()]
        return list(self._numbers)
