"""The local sandbox: programs in jails on this machine, without a daemon, without root, without set-uid."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import cycle
from typing import NamedTuple, TypeVar

from proctor.sandbox import processors
from proctor.sandbox.client import RunnerClient, exam_many, run_many, run_on
from proctor.sandbox.core import Exam, Execution, IsolationError, PoolError, Program
from proctor.sandbox.local import proof
from proctor.sandbox.local.layout import PACKAGE_ROOT, make_setting
from proctor.sandbox.local.link import ProcessLink
from proctor.sandbox.local.setting import MODES, Setting

Asked = TypeVar("Asked")
_SLOTS_PER_RUNNER = 8  # a runner spends half a millisecond on a program, a slot four


class Share(NamedTuple):
    """What one runner has of a sandbox's slots; and a processor for each, if there are as many."""

    slots: int
    processors: Sequence[int] = ()


class LocalSandbox:
    """Runs hostile programs in jails. Thread-safe; a fork of the host gets a runner of its own.

    Args:
        slots: how many programs run at once; None: see `processors.usable`.
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
        self._slots = slots or processors.usable()
        self._isolation = isolation
        self._readable = tuple(readable)
        self._packages = tuple(packages)
        self._modules: frozenset[str] = frozenset()  # where entries live that were ever asked for
        self._lock = threading.Lock()
        self._clients = [RunnerClient(partial(self._connect, share)) for share in _shares(self._slots)]
        _LIVE.add(self)

    def run(self, program: Program) -> Execution:
        """One program. Never raises for what the program does."""
        return self.run_many([program])[0]

    def run_many(self, programs: Iterable[Program]) -> list[Execution]:
        """Results in order; as many at once as there are slots."""
        return list(run_many(self._placed(programs, lambda program: (program,))))

    def exam(self, examiner: Program, candidate: Program) -> Exam:
        """Two programs in jails of their own, joined by a socket; only the examiner's report is a verdict."""
        return self.exam_many([(examiner, candidate)])[0]

    def exam_many(self, pairs: Iterable[tuple[Program, Program]]) -> list[Exam]:
        """Exams of (examiner, candidate), in order; those with one `keep` share examiner processes."""
        return list(self.exams(pairs))

    def exams(self, pairs: Iterable[tuple[Program, Program]]) -> Iterator[Exam]:
        """As `exam_many`. While pairs are made and results are looked at, the sandbox is at work."""
        return exam_many(self._placed(pairs, lambda pair: pair))

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

    def _placed(
        self, asked: Iterable[Asked], programs_of: Callable[[Asked], Sequence[Program]]
    ) -> Iterator[tuple[RunnerClient, Asked]]:
        """Each with the runner that is to have it; each call begins with another: single ones are spread too."""
        with self._lock:
            self._clients.append(self._clients.pop(0))
            clients = [*self._clients]
        for client, each in zip(cycle(clients), asked, strict=False):
            self._make_callable(programs_of(each), client)
            yield client, each

    def _make_callable(self, programs: Sequence[Program], client: RunnerClient) -> None:
        """Has the modules of programs' entries imported in the runner that is to call them."""
        needed = {program.entry.partition(":")[0] for program in programs if program.entry}
        with self._lock:
            self._modules |= needed
        link = client.connected()
        assert isinstance(link, ProcessLink)  # what _connect makes
        if needed <= link.modules:
            return
        try:
            client.import_modules(sorted(needed))
        except PoolError:
            with self._lock:
                self._modules -= needed  # one of them shall not keep the next runner from starting
            raise
        link.modules |= needed

    def prove(self) -> list[proof.LayerReport]:
        """Attacks the jail from inside and reports layer by layer, without refusing anything."""
        link = self._start(Share(1))
        try:
            return [*self._attack(link), proof.report_totals(link.group)]
        finally:
            link.close()

    def _connect(self, share: Share) -> ProcessLink:
        """Starts a runner; the first with this isolation in this process must prove it beforehand."""
        link = self._start(share)
        if self._isolation not in _PROVED:
            try:
                proof.require(self._setting(), self._attack(link))
            except BaseException:
                link.close()
                raise
            _PROVED.add(self._isolation)
        return link

    def _attack(self, link: ProcessLink) -> list[proof.LayerReport]:
        setting = self._setting()
        try:
            return proof.prove(setting, lambda program: run_on(link, program))
        except PoolError as error:
            raise proof.explain_failure(setting, PACKAGE_ROOT, str(error)) from error

    def _start(self, share: Share) -> ProcessLink:
        setting = self._setting()
        try:
            return ProcessLink(setting, share.slots, share.processors)
        except PoolError as error:
            self._modules = (
                frozenset()
            )  # one of them may be the reason, and shall not be the next start's too
            if "ImportError" in str(error) or "ModuleNotFoundError" in str(error):
                raise
            raise proof.explain_failure(setting, PACKAGE_ROOT, str(error)) from error

    def _setting(self) -> Setting:
        return make_setting(
            self._isolation,
            readable=self._readable,
            packages=self._packages,
            modules=tuple(sorted(self._modules)),
        )


def _shares(slots: int) -> list[Share]:
    """What each of as many runners as are needed to feed the slots has of them."""
    runners = -(-slots // _SLOTS_PER_RUNNER)
    allowed = sorted(os.sched_getaffinity(0))
    if slots != len(allowed):  # the kernel knows better which are free
        allowed = []
    return [Share(len(range(first, slots, runners)), allowed[first::runners]) for first in range(runners)]


_PROVED: set[str] = set()  # kinds of isolation that have been attacked in vain, in this process
_LIVE: weakref.WeakSet[LocalSandbox] = weakref.WeakSet()


def _leave_after_fork() -> None:
    for sandbox in list(_LIVE):
        sandbox._lock = threading.Lock()
        for client in sandbox._clients:
            client.after_fork()


os.register_at_fork(after_in_child=_leave_after_fork)
