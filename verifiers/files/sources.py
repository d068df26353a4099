"""Rows of a file, one at a time: JSON lines (gzipped or not), JSON, CSV, Parquet, a `datasets` folder.

Memory stays constant but for `.json`, which is one value and has to be read whole. A row that cannot be
read is handed on as a BadRow, and the rest of the file follows; a file that cannot be read is an InputError.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_DECODER = json.JSONDecoder()  # its raw_decode costs half of json.loads on a line of a kilobyte
_PARQUET_ROWS = 1024  # rows in memory at a time
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NEEDS_DATA = "reading {what} needs {module}, which is not installed: pip install 'proctor[data]'"


class InputError(ValueError):
    """The input, its columns or the output file are not usable: nothing can be scored."""


@dataclass(frozen=True, slots=True)
class Row:
    """One readable row."""

    number: int  # line in the file, from 1; for Parquet, JSON and `datasets` the row, from 1
    data: dict[str, Any]
    raw: str | None = None  # its JSON text where the file has it, so that it can be written back unchanged


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be scored."""

    number: int
    reason: str
    content: Any  # what stood there: text, or the row as data

    def to_json(self, file: str) -> dict[str, Any]:
        return {"file": file, "line": self.number, "reason": self.reason, "row": self.content}


class Source:
    """A file, folder or `-` (JSON lines on standard input) that can be iterated once per call.

    Raises InputError where the path does not exist, its kind is not known, a library is missing, or a split
    is asked of what has none.
    """

    def __init__(self, path: str, *, split: str | None = None) -> None:
        self.name = "standard input" if path == "-" else path
        self.path = None if path == "-" else Path(path)
        self.split = split
        self.kind = "jsonl" if self.path is None else _kind(self.path)
        if split is not None and self.kind != "datasets":
            raise InputError(
                f"{self.name}: --split {split} is for folders that datasets saved; this is one file"
            )
        self._handle: IO[bytes] | None = None
        self._done = self._total = 0

    @property
    def fraction(self) -> float | None:
        """Share of the input that has been read, in bytes or rows; None where the size is not known."""
        if self._handle is not None and self._total:
            return self._handle.tell() / self._total
        return self._done / self._total if self._total else None

    def __iter__(self) -> Iterator[Row | BadRow]:
        readers = {"jsonl": self._lines, "json": self._json, "csv": self._csv, "parquet": self._parquet}
        try:
            yield from readers.get(self.kind, self._dataset)()
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{self.name}: cannot be read: {error}") from error
        finally:
            if self._handle is not None and self.path is not None:
                self._handle.close()
            self._handle = None

    def _open(self) -> IO[bytes]:
        """The bytes of the file, unpacked; `fraction` follows the packed ones."""
        if self.path is None:
            return sys.stdin.buffer
        self._handle = self.path.open("rb")
        self._total = self.path.stat().st_size
        if self.path.suffix == ".gz":
            return gzip.GzipFile(fileobj=self._handle)  # type: ignore[return-value]
        return self._handle

    def _lines(self) -> Iterator[Row | BadRow]:
        for number, line in enumerate(self._open(), 1):
            text = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
            stripped = text.strip()
            if stripped:
                yield parse_line(number, stripped)

    def _json(self) -> Iterator[Row | BadRow]:
        content = self._open().read()
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.name}: not JSON: {error}") from error
        rows = _rows_of(value)
        if rows is None:
            raise InputError(f"{self.name}: expected a list of rows, found {_kind_of(value)}")
        for number, data in enumerate(rows, 1):
            yield _row(number, data)

    def _csv(self) -> Iterator[Row | BadRow]:
        # The module's own limit is 131,072 characters a field, and completions are longer.
        csv.field_size_limit(sys.maxsize)
        options: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
        with io.TextIOWrapper(self._open(), **options) as text:
            reader = csv.reader(text, delimiter="\t" if ".tsv" in self.name else ",")
            header = next(reader, None)
            if not header:
                raise InputError(f"{self.name}: empty; the first line must name the columns")
            for name in filter(None, header):
                if header.count(name) > 1:  # one of them would be scored, and nobody would know which
                    raise InputError(f"{self.name}: column '{name}' stands twice in the header; rename one")
            yield from _csv_rows(reader, header)

    def _parquet(self) -> Iterator[Row | BadRow]:
        try:
            import pyarrow as arrow
            import pyarrow.parquet as parquet
        except ImportError as error:
            raise InputError(_NEEDS_DATA.format(what="Parquet", module="pyarrow")) from error
        try:
            file = parquet.ParquetFile(self.path)
            self._total = file.metadata.num_rows
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                yield from self._numbered(batch.to_pylist())
        except arrow.ArrowException as error:
            raise InputError(f"{self.name}: not readable as Parquet: {error}") from error

    def _dataset(self) -> Iterator[Row | BadRow]:
        try:
            from datasets import Dataset, load_from_disk
        except ImportError as error:
            raise InputError(_NEEDS_DATA.format(what="a datasets folder", module="datasets")) from error
        try:
            loaded = load_from_disk(str(self.path))
        except FileNotFoundError as error:
            raise InputError(f"{self.name}: a folder, but not one that datasets saved: {error}") from error
        if not isinstance(loaded, Dataset):
            loaded = loaded[self._pick_split(sorted(loaded))]
        self._total = len(loaded)
        for batch in loaded.with_format(None).iter(batch_size=_PARQUET_ROWS):
            rows = zip(*batch.values(), strict=True)
            yield from self._numbered([dict(zip(batch, row, strict=True)) for row in rows])

    def _numbered(self, rows: list[dict[str, Any]]) -> Iterator[Row | BadRow]:
        for data in rows:
            self._done += 1
            yield Row(self._done, data)

    def _pick_split(self, known: list[str]) -> str:
        if self.split in known:
            return str(self.split)
        if self.split is None and len(known) == 1:
            return known[0]
        asked = f"no split '{self.split}'" if self.split else "several splits"
        raise InputError(
            f"{self.name}: {asked}; name the folder of one ({', '.join(known)}), or choose with --split"
        )


def read_rows(path: Path) -> list[Row]:
    """All rows of a file in which each must be readable. Raises InputError, naming the line of one that is not.

    A line ends at "\\n" alone: `str.splitlines` cuts at U+2028 and others too, which JSON text may hold.
    """
    rows = []
    for row in Source(str(path)):
        if isinstance(row, BadRow):
            raise InputError(f"{path}, line {row.number}: {row.reason}")
        rows.append(row)
    return rows


def parse_line(number: int, line: bytes) -> Row | BadRow:
    """One line of JSON, stripped, as a row; says what is wrong with it where it is not one."""
    try:
        text = line.decode()
        data, end = _DECODER.raw_decode(text)
        if end != len(text):
            raise json.JSONDecodeError("more after the end", text, end)
    except UnicodeDecodeError as error:
        return BadRow(number, f"not UTF-8: {error.reason}", line.decode(errors="backslashreplace"))
    except json.JSONDecodeError as error:
        return BadRow(number, f"broken JSON: {error.msg} at column {error.colno}", text)
    except (
        ValueError,
        RecursionError,
    ) as error:  # an integer of thousands of digits; brackets nested too deep
        return BadRow(number, f"broken JSON: {error}", text)
    return _row(number, data, text)


def _row(number: int, data: object, raw: str | None = None) -> Row | BadRow:
    if isinstance(data, dict):
        return Row(number, data, raw)
    return BadRow(number, f"a row must be an object, this is {_kind_of(data)}", data)


def _csv_rows(reader: Any, header: list[str]) -> Iterator[Row | BadRow]:
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(reader.line_num, f"broken CSV: {error}", "")
            continue
        if values:
            yield _csv_row(reader.line_num, header, values)


def _csv_row(number: int, header: list[str], values: list[str]) -> Row | BadRow:
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        plain = [value.encode(errors="surrogateescape").decode(errors="backslashreplace") for value in values]
        return BadRow(number, "not UTF-8", plain)
    if len(values) != len(header):
        return BadRow(number, f"{len(values)} fields where the header has {len(header)}", values)
    return Row(number, dict(zip(header, values, strict=True)))


def _kind(path: Path) -> str:
    if path.is_dir():
        return "datasets"
    if not path.is_file():
        known = "not a file; - reads JSON lines from standard input" if path.exists() else "no such file"
        raise InputError(f"{path}: {known}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    kind = _KINDS.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise InputError(f"{path}: unknown kind of file; known are {', '.join(_KINDS)} and datasets folders")
    return "jsonl" if kind == "json" and path.suffix != ".gz" and _is_json_lines(path) else kind


_KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}


def _is_json_lines(path: Path) -> bool:
    """Whether a `.json` file is JSON lines, as many are: the first of several lines is a whole object."""
    with path.open("rb") as file:
        first, second = file.readline(), file.readline()
    return bool(second.strip()) and isinstance(
        parse_line(1, first.removeprefix(_BYTE_ORDER_MARK).strip()), Row
    )


def _rows_of(value: object) -> list[Any] | None:
    """The rows in a JSON value: a list, or the only list of objects that an object holds."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return None
    lists = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
    return lists[0] if len(lists) == 1 else None


def _kind_of(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
