"""The file of scored rows: written as scoring goes, repaired and taken up again after an interruption.

Beside `scored.jsonl` lie `scored.run.json` (what made it) and, if rows were bad, `scored.rejected.jsonl`.
A line is the input row as it stood there, with `reward` and `verdicts` added. Taking up again compares every
line with the row that it came from, so that no row is scored twice, skipped, or paid for another's answer.
What is not covered: a disk that loses what the kernel had accepted; the file is flushed, not synced.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from proctor.verifiers.core import Score, Verdict
from proctor.verifiers.files.scoring import Following, Ready, Scored
from proctor.verifiers.files.sources import BadRow, InputError, Row

_SURROGATE = re.compile("[\ud800-\udfff]")

ADDED = ("reward", "verdicts")  # what a line has more than its row

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str, check_circular=False)


def dumps(value: object) -> str:
    """JSON text that any reader takes: NaN and infinities become null, lone surrogates stay escapes."""
    return to_bytes(_dumps(value)).decode()


def to_bytes(text: str) -> bytes:
    """JSON text as UTF-8, with lone surrogates, which that cannot hold, as escapes."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _dumps(value: object) -> str:
    try:
        return _ENCODER.encode(value)
    except (ValueError, TypeError):  # a number that JSON has not; a key that is no text
        return _ENCODER.encode(_finite(value))


def line_of(scored: Scored) -> str:
    """The row with its reward and verdicts, as one line of JSON; may hold lone surrogates."""
    verdicts = {name: verdict.to_json() for name, verdict in scored.score.verdicts.items()}
    added = _dumps({"reward": scored.score.total, "verdicts": verdicts})
    return f"{_opening(scored.row)}{added[1:]}\n"


def side_files(path: Path) -> tuple[Path, Path]:
    """What lies beside a file of scored rows: what made it, and the rows that are bad."""
    return path.with_name(f"{path.stem}.run.json"), path.with_name(f"{path.stem}.rejected.jsonl")


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file, by name or by link; neither has to exist."""
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


class ScoredFile:
    """Where scored rows go. Use as a context; one process at a time holds it.

    Raises InputError where the file exists and something else made it, or another process writes to it.
    """

    def __init__(
        self, path: Path, made_by: Mapping[str, Any], *, source: str, overwrite: bool = False
    ) -> None:
        self.path = path
        self.source = source
        self.rejected = Rejected(side_files(path)[1], source)
        self._made_by = dict(made_by)
        self._handle = open_alone(path)
        try:
            self._take_up(overwrite)
        except BaseException:
            self._handle.close()
            raise

    def __enter__(self) -> ScoredFile:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what could not be flushed was told when it was written
            self._handle.close()
        self.rejected.close()

    def earlier(self, items: Following, *, by_group: bool = False) -> Iterator[Scored | BadRow]:
        """What an earlier run did, each line with its row taken from `items`; what is left in it is to do.

        by_group: the rows of the last prompt are scored again where the earlier run had not seen all of them.

        Raises InputError where a line is not of the row in its place.
        """
        last: list[Scored | BadRow] = []  # of one prompt, with the bad rows in front of each
        key: Hashable = None
        start = end = 0  # of its lines in the file
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                bad, item = _next_row(items)
                if item is None:
                    raise InputError(
                        f"{self.path} has more rows than are to be read of {self.source}{_WAY_OUT}"
                    )
                if not by_group or item.rollout.group_key != key:
                    yield from self._kept(last)
                    last, start, key = [], end, item.rollout.group_key if by_group else None
                last += [*bad, self._restore(item, line, number)]
                end += len(line)
        bad, item = _next_row(items) if by_group and last else ([], None)
        items.put_back(bad if item is None else [*bad, item])
        if item is not None and item.rollout.group_key == key:
            items.put_back(Ready(one.row, one.rollout) if isinstance(one, Scored) else one for one in last)
            self._handle.truncate(start)
        else:
            yield from self._kept(last)

    def write(self, batch: Iterable[Scored | BadRow]) -> None:
        """Adds what is scored, and what is not to the side file. Hands all of it to the kernel."""
        lines = []
        for item in batch:
            if isinstance(item, BadRow):
                self.rejected.write(item)
            else:
                lines.append(line_of(item))
        with told(self.path):
            self._handle.write(to_bytes("".join(lines)))
            self._handle.flush()

    def _take_up(self, overwrite: bool) -> None:
        if overwrite:
            self._handle.truncate(0)
        if self._handle.seek(0, os.SEEK_END):
            check_stamp(self.path, self._made_by)  # before a line is cut off: the file may be another's
            cut_torn_line(self._handle)
        if not self._handle.tell():
            self.rejected.start_again()
            write_stamp(self.path, self._made_by)

    def _kept(self, items: Iterable[Scored | BadRow]) -> Iterator[Scored | BadRow]:
        """Hands items on; the side file has those that are bad, unless somebody took it away."""
        for item in items:
            if isinstance(item, BadRow):
                self.rejected.write(item)
            yield item

    def _restore(self, item: Ready, line: bytes, number: int) -> Scored:
        opening = to_bytes(_opening(item.row))
        if not line.startswith(opening):
            place = f"{self.path}, line {number}, was not made from {self.source}, line {item.row.number}"
            raise InputError(f"{place}: it is another input, or it has changed{_WAY_OUT}")
        try:
            added = json.loads(b"{" + line[len(opening) :])
            verdicts = {name: Verdict.from_json(verdict) for name, verdict in added["verdicts"].items()}
            return Scored(item.row, item.rollout, Score(added["reward"], verdicts))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.path}, line {number}: not as it was written ({error}){_WAY_OUT}"
            ) from error


def _next_row(items: Iterator[Ready | BadRow]) -> tuple[list[BadRow], Ready | None]:
    """The bad rows that come first, and the row that follows them, None at the end."""
    bad: list[BadRow] = []
    for item in items:
        if isinstance(item, Ready):
            return bad, item
        bad.append(item)
    return bad, None


def open_alone(path: Path) -> IO[bytes]:
    """A file to append to and read, held until it is closed. Raises InputError where another process holds it."""
    try:
        handle = path.open("a+b")
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.close()
        raise InputError(f"{path}: another process is writing to it") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    return handle


def write_stamp(path: Path, made_by: Mapping[str, Any]) -> None:
    """Writes down beside a file what makes it."""
    text = json.dumps(made_by, indent=2, ensure_ascii=False)
    side_files(path)[0].write_text(text + "\n", encoding="utf-8")


def check_stamp(path: Path, made_by: Mapping[str, Any]) -> None:
    """Raises InputError where something else made the file, or it is not known what did."""
    stamp = side_files(path)[0]
    if not stamp.is_file():
        raise InputError(f"{path} exists, and no {stamp.name} says what made it{_WAY_OUT}")
    try:
        before = dict(json.loads(stamp.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{stamp}: not as it was written ({error}){_WAY_OUT}") from error
    for name, now in made_by.items():
        if before.get(name) != now:
            then = before.get(name)
            raise InputError(f"{path} was made with another {name}: {then}, not {now}{_WAY_OUT}")


_WAY_OUT = "; give another --out, or start again with --overwrite"


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Says which file it was where writing fails: a full disk's own error names none."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror}; what it has is kept, and the same command goes on there"
        ) from error


class Unsaved:
    """Where scored rows go when no file is kept: nowhere, or into a stream that cannot be taken up again."""

    def __init__(self, rejected: Rejected, stream: IO[bytes] | None = None) -> None:
        self.rejected = rejected
        self._stream = stream
        rejected.start_again()

    def __enter__(self) -> Unsaved:
        return self

    def __exit__(self, *_: object) -> None:
        self.rejected.close()

    def earlier(self, items: Following, *, by_group: bool = False) -> Iterator[Scored | BadRow]:
        """Nothing: every run starts at the first row."""
        return iter(())

    def write(self, batch: Iterable[Scored | BadRow]) -> None:
        """Hands on what is scored; what is not goes to the side file."""
        for item in batch:
            if isinstance(item, BadRow):
                self.rejected.write(item)
            elif self._stream is not None:
                self._stream.write(to_bytes(line_of(item)))
        if self._stream is not None:
            self._stream.flush()


class Rejected:
    """The side file of rows that could not be scored. It is made with the first of them."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.source = source
        self._handle: IO[bytes] | None = None
        self._last = 0  # number of the last row in the file

    def start_again(self) -> None:
        """Forgets an earlier run."""
        if self.path.exists():  # a folder that cannot be written to is none of our business without bad rows
            self.path.unlink()

    def write(self, bad: BadRow) -> None:
        """Adds a row, unless an earlier run did."""
        if self._handle is None:
            self._handle = self.path.open("a+b")
            cut_torn_line(self._handle)
            self._handle.seek(0)
            for line in self._handle:
                self._last = json.loads(line)["line"]
        if bad.number > self._last:
            with told(self.path):
                self._handle.write((dumps(bad.to_json(self.source)) + "\n").encode())
                self._handle.flush()
            self._last = bad.number

    def close(self) -> None:
        if self._handle is not None:
            with suppress(OSError):  # as above
                self._handle.close()


def cut_torn_line(handle: IO[bytes]) -> None:
    """Cuts off what stands after the last line end: a line that an interruption left unfinished."""
    end = handle.seek(0, os.SEEK_END)
    step = 1 << 16
    start = end
    while start > 0:
        start = max(0, start - step)
        handle.seek(start)
        found = handle.read(min(step, end - start)).rfind(b"\n")
        if found >= 0:
            start += found + 1
            break
    if start < end:
        handle.truncate(start)
    handle.seek(0, os.SEEK_END)


def _opening(row: Row) -> str:
    """The row's JSON without its closing brace, ready for more fields."""
    text = row.raw
    if text is None or "reward" in row.data or "verdicts" in row.data:
        text = _dumps({name: value for name, value in row.data.items() if name not in ADDED})
    inside = text[:-1].rstrip()
    return inside if inside == "{" else f"{inside}, "


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
