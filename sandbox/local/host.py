"""The local sandbox: programs in jails on this machine, without a daemon, without root, without set-uid."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path

from proctor.sandbox.client import RunnerClient, run_on
from proctor.sandbox.core import Exam, Execution, IsolationError, PoolError, Program
from proctor.sandbox.local import proof
from proctor.sandbox.local.layout import PACKAGE_ROOT, make_setting
from proctor.sandbox.local.link import ProcessLink
from proctor.sandbox.local.proof import LayerReport
from proctor.sandbox.local.setting import MODES, Setting


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

    def _connect(self) -> ProcessLink:
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

    def _start(self) -> ProcessLink:
        setting = self._setting()
        try:
            return ProcessLink(setting, self._slots)
        except PoolError as error:
            self._modules = ()  # one of them may be the reason, and shall not be the next start's as well
            if "ImportError" in str(error) or "ModuleNotFoundError" in str(error):
                raise
            raise proof.explain_failure(setting, PACKAGE_ROOT, str(error)) from error

    def _work_folder(self) -> str:
        """Without namespaces submissions write in a folder of the host's; it goes when the sandbox goes."""
        if self._work is None:
            self._work = tempfile.TemporaryDirectory(prefix="proctor-", ignore_cleanup_errors=True)
            Path(self._work.name).chmod(0o711)  # slots of root have identities of their own
        return self._work.name

    def _setting(self) -> Setting:
        return make_setting(
            self._isolation,
            readable=self._readable,
            packages=self._packages,
            modules=self._modules,
            work="" if self._isolation in ("full", "no-landlock") else self._work_folder(),
        )


_PROVED: set[str] = set()  # kinds of isolation that have been attacked in vain, in this process
_LIVE: weakref.WeakSet[LocalSandbox] = weakref.WeakSet()


def _leave_after_fork() -> None:
    for sandbox in list(_LIVE):
        sandbox._lock = threading.Lock()
        sandbox._client.after_fork()


os.register_at_fork(after_in_child=_leave_after_fork)
