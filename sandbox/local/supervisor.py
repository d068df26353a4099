"""Gives jobs to slots, watches what runs, and puts a new slot where one is gone."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from proctor.sandbox.channel import SITTING
from proctor.sandbox.core import Outcome, PoolError
from proctor.sandbox.local import running, watch
from proctor.sandbox.local.jobs import CANDIDATE, EXAMINER, MAX_ATTEMPTS, Job, fact_of, internal_error
from proctor.sandbox.local.orders import FAULT
from proctor.sandbox.local.running import Run
from proctor.sandbox.local.seats import Seat, best_of, settle_down
from proctor.sandbox.local.setting import Setting
from proctor.sandbox.local.slots import Stable

_FIRST_CHECK_S = 0.01  # most programs have ended by then, and cost no more than two wake-ups
_CHECK_S = 0.03
# Times the deadline that is given back at most. A program that is held up all that time has next to no share of a
# processor; one that makes work for itself runs into its limit of processor time first.
_MOST_GRACE = 4
_KILL_S = 3.0  # a slot that has not reaped by then is itself in trouble
_MOST_WORDS = 1 << 13  # of a slot's last
_SITTINGS = 1000  # per examiner process


class Host(Protocol):
    """What the supervisor needs of the event loop."""

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None: ...
    def unwatch(self, descriptor: int) -> None: ...
    def finish(self, job: Job) -> None: ...
    def refuse(self, job: Job, reason: str) -> None: ...


class Supervisor:
    """All state of the runner but its host link.

    Args:
        slots: how many programs, or exams, run at once.
        processors: one for each slot, where there are as many; else none.
    """

    def __init__(
        self, setting: Setting, slots: int, processors: Sequence[int], package_root: str, host: Host
    ) -> None:
        self._count, self._processors, self._host = slots, processors, host
        self._stable = Stable(setting, package_root)
        self._seats: list[Seat] = []
        self._queue: deque[Job] = deque()
        self._kills_for_memory = watch.kills_for_memory()

    @property
    def _isolation(self) -> str:
        return self._stable.setting.isolation

    @property
    def has_queue(self) -> bool:
        """Somebody waits for a slot."""
        return bool(self._queue)

    def start(self) -> str:
        """Starts the zygote. Returns the name of the control group, "" if there is none. Raises PoolError."""
        return self._stable.open()

    def add_modules(self, names: Sequence[str]) -> None:
        """Makes the functions of more modules callable: by a new zygote, as the old one is sealed."""
        setting = self._stable.setting
        new = [name for name in names if name not in setting.modules]
        if not new:
            return
        self._stable.renew(dataclasses.replace(setting, modules=(*setting.modules, *new)))
        for seat in list(self._seats):
            seat.is_outdated = True
            if seat.job is None:
                self._remove(seat)

    def submit(self, job: Job) -> None:
        self._queue.append(job)
        self._fill()

    def close(self) -> None:
        for seat in list(self._seats):
            self._remove(seat)
        self._stable.close()

    # -- giving out work ------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Gives out what can be given out. Where no slot can be had, whoever waits for one is told so."""
        try:
            while self._queue and self._begin_next(self._queue[0]):
                pass
        except PoolError as error:
            while self._queue:
                self._host.refuse(self._queue.popleft(), str(error))

    def _begin_next(self, job: Job) -> bool:
        """Seats the first job of the queue. False: there is no room for it yet."""
        seat = self._free_seat(CANDIDATE)
        examiner = None
        if seat is not None and job.examiner is not None:
            # A kept examiner may have left of its own accord: a second attempt gets a new one.
            keep = "" if job.attempts else job.examiner.header["keep"]
            examiner = self._free_seat(EXAMINER, keep, seat.place)
        if seat is None or (examiner is None and job.examiner is not None):
            return False
        self._queue.popleft()
        self._begin(job, seat, examiner)
        return True

    def _free_seat(self, side: str, keep: str = "", place: int = 0) -> Seat | None:
        """One that is free or, while there is room, a new one; if need be one is cleared for it."""
        seats = [seat for seat in self._seats if seat.side == side]
        free = sorted((seat for seat in seats if seat.is_free), key=lambda seat: seat.place != place)
        chosen = best_of(free, keep)
        if chosen is not None:
            return chosen
        if free and len(seats) >= self._count:
            self._remove(free[0])
        elif len(seats) >= self._count:
            return None
        return self._new_seat(side, place)

    def _new_seat(self, side: str, place: int) -> Seat:
        taken = {seat.place for seat in self._seats if seat.side == side}
        seat = Seat(
            self._stable.make_slot(rehearses=side == CANDIDATE),
            side,
            next(n for n in (place, *range(self._count)) if n not in taken),
        )
        self._seats.append(seat)
        self._host.watch(seat.slot.control.fileno(), lambda: self._on_control(seat))
        return seat

    def _begin(self, job: Job, seat: Seat, examiner: Seat | None) -> None:
        job.attempts += 1
        job.facts.clear()
        seat.job = job
        if self._processors:
            settle_down(seat, examiner, self._processors[seat.place] if self._queue else None)
        ours: socket.socket | None = None
        theirs: socket.socket | None = None
        if examiner is not None:
            examiner.job = job
            ours, theirs = socket.socketpair()
        try:
            self._start(seat, job.candidate, theirs)
            if examiner is not None and ours is not None:
                self._start_sitting(examiner, job, ours)
        except OSError as error:
            self._retry(job, f"a slot took no work: {error}")
        finally:
            if theirs is not None:
                theirs.close()

    def _start(self, seat: Seat, ask: running.Ask, peer: socket.socket | None = None) -> Run:
        group = seat.slot.group
        if group is not None:
            group.begin(ask.limits.memory_mb, ask.limits.processes)
        run = seat.run = running.start(ask, seat.slot.control, peer, is_counted=group is not None)
        seat.next_check = run.started + _FIRST_CHECK_S
        return run

    def _start_sitting(self, seat: Seat, job: Job, peer: socket.socket) -> None:
        """Sends the examiner its end of the candidate's socket, and its payload unless it has just that."""
        ask = job.examiner
        assert ask is not None
        run = seat.run
        if run is None:
            run = self._start(seat, ask)
            self._host.watch(run.link.fileno(), lambda: self._on_report(seat))
            is_same = True
        else:
            is_same = run.ask.block == ask.block
            run.begin_sitting(ask)
            seat.next_check = run.started + _FIRST_CHECK_S
            if seat.slot.group is not None:
                seat.slot.group.begin(ask.limits.memory_mb, ask.limits.processes)
            else:
                run.earlier_cpu_s = watch.sample(seat.slot.pid).cpu_s
        seat.keep = ask.header["keep"]
        run.sittings += 1
        payload = b"" if is_same else ask.block
        run.send(SITTING.pack(not is_same, len(payload)) + payload, peer)

    # -- what comes back ------------------------------------------------------------------------------------

    def _on_control(self, seat: Seat) -> None:
        """The slot's answer, or its end."""
        try:
            message = seat.slot.control.recv(_MOST_WORDS)
        except OSError:
            message = b""
        run = seat.run
        if not message or run is None or message.startswith(FAULT):
            self._lose(seat, message[len(FAULT) :].decode(errors="replace"))
        else:
            run.take_answer(message)
            self._note_usage(seat, run)
            found_late = run.drain() or self._overdrawn(seat, run)
            run.stopped_for = run.stopped_for or found_late
            if not (run.is_ready or run.kills or run.was_killed):
                # Whatever its examiner has made of that by now: it never got to run.
                self._lose(seat, "its jail could not be closed: " + run.last_words)
            elif self._is_victim(seat, run):
                self._lose(
                    seat,
                    f"the machine, or a control group above, ran out of memory, and the kernel killed the "
                    f"program for it at {run.memory_mb:.0f} of its own {run.ask.limits.memory_mb} MB",
                )
            else:
                self._settle(seat)
                self._release(seat)
        self._fill()

    def _on_report(self, seat: Seat) -> None:
        """An examiner has said something, or has closed its link, which its slot's answer will follow."""
        run = seat.run
        if run is None:
            return
        run.drain()
        if run.is_closed:
            self._host.unwatch(run.link.fileno())
        self._take_report(seat, run)

    def _take_report(self, seat: Seat, run: Run) -> None:
        """An examiner's report, wherever it was read, ends its exam."""
        if seat.side != EXAMINER or run.report is None or seat.job is None:
            return
        run.finished = time.monotonic()
        run.decided = True
        self._note_usage(seat, run)
        self._settle(seat)
        if not seat.keep or run.is_leaving or run.sittings >= _SITTINGS or seat.is_outdated:
            self._stop(seat, None)
        self._fill()

    def _note_usage(self, seat: Seat, run: Run) -> None:
        if seat.slot.group is not None:
            run.take_usage(seat.slot.group.usage())

    def _settle(self, seat: Seat) -> None:
        """Notes one side's result; an examiner's ends the candidate, and the last one the job."""
        job, run = seat.job, seat.run
        if job is None or run is None:
            return
        seat.job = None
        if seat.side == EXAMINER and run.report is None and run.sittings > 1 and not run.is_out_of_time:
            self._retry(job, "the examiner that was kept ended before it had reported")
            return
        job.facts[seat.side] = fact_of(run, self._isolation)
        if seat.side == EXAMINER:
            for other in self._seats:
                if other.job is job and other.run is not None and not other.run.stopped_at:
                    other.run.decided = True
                    self._stop(other, None)
        if job.is_done:
            self._host.finish(job)

    def _release(self, seat: Seat) -> None:
        """The slot has no process any more: it is free, or, in doubt, taken away."""
        self._forget_run(seat)
        seat.keep = ""
        if seat.is_outdated:
            self._remove(seat)

    def _lose(self, seat: Seat, reason: str) -> None:
        """The slot itself is gone: its job is tried again, or reported as ours."""
        job = seat.job
        self._remove(seat)
        if job is not None:
            self._retry(job, f"the {seat.side}'s slot ended: {reason or 'without a word'}")

    def _retry(self, job: Job, reason: str) -> None:
        for other in [other for other in self._seats if other.job is job]:
            other.job = None
            self._remove(other)
        if job.attempts < MAX_ATTEMPTS:
            self._queue.appendleft(job)
        else:
            job.facts = dict.fromkeys((CANDIDATE, EXAMINER), internal_error(reason, self._isolation))
            self._host.finish(job)

    def _remove(self, seat: Seat) -> None:
        if seat in self._seats:
            self._seats.remove(seat)
            self._host.unwatch(seat.slot.control.fileno())
            self._forget_run(seat)
            self._stable.drop_slot(seat.slot)

    def _forget_run(self, seat: Seat) -> None:
        if seat.run is not None:
            self._host.unwatch(seat.run.link.fileno())
            seat.run.close()
            seat.run = None

    # -- watching -------------------------------------------------------------------------------------------

    def seconds_to_next_check(self, most: float) -> float:
        times = [seat.next_check for seat in self._seats if seat.is_watched]
        return min(most, max(0.0, min(times) - time.monotonic())) if times else most

    def check(self, now: float) -> None:
        """Looks after every program that has been there for a while."""
        for seat in [seat for seat in self._seats if seat.is_watched and seat.next_check <= now]:
            if seat.run is not None:
                self._check(seat, seat.run, now)

    def _check(self, seat: Seat, run: Run, now: float) -> None:
        run.send_more()
        if run.earlier_delay_s is None:
            run.earlier_delay_s = watch.starved_s(seat.slot.pid)
        if run.stopped_at:
            seat.slot.end_submission()  # once more: it may not even have been forked before
            if now > run.stopped_at + _KILL_S:
                self._lose(seat, f"it did not end the program within {_KILL_S} s")
                self._fill()
            seat.next_check = now + _CHECK_S
            return
        exceeded = run.drain() or self._exceeded_use(seat, run)
        self._take_report(seat, run)
        if seat.job is None:
            return
        if exceeded is None and now >= run.deadline and not self._is_excused(seat, run, now):
            exceeded = Outcome.WALL_LIMIT
        if exceeded is not None:
            self._stop(seat, exceeded)
        seat.next_check = min(now + _CHECK_S, max(run.deadline, now + 0.001))

    def _is_excused(self, seat: Seat, run: Run, now: float) -> bool:
        """At the deadline: gives back the time that was not the program's own.

        That is the time in which the machine had no processor for it, to a bound (in an exam either side may
        have waited for the other, so what both have missed counts), and that in which its examiner computed.
        """
        seats = [other for other in self._seats if other.job is seat.job]
        missed = sum(
            watch.starved_s(other.slot.pid) - (other.run.earlier_delay_s or 0.0)
            for other in seats
            if other.run is not None
        )
        computed = sum(other.run.cpu_s for other in seats if other is not seat and other.run is not None)
        run.grace_s = min(_MOST_GRACE * run.ask.limits.wall_s, missed) + (
            computed if seat.side == CANDIDATE else 0.0
        )
        return now < run.deadline

    def _exceeded_use(self, seat: Seat, run: Run) -> Outcome | None:
        """Totals over all processes of the run: counted by the control group, or else sampled."""
        limits = run.ask.limits
        if seat.slot.group is not None:
            self._note_usage(seat, run)
            if run.kills:
                return Outcome.MEMORY_LIMIT
        else:
            sample = watch.sample(seat.slot.pid)
            run.cpu_s = max(run.cpu_s, sample.cpu_s - run.earlier_cpu_s)
            run.memory_mb = max(run.memory_mb, sample.memory_mb)
            if sample.memory_mb > limits.memory_mb:
                return Outcome.MEMORY_LIMIT
            if sample.processes > limits.processes:
                return Outcome.PROCESS_LIMIT
            if sample.processes == limits.processes:  # the kernel refuses more, and tells nobody
                run.refusals = 1
        return Outcome.CPU_LIMIT if run.cpu_s >= limits.cpu_s else None

    def _is_victim(self, seat: Seat, run: Run) -> bool:
        """Whether the kernel killed it for want of memory that was not its own: no fault of the program's.

        Where no control group counts, a kill that nobody owns to and the kernel's count of such kills must do.
        """
        if seat.slot.group is not None:
            return run.victims > 0
        if not run.was_killed or run.stopped_at or run.decided:
            return False
        before, self._kills_for_memory = self._kills_for_memory, watch.kills_for_memory()
        return self._kills_for_memory > before

    def _overdrawn(self, seat: Seat, run: Run) -> Outcome | None:
        """Where no control group counts: what its largest process took between two looks of the watch."""
        if seat.slot.group is not None or run.memory_mb <= run.ask.limits.memory_mb:
            return None
        own_mb = run.memory_mb - watch.resident_mb(seat.slot.pid)
        return Outcome.MEMORY_LIMIT if own_mb > run.ask.limits.memory_mb else None

    def _stop(self, seat: Seat, reason: Outcome | None) -> None:
        """Kills the program, and with it all that belongs to it; the slot then answers as ever."""
        run = seat.run
        if run is None or run.stopped_at:
            return
        run.stopped_for = reason
        run.stopped_at = time.monotonic()
        seat.next_check = run.stopped_at + _CHECK_S
        seat.slot.end_submission()
