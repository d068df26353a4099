"""The local sandbox: programs in jails on this machine, without a daemon, without root, without set-uid."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path

from proctor.sandbox import runner
from proctor.sandbox.client import RunnerClient, exchange, run_on
from proctor.sandbox.core import Exam, Execution, IsolationError, PoolError, Program
from proctor.sandbox.local import probes, proof
from proctor.sandbox.local.proof import LayerReport
from proctor.sandbox.local.setting import MODES, Setting

_PACKAGE_ROOT = str(Path(__file__).absolute().parents[3])
_START_S, _END_S = 90.0, 10.0
# What programs commonly import: in the zygote's memory, so that a submission need not read and run it again.
COMMON_MODULES = (
    "bisect",
    "cmath", "collections", "copy", "datetime", "decimal", "enum", "fractions", "functools", "hashlib",
    "heapq", "io", "itertools", "json", "math", "operator", "random", "re", "statistics", "string", "typing",
)  # fmt: skip
_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ld.so.cache",
)


class _ProcessLink:
    """A runner as a child process, and the socket to it."""

    def __init__(self, setting: Setting, slots: int) -> None:
        ours, theirs = socket.socketpair()
        python = os.path.realpath(sys.executable)
        command = [python, "-I", "-S", "-X", "utf8", runner.__file__, str(theirs.fileno()), _PACKAGE_ROOT]
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
        self.group = ""  # the control group that counts what slots use
        self._pid = os.getpid()
        try:
            self._set_up(setting, slots)
        except BaseException:
            self.close()
            raise

    def _set_up(self, setting: Setting, slots: int) -> None:
        self._socket.settimeout(_START_S)
        answer, _ = exchange(self, {"op": "setup", "setting": setting.as_dict(), "slots": slots})
        self.group = str(answer["group"])
        self._socket.settimeout(None)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, most: int) -> bytes:
        return self._socket.recv(most)

    def close(self) -> None:
        self._socket.close()
        if self._pid != os.getpid():
            return  # a fork of the host has no such child
        try:
            self._process.wait(_END_S)  # it has seen the end of its link, and clears up
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class LocalSandbox:
    """Runs hostile programs in jails. Thread-safe; a fork of the host gets a runner of its own.

    Args:
        slots: how many programs run at once; None: one for each processor this process may use.
        isolation: "full", or by name what is to do without some layer: see `proctor sandbox doctor`.
        readable: more folders of the host that programs may read, e.g. a compiler's.
        packages: names of installed distributions that Python programs may import, with what they require.

    Raises (from `run` and `exam`, which start the runner): IsolationError, PoolError.
    """

    def __init__(
        self,
        slots: int | None = None,
        isolation: str = "full",
        *,
        readable: Sequence[str] = (),
        packages: Sequence[str] = (),
    ) -> None:
        if isolation not in MODES:
            raise IsolationError(f"isolation {isolation!r} is unknown; known are {', '.join(MODES)}")
        self._slots = slots or len(os.sched_getaffinity(0))
        self._isolation = isolation
        self._readable = tuple(readable)
        self._packages = tuple(packages)
        self._modules: tuple[str, ...] = ()
        self._work: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._client = RunnerClient(self._connect)
        _LIVE.add(self)

    def run(self, program: Program) -> Execution:
        """One program. Never raises for what the program does."""
        return self.run_many([program])[0]

    def run_many(self, programs: Iterable[Program]) -> list[Execution]:
        """Results in order; as many at once as there are slots."""
        programs = list(programs)
        self._make_callable(programs)
        return self._client.run_many(programs)

    def exam(self, examiner: Program, candidate: Program) -> Exam:
        """Two programs in jails of their own, joined by a socket; only the examiner's report is a verdict."""
        return self.exam_many([(examiner, candidate)])[0]

    def exam_many(self, pairs: Iterable[tuple[Program, Program]]) -> list[Exam]:
        """Exams of (examiner, candidate), in order; those with one `keep` share examiner processes."""
        pairs = list(pairs)
        self._make_callable([program for pair in pairs for program in pair])
        return self._client.exam_many(pairs)

    def close(self) -> None:
        """Ends the runner and all that it runs. The next call would start another."""
        self._client.close()
        if self._work is not None:
            self._work.cleanup()
            self._work = None

    def __enter__(self) -> LocalSandbox:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _make_callable(self, programs: Sequence[Program]) -> None:
        """Has the modules of programs' entries imported: by the next runner, or by the present one."""
        for name in {program.entry.partition(":")[0] for program in programs if program.entry}:
            with self._lock:
                if name in self._modules:
                    continue
                if self._client.is_connected:
                    self._client.import_module(name)
                self._modules = (*self._modules, name)

    def prove(self) -> list[LayerReport]:
        """Attacks the jail from inside and reports layer by layer, without refusing anything."""
        link = self._start()
        try:
            reports = proof.prove(self._setting(), lambda program: run_on(link, program))
            return [*reports, proof.report_totals(link.group)]
        finally:
            link.close()

    def _connect(self) -> _ProcessLink:
        """Starts a runner; the first with this isolation in this process must prove it beforehand."""
        link = self._start()
        if self._isolation not in _PROVED:
            try:
                setting = self._setting()
                proof.require(setting, proof.prove(setting, lambda program: run_on(link, program)))
            except BaseException:
                link.close()
                raise
            _PROVED.add(self._isolation)
        return link

    def _start(self) -> _ProcessLink:
        setting = self._setting()
        try:
            return _ProcessLink(setting, self._slots)
        except PoolError as error:
            self._modules = ()  # one of them may be the reason, and shall not be the next start's as well
            if "ImportError" in str(error) or "ModuleNotFoundError" in str(error):
                raise
            raise proof.explain_failure(setting, _PACKAGE_ROOT, str(error)) from error

    def _work_folder(self) -> str:
        """Without namespaces submissions write in a folder of the host's; it goes when the sandbox goes."""
        if self._work is None:
            self._work = tempfile.TemporaryDirectory(prefix="proctor-", ignore_cleanup_errors=True)
            Path(self._work.name).chmod(0o711)  # slots of root have identities of their own
        return self._work.name

    def _setting(self) -> Setting:
        base = os.path.realpath(sys.base_prefix)
        folders = {path for name in ("purelib", "platlib") for path in [sysconfig.get_path(name)] if path}
        folders |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
        library = [sysconfig.get_path("stdlib", vars={"base": base, "installed_base": base})]
        library.append(str(Path(library[0]) / "lib-dynload"))
        return Setting(
            isolation=self._isolation,
            readable=(*_SYSTEM, base, *self._readable),
            masked=tuple(sorted(folders)),
            search_path=tuple(path for path in [*library, *sys.path, _PACKAGE_ROOT] if path),
            inner_path=tuple(library),
            work="" if self._isolation in ("full", "no-landlock") else self._work_folder(),
            modules=(*COMMON_MODULES, probes.__name__, *self._modules),
        )


_PROVED: set[str] = set()  # kinds of isolation that have been attacked in vain, in this process
_LIVE: weakref.WeakSet[LocalSandbox] = weakref.WeakSet()


def _leave_after_fork() -> None:
    for sandbox in list(_LIVE):
        sandbox._lock = threading.Lock()
        sandbox._client.after_fork()


os.register_at_fork(after_in_child=_leave_after_fork)
