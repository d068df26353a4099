"""The local sandbox: programs in jails on this machine, without a daemon, without root, without set-uid."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from functools import partial

from proctor.sandbox.client import RunnerClient, exam_many, run_many, run_on
from proctor.sandbox.core import Exam, Execution, IsolationError, PoolError, Program
from proctor.sandbox.local import proof
from proctor.sandbox.local.layout import PACKAGE_ROOT, make_setting
from proctor.sandbox.local.link import ProcessLink
from proctor.sandbox.local.proof import LayerReport
from proctor.sandbox.local.setting import MODES, Setting

_SLOTS_PER_RUNNER = 8  # a runner spends half a millisecond on a program, a slot four


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
        self._lock = threading.Lock()
        self._clients = [RunnerClient(partial(self._connect, slots)) for slots in _shares(self._slots)]
        _LIVE.add(self)

    def run(self, program: Program) -> Execution:
        """One program. Never raises for what the program does."""
        return self.run_many([program])[0]

    def run_many(self, programs: Iterable[Program]) -> list[Execution]:
        """Results in order; as many at once as there are slots."""
        programs = list(programs)
        self._make_callable(programs)
        return run_many(self._rotated(), programs)

    def exam(self, examiner: Program, candidate: Program) -> Exam:
        """Two programs in jails of their own, joined by a socket; only the examiner's report is a verdict."""
        return self.exam_many([(examiner, candidate)])[0]

    def exam_many(self, pairs: Iterable[tuple[Program, Program]]) -> list[Exam]:
        """Exams of (examiner, candidate), in order; those with one `keep` share examiner processes."""
        pairs = list(pairs)
        self._make_callable([program for pair in pairs for program in pair])
        return exam_many(self._rotated(), pairs)

    def close(self) -> None:
        """Ends the runner and all that it runs. The next call would start another."""
        for client in self._clients:
            client.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the interpreter's end half of it may be gone already
            self.close()

    def __enter__(self) -> LocalSandbox:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _make_callable(self, programs: Sequence[Program]) -> None:
        """Has the modules of programs' entries imported: by the next runner, or by the present one."""
        needed = {program.entry.partition(":")[0] for program in programs if program.entry}
        with self._lock:
            for name in sorted(needed.difference(self._modules)):
                self._load(name)
                self._modules = (*self._modules, name)

    def _load(self, module: str) -> None:
        for client in self._clients:
            if client.is_connected:
                client.import_module(module)

    def prove(self) -> list[LayerReport]:
        """Attacks the jail from inside and reports layer by layer, without refusing anything."""
        link = self._start(1)
        try:
            return [*self._attack(link), proof.report_totals(link.group)]
        finally:
            link.close()

    def _rotated(self) -> list[RunnerClient]:
        """The clients, each call beginning with another: single programs are spread as well."""
        with self._lock:
            self._clients.append(self._clients.pop(0))
            return list(self._clients)

    def _connect(self, slots: int) -> ProcessLink:
        """Starts a runner; the first with this isolation in this process must prove it beforehand."""
        link = self._start(slots)
        if self._isolation not in _PROVED:
            try:
                proof.require(self._setting(), self._attack(link))
            except BaseException:
                link.close()
                raise
            _PROVED.add(self._isolation)
        return link

    def _attack(self, link: ProcessLink) -> list[LayerReport]:
        setting = self._setting()
        try:
            return proof.prove(setting, lambda program: run_on(link, program))
        except PoolError as error:
            raise proof.explain_failure(setting, PACKAGE_ROOT, str(error)) from error

    def _start(self, slots: int) -> ProcessLink:
        setting = self._setting()
        try:
            return ProcessLink(setting, slots)
        except PoolError as error:
            self._modules = ()  # one of them may be the reason, and shall not be the next start's as well
            if "ImportError" in str(error) or "ModuleNotFoundError" in str(error):
                raise
            raise proof.explain_failure(setting, PACKAGE_ROOT, str(error)) from error

    def _setting(self) -> Setting:
        return make_setting(
            self._isolation, readable=self._readable, packages=self._packages, modules=self._modules
        )


def _shares(slots: int) -> list[int]:
    """Slots for each of as many runners as can feed them."""
    runners = -(-slots // _SLOTS_PER_RUNNER)
    return [slots // runners + (index < slots % runners) for index in range(runners)]


_PROVED: set[str] = set()  # kinds of isolation that have been attacked in vain, in this process
_LIVE: weakref.WeakSet[LocalSandbox] = weakref.WeakSet()


def _leave_after_fork() -> None:
    for sandbox in list(_LIVE):
        sandbox._lock = threading.Lock()
        for client in sandbox._clients:
            client.after_fork()


os.register_at_fork(after_in_child=_leave_after_fork)
