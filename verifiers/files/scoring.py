"""A stream of rows through a reward: in batches, in order, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from proctor.verifiers.core import Reward, Rollout, Score
from proctor.verifiers.files.rows import Columns, RowError
from proctor.verifiers.files.sources import BadRow, Row

# A batch is written when it is done, so that an interruption costs at most about this much work.
_BATCH_SECONDS = 1.0
_FIRST_BATCH = 32


@dataclass(frozen=True, slots=True)
class Ready:
    """A row that can be scored."""

    row: Row
    rollout: Rollout


@dataclass(frozen=True, slots=True)
class Scored:
    """A row with its score."""

    row: Row
    rollout: Rollout
    score: Score


class Following(Iterator["Ready | BadRow"]):
    """The rows that follow; what was looked at too early can be put back."""

    def __init__(self, items: Iterable[Ready | BadRow]) -> None:
        self._items = iter(items)

    def __next__(self) -> Ready | BadRow:
        return next(self._items)

    def put_back(self, items: Iterable[Ready | BadRow]) -> None:
        """Has these come next, in their order."""
        self._items = chain(items, self._items)


def readable(rows: Iterable[Row | BadRow], columns: Columns) -> Iterator[Ready | BadRow]:
    """Each row with its Rollout; a row with a missing or ill-typed field is a BadRow."""
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            yield Ready(row, columns.rollout(row.data))
        except RowError as error:
            yield BadRow(row.number, str(error), row.data if row.raw is None else row.raw)


def score_stream(
    items: Iterable[Ready | BadRow],
    reward: Reward,
    *,
    batch_size: int = 1024,
    by_group: bool = False,
    step: int = 0,
) -> Iterator[list[Scored | BadRow]]:
    """Scores rows as they come and hands them on batch by batch, each about a second of work.

    Args:
        batch_size: the most rows in a batch.
        by_group: never split neighbouring rows of one prompt; a batch may then be longer.
        step: training step, for weights on a schedule.
    """
    size = min(_FIRST_BATCH, batch_size)
    following = iter(items)
    kept: list[Ready | BadRow] = []  # the first row of the next prompt, seen too early
    while batch := kept + list(islice(following, size)):
        kept = _complete_group(batch, following) if by_group else []
        start = time.monotonic()
        yield score_batch(batch, reward, step=step)
        size = _next_size(size, batch_size, time.monotonic() - start)


def _complete_group(batch: list[Ready | BadRow], following: Iterator[Ready | BadRow]) -> list[Ready | BadRow]:
    """Adds to the batch what belongs to its last prompt; returns the first row that does not."""
    last = next((item.rollout.group_key for item in reversed(batch) if isinstance(item, Ready)), None)
    for item in following:
        if isinstance(item, Ready) and item.rollout.group_key != last:
            return [item]
        batch.append(item)
    return []


def score_batch(batch: Sequence[Ready | BadRow], reward: Reward, *, step: int = 0) -> list[Scored | BadRow]:
    """The batch in its order, every readable row scored in one call."""
    rollouts = rollouts_of(batch)
    return rejoin(batch, reward.score(rollouts, step=step) if rollouts else [])


def rollouts_of(batch: Iterable[Ready | BadRow]) -> list[Rollout]:
    """The rollouts that can be scored."""
    return [item.rollout for item in batch if isinstance(item, Ready)]


def rejoin(batch: Iterable[Ready | BadRow], scores: Iterable[Score]) -> list[Scored | BadRow]:
    """The batch in its order, with the scores of its rollouts."""
    following = iter(scores)
    return [
        item if isinstance(item, BadRow) else Scored(item.row, item.rollout, next(following))
        for item in batch
    ]


class GroupWatch:
    """Notices prompts whose rollouts are not neighbours, which a reward within groups would tear apart.

    Keeps eight bytes of hash for each prompt.
    """

    def __init__(self) -> None:
        self.torn = 0  # times that a prompt came back after another one
        self._seen: set[int] = set()
        self._last: int | None = None

    def see(self, batch: Iterable[Scored | BadRow]) -> int:
        """Takes note of a batch; returns `torn` so far."""
        for item in batch:
            if isinstance(item, Scored):
                self._see(hash(item.rollout.group_key))
        return self.torn

    def _see(self, key: int) -> None:
        if key == self._last:
            return
        self.torn += key in self._seen
        self._seen.add(key)
        self._last = key


def _next_size(size: int, most: int, seconds: float) -> int:
    if seconds < _BATCH_SECONDS / 2:
        return min(size * 2, most)
    return max(1, size // 2) if seconds > 2 * _BATCH_SECONDS else size
