"""Seats: the slots of a runner, each with its part in a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proctor.sandbox.local.jobs import Job
from proctor.sandbox.local.running import Run
from proctor.sandbox.local.slots import Slot


@dataclass(slots=True, eq=False)
class Seat:
    """A slot with its part in a job. `run` without `job`: an examiner that waits for its next candidate."""

    slot: Slot
    side: str
    place: int  # among the seats of its side: the two of an exam mostly have the same one
    job: Job | None = None
    run: Run | None = None
    keep: str = ""  # the examiner's key
    next_check: float = 0.0
    is_outdated: bool = False  # made after a plan that is no longer ours

    @property
    def is_free(self) -> bool:
        return self.job is None and not (self.run is not None and self.run.stopped_at)

    @property
    def is_watched(self) -> bool:
        """Something runs here that has a deadline; an examiner that waits has none."""
        return self.run is not None and (self.job is not None or bool(self.run.stopped_at))


def best_of(free: Sequence[Seat], keep: str) -> Seat | None:
    """An examiner that knows this key, else an empty seat."""
    for seat in free:
        if seat.run is not None and keep and seat.keep == keep:
            return seat
    return next((seat for seat in free if seat.run is None), None)


def settle_down(seat: Seat, examiner: Seat | None, processor: int | None) -> None:
    """The two sides of an exam to one processor; a command, or both where it is None, wherever there is room.

    They mostly wait for each other, and to wake somebody on another processor is dear. With less to do than
    processors that would keep them from one that is free.
    """
    if examiner is None:
        seat.slot.stay_on(None)
        return
    seat.slot.stay_on(processor)
    examiner.slot.stay_on(processor)
