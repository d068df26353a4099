"""The docker sandbox: the runner of the local jail, warm in containers that are used in turn.

Walls inside each other: the container, and in it, around every single run, the local jail with all that the
engine allows: its own namespaces where the host's kernel lets unprivileged users have them, else Landlock and
seccomp (`inner` tells which). So runs in one container are as hidden from each other as local ones are: own
process, emptied work folder, everything killed and reaped after each.

Examiner and candidate of an exam share a container but no wall: each has a jail of its own. Nothing of the
examiner can be read by the candidate: it sees no /proc entry but its own, ptrace, process_vm_* and pidfd_getfd
kill it, the examiner can be neither dumped nor traced, and no capability exists that would change that. In
containers apart their talk would go through the engine four times per call, which costs more than the call.

Does not cover: a hole in the kernel, which container and host share.
"""

from __future__ import annotations

import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from proctor.sandbox import processors
from proctor.sandbox.client import RunnerClient, run_on
from proctor.sandbox.core import Exam, Execution, IsolationError, Outcome, PoolError, Program
from proctor.sandbox.docker import engine
from proctor.sandbox.docker.container import ContainerLink, Jail, Walls
from proctor.sandbox.docker.proving import prove, report_container
from proctor.sandbox.local import proof

_INNER = ("full", "no-namespaces")  # jails within the container, the best first
_PATIENCE_S = 15.0  # for an engine that was there before and has gone
_SILENCE_S = 30.0  # of a runner, beyond what its programs may take
_CHUNK = 16  # programs that a container holds at once, so that it need not wait for us
_SPARE_MB = 512  # of a container's memory, beside what its largest program may use
_RECYCLE_RUNS = 10_000  # about a minute's work; the start of the next container costs one per cent of it

Asked = TypeVar("Asked")
Found = TypeVar("Found", Execution, Exam)


@dataclass(slots=True, eq=False)
class _Lane:
    """A container's place in the pool."""

    client: RunnerClient
    link: ContainerLink | None = None
    runs: int = 0
    patience_s: float = _SILENCE_S  # how long its runner may say nothing
    modules: set[str] = field(default_factory=set)
    memory_mb: int = 0  # what its container must have

    def recycle(self) -> None:
        """The next run gets a new container."""
        self.client.close()
        self.link = None
        self.runs = 0


class DockerSandbox:
    """Runs hostile programs in containers. Thread-safe; a fork of the host gets containers of its own.

    Args:
        slots: how many containers, and so programs, run at once; None: see `processors.usable`.
        image: see `proctor sandbox build-image`; None: $PROCTOR_SANDBOX_IMAGE, or what is built without a
            name.
        packages: names of distributions, of those in the image, that Python programs may import, with what
            they require.
        memory_mb, processes, scratch_mb: of each container, above what single programs are limited to; one for
            a program that may use more memory gets more.
        inner: the jail within: "full", "no-namespaces", or "auto" for the best that this engine allows.
        recycle_runs: programs after which a container makes room for a new one.

    Raises (from `run` and `exam`, until a container has once been had): PoolError, IsolationError.
    """

    def __init__(
        self,
        slots: int | None = None,
        image: str | None = None,
        *,
        packages: Sequence[str] = (),
        memory_mb: int = 6144,
        processes: int = 1024,
        scratch_mb: int = 512,
        inner: str = "auto",
        recycle_runs: int = _RECYCLE_RUNS,
    ) -> None:
        if inner not in ("auto", *_INNER):
            raise IsolationError(f"inner jail {inner!r} is unknown; known are auto, {', '.join(_INNER)}")
        self._slots = slots or processors.usable()
        self._walls = Walls(
            image=image or engine.default_image(),
            memory_mb=memory_mb,
            processes=processes,
            scratch_mb=scratch_mb,
            has_namespaces=True,
        )
        self._asked = inner
        self._packages = tuple(packages)
        self._recycle_runs = recycle_runs
        self._reset()
        _LIVE.add(self)

    def _reset(self) -> None:
        self._hopeless_until = 0.0  # time.monotonic(): the engine was gone for longer than our patience
        self._mode = ""  # the inner jail that was proved to hold
        self._choosing = threading.Lock()
        self._lanes: list[_Lane] = []
        self._free: queue.LifoQueue[_Lane] = queue.LifoQueue()  # the warm ones first
        for _ in range(self._slots):
            self._lanes.append(self._make_lane())
            self._free.put(self._lanes[-1])

    def _make_lane(self) -> _Lane:
        lane = _Lane(RunnerClient(lambda: self._connect(lane)))
        return lane

    @property
    def inner(self) -> str:
        """The inner jail that holds; "" before the first run."""
        return self._mode

    def run(self, program: Program) -> Execution:
        """One program. Never raises for what the program does."""
        return self.run_many([program])[0]

    def run_many(self, programs: Iterable[Program]) -> list[Execution]:
        """Results in order; as many at once as there are containers."""

        def ask(client: RunnerClient, chunk: Sequence[Program]) -> list[Execution]:
            return [_in_docker(found) for found in client.run_many(chunk)]

        return self._share_out(list(programs), lambda program: [program], ask, _lost)

    def exam(self, examiner: Program, candidate: Program) -> Exam:
        """Two programs in jails of their own, joined by a socket; only the examiner's report is a verdict."""
        return self.exam_many([(examiner, candidate)])[0]

    def exam_many(self, pairs: Iterable[tuple[Program, Program]]) -> list[Exam]:
        """Exams of (examiner, candidate), in order; those with one `keep` share examiner processes."""

        def ask(client: RunnerClient, chunk: Sequence[tuple[Program, Program]]) -> list[Exam]:
            found = client.exam_many(chunk)
            return [Exam(examiner=_in_docker(e.examiner), candidate=_in_docker(e.candidate)) for e in found]

        return self._share_out(
            list(pairs), list, ask, lambda why: Exam(examiner=_lost(why), candidate=_lost(why))
        )

    def exams(self, pairs: Iterable[tuple[Program, Program]]) -> Iterator[Exam]:
        """As `exam_many`, which shares out chunks of all that there is."""
        return iter(self.exam_many(pairs))

    def prove(self) -> list[proof.LayerReport]:
        """The container's walls as the engine tells them, then the jail's within, attacked layer by layer.

        Raises PoolError, IsolationError.
        """
        with self._lane() as lane:
            lane.recycle()
            link = self._connect(lane)
            try:
                reports = prove(link.setting, partial(run_on, link))
                return [report_container(link.inspect(), link.setting.isolation), *reports]
            finally:
                link.close()

    def close(self) -> None:
        """Removes the containers. The next call would start others."""
        with ThreadPoolExecutor(len(self._lanes)) as pool:
            list(pool.map(lambda lane: lane.recycle(), self._lanes))

    def __enter__(self) -> DockerSandbox:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- sharing out ----------------------------------------------------------------------------------------

    def _share_out(
        self,
        asked: Sequence[Asked],
        programs_of: Callable[[Asked], Sequence[Program]],
        ask: Callable[[RunnerClient, Sequence[Asked]], list[Found]],
        lost: Callable[[str], Found],
    ) -> list[Found]:
        """Gives chunks to containers as they become free. Order is kept."""
        size = max(1, min(_CHUNK, len(asked) // (2 * self._slots)))
        chunks = [asked[start : start + size] for start in range(0, len(asked), size)]

        def do(chunk: Sequence[Asked]) -> list[Found]:
            programs = [program for each in chunk for program in programs_of(each)]
            with self._lane() as lane:
                found = self._ask(lane, programs, lambda: ask(lane.client, chunk), len(chunk), lost)
            if len(chunk) == 1:
                return found
            # Whoever brings its container down shall not take the others of its chunk along.
            pairs = zip(chunk, found, strict=True)
            return [do([each])[0] if _is_doubtful(got) else got for each, got in pairs]

        if len(chunks) <= 1:
            return do(asked) if chunks else []
        with ThreadPoolExecutor(min(self._slots, len(chunks))) as pool:
            return [found for part in pool.map(do, chunks) for found in part]

    def _ask(
        self,
        lane: _Lane,
        programs: Sequence[Program],
        ask: Callable[[], list[Found]],
        count: int,
        lost: Callable[[str], Found],
    ) -> list[Found]:
        """One chunk on one container. A container or engine that fails is replaced, and asked once more."""
        try:
            self._prepare(lane, programs)
            found = ask()
        except PoolError:
            lane.recycle()
            try:
                self._prepare(lane, programs)
                found = ask()
            except PoolError as error:
                lane.recycle()
                lane.modules.clear()  # one that cannot be loaded shall not keep the next container from starting
                if not self._mode:
                    raise  # no container was ever had here: a matter of set-up
                return [lost(str(error))] * count
        lane.runs += len(programs)
        if lane.runs >= self._recycle_runs or any(map(_is_doubtful, found)):
            lane.recycle()
        return found

    def _prepare(self, lane: _Lane, programs: Sequence[Program]) -> None:
        """Has the modules of entries loaded, and sets how long the runner may be silent.

        A container with too little memory is replaced: else its wall would be taken for a program's limit.
        """
        needed_mb = max(program.limits.memory_mb for program in programs) + _SPARE_MB
        if needed_mb > max(lane.memory_mb, self._walls.memory_mb):
            lane.memory_mb = needed_mb
            lane.recycle()
        names = {program.entry.partition(":")[0] for program in programs if program.entry}
        new = sorted(names - lane.modules)
        lane.patience_s = _SILENCE_S + 7 * max(program.limits.wall_s for program in programs)
        if lane.client.is_connected and lane.link is not None:
            lane.link.set_patience(lane.patience_s)
            if new:
                lane.client.import_modules(new)
        lane.modules.update(new)

    @contextmanager
    def _lane(self) -> Iterator[_Lane]:
        lane = self._free.get()
        try:
            yield lane
        finally:
            self._free.put(lane)

    # -- containers -----------------------------------------------------------------------------------------

    def _connect(self, lane: _Lane) -> ContainerLink:
        """Starts a lane's next container; the first of all chooses the inner jail and must prove it."""
        link: ContainerLink | None = None
        with self._choosing:
            if not self._mode:
                engine.patiently(engine.remove_leftovers, 0)
                link = self._choose(lane)
                self._mode = link.setting.isolation
        if link is None:
            link = self._start_patiently(lane)
        link.set_patience(lane.patience_s)
        lane.link = link
        return link

    def _start_patiently(self, lane: _Lane) -> ContainerLink:
        """Waits for an engine that has just gone; once in vain, others are not kept waiting for a while."""
        patience = 0.0 if time.monotonic() < self._hopeless_until else _PATIENCE_S
        try:
            return engine.patiently(lambda: self._start(lane, self._mode), patience)
        except PoolError:
            self._hopeless_until = time.monotonic() + _PATIENCE_S
            raise

    def _start(self, lane: _Lane, mode: str) -> ContainerLink:
        memory_mb = max(self._walls.memory_mb, lane.memory_mb)
        walls = replace(self._walls, has_namespaces=mode == "full", memory_mb=memory_mb)
        jail = Jail(isolation=mode, packages=self._packages, modules=tuple(sorted(lane.modules)))
        return ContainerLink(walls, jail)

    def _choose(self, lane: _Lane) -> ContainerLink:
        """The best jail that this engine lets its containers have. Raises IsolationError, PoolError."""
        failures: dict[str, str] = {}
        for mode in _INNER if self._asked == "auto" else (self._asked,):
            try:
                link = engine.patiently(lambda mode=mode: self._start(lane, mode), 0)  # type: ignore[misc]
            except engine.EngineError:
                raise
            except PoolError as error:
                failures.setdefault(str(error), mode)
                continue
            try:
                proof.require(link.setting, prove(link.setting, partial(run_on, link)))
            except (IsolationError, PoolError) as error:
                link.close()
                failures.setdefault(f"{error} {link.last_words}".strip(), mode)
                continue
            return link
        raise IsolationError(
            "no jail holds inside this engine's containers: "
            + "; ".join(f"{mode}: {why}" for why, mode in failures.items())
        )


def _in_docker(execution: Execution) -> Execution:
    """Says which jail was within, where it was not the best."""
    inner = execution.isolation
    return replace(execution, isolation=f"docker, {inner} within" if inner not in ("full", "") else "docker")


def _lost(reason: str) -> Execution:
    return Execution(outcome=Outcome.INTERNAL_ERROR, isolation="docker", detail=reason)


def _is_doubtful(found: Execution | Exam) -> bool:
    """Something of ours went wrong in that container."""
    sides = (found,) if isinstance(found, Execution) else (found.examiner, found.candidate)
    return any(side.outcome is Outcome.INTERNAL_ERROR for side in sides)


_LIVE: weakref.WeakSet[DockerSandbox] = weakref.WeakSet()


def _leave_after_fork() -> None:
    for sandbox in list(_LIVE):
        for lane in sandbox._lanes:
            lane.client.after_fork()
        sandbox._reset()


os.register_at_fork(after_in_child=_leave_after_fork)
