"""One file through one reward, from the first look at its columns to the last batch; nothing is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

from proctor.verifiers.expression import Expression
from proctor.verifiers.expressions.occurrences import occurrences
from proctor.verifiers.files.loading import fingerprint
from proctor.verifiers.files.rows import find_columns
from proctor.verifiers.files.scored import Rejected, ScoredFile, Unsaved, is_same_file, side_files
from proctor.verifiers.files.scoring import Following, GroupWatch, Scored, readable, score_stream
from proctor.verifiers.files.sources import BadRow, InputError, Row, Source

Batch: TypeAlias = "list[Scored | BadRow]"

_NO_GROUPS = (
    "the reward compares the rollouts of a prompt, and no column tells the prompt; "
    "say which does with --map prompt=COLUMN or --map group=COLUMN"
)
_LOOK_AT = 64  # rows that decide which columns there are
_GIVE_UP = 10_000  # rows without one that is readable: not a file of rollouts
_TAKEN_UP = 1024  # rows of an earlier run that are handed on at a time


class Job:
    """What is to be scored, by what, and how its columns are understood.

    Raises InputError where the source has no readable row, or a column that the reward needs is missing.
    """

    def __init__(
        self,
        source: Source,
        reward: Expression,
        *,
        mapping: Mapping[str, str] | None = None,
        limit: int | None = None,
        step: int = 0,
    ) -> None:
        self.source = source
        self.reward = reward
        self.step = step
        self.done_before = 0  # rows that an earlier run had scored or rejected
        self.torn_groups = (
            0  # times that a prompt came back after another; counted where the reward looks at groups
        )
        rows = islice(iter(source), limit)
        head = _first_rows(rows, source.name)
        seen = [row.data for row in head if isinstance(row, Row)]
        always = [name for part, gates in occurrences(reward.node) if not gates for name in part.columns]
        self.columns = find_columns(seen, needed=reward.columns, always=always, given=mapping)
        if reward.by_group and not {"prompt", "group"} & set(self.columns.sources):
            raise InputError(f"{source.name}: {_NO_GROUPS}")
        found = [name for name in self.columns.sources if name not in self.columns.unseen]
        self.names = list(dict.fromkeys([*found, *(name for row in seen for name in row)]))
        self._rows: Iterator[Row | BadRow] = chain(head, rows)

    def open_file(self, path: Path, *, overwrite: bool = False, loaded: Sequence[Path] = ()) -> ScoredFile:
        """The file to keep scores in, or to take up again. loaded: files that define parts of the reward."""
        if path.exists() and not path.is_file():
            what = (
                "this is a folder; name a file in it" if path.is_dir() else "not a file; - is standard output"
            )
            raise InputError(f"--out {path}: {what}")
        for written in (path, *side_files(path)):
            if self.source.path is not None and is_same_file(written, self.source.path):
                raise InputError(
                    f"{written}: this is the input, and --out {path} writes to it; give another --out"
                )
        if path.suffix == ".gz":
            raise InputError(f"{path}: scored rows are plain JSON lines, so that a run can be taken up again")
        made_by: dict[str, Any] = {
            "reward": str(self.reward),
            "hash": self.reward.hash,
            "columns": dict(self.columns.sources),
            "step": self.step,
        } | ({"code of --load": fingerprint(loaded)} if loaded else {})
        return ScoredFile(path, made_by, source=self.source.name, overwrite=overwrite)

    def run(self, sink: ScoredFile | Unsaved, *, batch_size: int = 1024) -> Iterator[Batch]:
        """Scores what the sink does not have yet. Hands on everything, in order, what it has first."""
        items = Following(readable(self._rows, self.columns))
        by_group = self.reward.by_group
        earlier = sink.earlier(items, by_group=by_group)
        while batch := list(islice(earlier, _TAKEN_UP)):
            self.done_before += len(batch)
            yield batch
        watch = GroupWatch() if by_group else None
        for batch in score_stream(
            items, self.reward, batch_size=batch_size, by_group=by_group, step=self.step
        ):
            sink.write(batch)
            if watch is not None:
                self.torn_groups = watch.see(batch)
            yield batch


def _first_rows(rows: Iterator[Row | BadRow], name: str) -> list[Row | BadRow]:
    """Enough rows to know the columns from: 64 readable ones, where there are as many."""
    head: list[Row | BadRow] = []
    readable_rows = 0
    for row in islice(rows, _GIVE_UP):
        head.append(row)
        readable_rows += isinstance(row, Row)
        if readable_rows == _LOOK_AT:
            break
    if not head:
        raise InputError(f"{name}: empty, there is no row to score")
    if not readable_rows:
        first = f"line {head[0].number}: {head[0].reason}"  # type: ignore[union-attr]
        raise InputError(f"{name}: no readable row among {len(head):,}; the first: {first}")
    return head


def unsaved(source: Source, stream: Any = None) -> Unsaved:
    """Keeps no scores; bad rows still go to `NAME.rejected.jsonl` in the current folder.

    NAME is the input's name without its kind, so that this is never the input itself. Where a run has kept its
    scores under that name, its own rejected rows stay as they are.
    """
    name = "stdin" if source.path is None else Path(source.path.name.removesuffix(".gz")).stem
    if side_files(Path(f"{name}.jsonl"))[0].exists():
        name += ".unsaved"
    return Unsaved(Rejected(Path(f"{name}.rejected.jsonl"), source.name), stream)
