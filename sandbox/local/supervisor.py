"""Gives jobs to slots, watches what runs, and puts a new slot where one is gone."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from proctor.sandbox import wire
from proctor.sandbox.core import Outcome, PoolError
from proctor.sandbox.local import running
from proctor.sandbox.local.jobs import MAX_ATTEMPTS, Job, fact_of, internal_error
from proctor.sandbox.local.setting import Setting
from proctor.sandbox.local.slot import STOP
from proctor.sandbox.local.slots import SlotHandle, ZygoteHandle, start_zygote

_FIRST_CHECK_S = 0.01  # most programs have ended by then, and cost no more than two wake-ups
_CHECK_S = 0.03
_KILL_S = 3.0  # a slot that has not reaped by then is itself in trouble
_SITTINGS = 1000  # per examiner process
_CANDIDATE, _EXAMINER = "candidate", "examiner"


class Host(Protocol):
    """What the supervisor needs of the event loop."""

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None: ...
    def unwatch(self, descriptor: int) -> None: ...
    def finish(self, job: Job) -> None: ...
    def refuse(self, job: Job, reason: str) -> None: ...


@dataclasses.dataclass(slots=True, eq=False)
class Seat:
    """A slot with its part in a job."""

    slot: SlotHandle
    side: str
    job: Job | None = None
    next_check: float = 0.0
    watches_output: bool = False


class Supervisor:
    def __init__(self, setting: Setting, slots: int, package_root: str, host: Host) -> None:
        self._setting, self._count, self._root, self._host = setting, slots, package_root, host
        self._zygote: ZygoteHandle | None = None
        self._seats: list[Seat] = []
        self._queue: deque[Job] = deque()

    def start(self) -> None:
        """Starts the zygote. Raises PoolError."""
        self._zygote = start_zygote(self._setting, self._root)

    def add_module(self, name: str) -> None:
        """Makes the functions of one more module callable: with a new zygote, because the old one is sealed."""
        if name in self._setting.modules:
            return
        self._setting = dataclasses.replace(self._setting, modules=(*self._setting.modules, name))
        for seat in self._seats:
            seat.slot.doubtful = True
        for seat in [seat for seat in self._seats if seat.job is None]:
            self._remove(seat)
        fresh = start_zygote(self._setting, self._root)
        if self._zygote is not None:
            self._zygote.link.close()
        self._zygote = fresh

    def submit(self, job: Job) -> None:
        self._queue.append(job)
        self._fill()

    def close(self) -> None:
        for seat in self._seats:
            seat.slot.close()
        if self._zygote is not None:
            self._zygote.close()

    # -- giving out work ------------------------------------------------------------------------------------

    def _fill(self) -> None:
        try:
            self._give_out()
        except PoolError as error:
            self._fail_all(str(error))

    def _fail_all(self, reason: str) -> None:
        """No slot can be had: whoever waits for one is told so."""
        while self._queue:
            self._host.refuse(self._queue.popleft(), reason)

    def _give_out(self) -> None:
        while self._queue:
            seat = self._free_seat(_CANDIDATE)
            if seat is None:
                return
            job = self._queue[0]
            examiner = None
            if job.examiner is not None:
                examiner = self._free_seat(_EXAMINER, job.examiner.header["keep"])
                if examiner is None:
                    return
            self._queue.popleft()
            self._begin(job, seat, examiner)

    def _free_seat(self, side: str, keep: str = "") -> Seat | None:
        """A seat that waits for work: an examiner that knows this key, an empty one, else a new one."""
        seats = [seat for seat in self._seats if seat.side == side]
        free = [seat for seat in seats if seat.job is None]
        for seat in free:
            if seat.slot.run is not None and keep and seat.slot.keep == keep:
                return seat
        for seat in free:
            if seat.slot.run is None:
                return seat
        if len(seats) < self._count:
            return self._new_seat(side)
        stale = next((seat for seat in free if not seat.slot.run.stopped_for), None)  # type: ignore[union-attr]
        if stale is not None:  # an examiner of another task sits there: its end will bring us back here
            self._remove(stale)
            return self._new_seat(side)
        return None

    def _new_seat(self, side: str) -> Seat:
        if self._zygote is None:
            raise PoolError("the zygote is gone")
        seat = Seat(self._zygote.fork_slot(), side)
        self._seats.append(seat)
        self._host.watch(seat.slot.control.fileno(), lambda: self._on_control(seat))
        return seat

    def _begin(self, job: Job, seat: Seat, examiner: Seat | None) -> None:
        job.attempts += 1
        job.facts.clear()
        peers: tuple[socket.socket | None, socket.socket | None] = (None, None)
        if examiner is not None:
            peers = socket.socketpair()
            examiner.job = job
        seat.job = job
        try:
            self._start(seat, job.candidate, peers[1])
            if examiner is not None and peers[0] is not None:
                self._start_sitting(examiner, job, peers[0])
        except OSError:
            for lost in (seat, examiner):
                if lost is not None:
                    self._lose(lost)
        finally:
            if peers[1] is not None:
                peers[1].close()

    def _start(self, seat: Seat, ask: running.Ask, peer: socket.socket | None = None) -> None:
        seat.slot.run = running.start(ask, seat.slot.control, peer)
        seat.slot.runs += 1
        seat.next_check = seat.slot.run.started + _FIRST_CHECK_S
        seat.watches_output = False

    def _start_sitting(self, seat: Seat, job: Job, peer: socket.socket) -> None:
        ask = job.examiner
        assert ask is not None
        run = seat.slot.run
        if run is None:
            self._start(seat, ask)
            run = seat.slot.run
            assert run is not None
            self._host.watch(run.link.fileno(), lambda: self._on_report(seat))
            same = True
        else:
            same = run.ask.block == ask.block
            run.ask = ask
            run.begin_sitting()
            seat.next_check = run.started + _FIRST_CHECK_S
        seat.slot.keep = ask.header["keep"]
        run.sittings += 1
        run.send(wire.pack({"same": same}, b"" if same else ask.block), peer)

    # -- what comes back ------------------------------------------------------------------------------------

    def _on_control(self, seat: Seat) -> None:
        """The slot's answer, or its end."""
        try:
            message = seat.slot.control.recv(1 << 12)
        except OSError:
            message = b""
        run = seat.slot.run
        if not message or run is None:
            self._lose(seat)
            return
        run.take_answer(message)
        if run.drain() is Outcome.OUTPUT_LIMIT and run.stopped_for is None:
            run.stopped_for = Outcome.OUTPUT_LIMIT
        self._settle(seat)
        self._release(seat)
        self._fill()

    def _on_report(self, seat: Seat) -> None:
        run = seat.slot.run
        if run is None:
            return
        run.drain()
        if run.report is not None and seat.job is not None:
            run.finished = time.monotonic()
            run.decided = True
            self._settle(seat)
            if not seat.slot.keep or run.sittings >= _SITTINGS or seat.slot.doubtful:
                self._remove(seat)
            self._fill()
        elif run.is_closed:
            self._host.unwatch(run.link.fileno())

    def _settle(self, seat: Seat) -> None:
        """Notes one side's result; an examiner's ends the candidate, and the last one the job."""
        job, run = seat.job, seat.slot.run
        if job is None or run is None:
            return
        seat.job = None
        if seat.side == _EXAMINER and run.report is None and run.sittings > 1:
            self._retry(job, "the examiner that was kept ended before it had reported")
            return
        job.facts[seat.side] = fact_of(run, self._setting.isolation)
        if seat.side == _EXAMINER:
            for other in self._seats:
                if other.job is job and other.slot.run is not None:
                    other.slot.run.decided = True
                    self._stop(other, None)
        if job.is_done:
            self._host.finish(job)

    def _release(self, seat: Seat) -> None:
        """The slot has no process any more: it is free, or, in doubt, replaced."""
        run = seat.slot.run
        if run is not None:
            self._forget_output(seat)
            run.close()
            seat.slot.run = None
        seat.slot.keep = ""
        if seat.slot.doubtful:
            self._remove(seat)

    def _lose(self, seat: Seat) -> None:
        """The slot itself is gone: its job is tried again, or reported as ours."""
        job = seat.job
        self._remove(seat)
        if job is not None and seat.side not in job.facts:
            self._retry(job, f"the {seat.side}'s slot ended unexpectedly")

    def _retry(self, job: Job, reason: str) -> None:
        for other in [other for other in self._seats if other.job is job]:
            other.job = None
            self._remove(other)
        if job.attempts < MAX_ATTEMPTS:
            self._queue.append(job)
        else:
            for side in (_CANDIDATE, _EXAMINER):
                job.facts[side] = internal_error(reason, self._setting.isolation)
            self._host.finish(job)
        self._fill()

    def _remove(self, seat: Seat) -> None:
        if seat not in self._seats:
            return
        self._seats.remove(seat)
        self._host.unwatch(seat.slot.control.fileno())
        self._forget_output(seat)
        if self._zygote is not None:
            self._zygote.numbers.discard(seat.slot.number)
        seat.slot.close()

    def _forget_output(self, seat: Seat) -> None:
        if seat.slot.run is not None:
            for descriptor in seat.slot.run.descriptors:
                self._host.unwatch(descriptor)
        seat.watches_output = False

    # -- watching -------------------------------------------------------------------------------------------

    def seconds_to_next_check(self, most: float) -> float:
        times = [seat.next_check for seat in self._seats if seat.job is not None]
        return min(most, max(0.0, min(times) - time.monotonic())) if times else most

    def check(self, now: float) -> None:
        """Looks after every program that has been there for a while."""
        for seat in [seat for seat in self._seats if seat.job is not None and seat.next_check <= now]:
            self._check(seat, now)

    def _check(self, seat: Seat, now: float) -> None:
        run = seat.slot.run
        if run is None:
            return
        run.send_more()
        if run.stopped_at:
            if now > run.stopped_at + _KILL_S:
                self._lose(seat)
            else:
                seat.next_check = now + _CHECK_S
            return
        exceeded = run.drain()
        if exceeded is None and now >= run.deadline:
            exceeded = Outcome.WALL_LIMIT
        if exceeded is not None:
            self._stop(seat, exceeded)
        seat.next_check = min(now + _CHECK_S, max(run.deadline, now + 0.001))

    def _stop(self, seat: Seat, reason: Outcome | None) -> None:
        """Has the slot kill the program and all that belongs to it; the slot then answers as ever."""
        run = seat.slot.run
        if run is None or run.stopped_at:
            return
        run.stopped_for = reason
        run.stopped_at = time.monotonic()
        seat.next_check = run.stopped_at + _CHECK_S
        with contextlib.suppress(OSError):
            seat.slot.control.send(STOP)
