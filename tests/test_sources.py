"""Every kind of file gives the same rows; a bad row is said by its line, and the rest follows."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from proctor.verifiers.files.sources import BadRow, InputError, Row, Source, read_rows

ROWS = [
    {"response": 'He said "four",\nthen 4', "gold": "4"},
    {"response": "五\u2028", "gold": "5"},
    {"response": "", "gold": "6"},
]


def write(folder: Path, kind: str) -> Path:
    path = folder / f"rows.{kind}"
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    if kind == "jsonl.gz":
        path.write_bytes(gzip.compress(lines.encode()))
    elif kind == "json":
        path.write_text(json.dumps(ROWS))
    elif kind in ("csv", "tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(ROWS[0]), delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(ROWS)
    elif kind == "parquet":
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(ROWS), path)
    elif kind == "datasets":
        datasets = pytest.importorskip("datasets")
        datasets.Dataset.from_list(ROWS).save_to_disk(str(path))
    else:
        path.write_text(lines, encoding="utf-8")
    return path


def good(source: Source) -> list[dict[str, object]]:
    rows = list(source)
    assert all(isinstance(row, Row) for row in rows), rows
    return [row.data for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "ndjson", "json", "csv", "tsv", "parquet", "datasets"])
def test_kinds_of_files_give_the_same_rows(tmp_path: Path, kind: str) -> None:
    source = Source(str(write(tmp_path, kind)))
    assert good(source) == ROWS


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet", "datasets"])
def test_fraction_ends_at_one(tmp_path: Path, kind: str) -> None:
    source = Source(str(write(tmp_path, kind)))
    for _ in source:
        last = source.fraction
    assert last == 1.0


def test_json_lines_under_the_name_json(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(write(tmp_path, "jsonl").read_bytes())
    assert good(Source(str(path))) == ROWS
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert good(Source(str(path))) == ROWS


def test_rows_inside_an_object(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"version": 1, "data": ROWS}))
    assert good(Source(str(path))) == ROWS


def test_bad_lines_are_told_and_the_rest_follows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": \n[1, 2]\n"\xff"\n' + b"[" * 100_000 + b'\n{"a": 3} x\n{"a": 2}'
    )
    rows = list(Source(str(path)))

    assert [row.data for row in rows if isinstance(row, Row)] == [{"a": 1}, {"a": 2}]
    assert [(row.number, row.reason.split(":")[0]) for row in rows if isinstance(row, BadRow)] == [
        (3, "broken JSON"),
        (4, "a row must be an object, this is a list"),
        (5, "not UTF-8"),
        (6, "broken JSON"),
        (7, "broken JSON"),
    ]


def test_integer_of_thousands_of_digits_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": ' + "9" * 5000 + '}\n{"a": 2}\n')
    first, second = Source(str(path))
    assert isinstance(first, BadRow)
    assert isinstance(second, Row)


def test_bad_csv_rows_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"response,gold\nx,1\ny\nz,1,2\n\xff,3\nw,4\n")
    rows = list(Source(str(path)))

    assert [row.data["response"] for row in rows if isinstance(row, Row)] == ["x", "w"]
    assert [(row.number, row.reason) for row in rows if isinstance(row, BadRow)] == [
        (3, "1 fields where the header has 2"),
        (4, "3 fields where the header has 2"),
        (5, "not UTF-8"),
    ]


def test_csv_fields_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"response\n{'x' * 200_000}\n")
    assert len(str(good(Source(str(path)))[0]["response"])) == 200_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.jsonl", None, "no such file"),
        ("rows.xlsx", b"", "unknown kind of file; known are .jsonl"),
        ("rows.json", b'{"a": 1}', "expected a list of rows, found an object"),
        ("rows.json", b"[1,", "not JSON"),
        ("rows.jsonl.gz", b"plain", "cannot be read: Not a gzipped file"),
        ("rows.parquet", b"plain", "not readable as Parquet"),
        ("rows.csv", b"", "the first line must name the columns"),
        ("rows.csv", b"a,b,a\n1,2,3\n", "column 'a' stands twice in the header"),
    ],
)
def test_unusable_files_are_told(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(Source(str(path)))
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_pipe_is_no_file_but_can_be_read() -> None:
    with pytest.raises(InputError, match="/dev/null: not a file; - reads JSON lines from standard input"):
        Source("/dev/null")


def test_cut_gzip_gives_what_was_whole_and_then_fails(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    lines = "".join(json.dumps({"n": n, "x": str(n * 7919 % 10007)}) + "\n" for n in range(5000))
    path.write_bytes(gzip.compress(lines.encode())[:-2000])
    rows = []
    with pytest.raises(InputError, match="cannot be read"):
        rows.extend(row.number for row in Source(str(path)))
    assert isinstance(rows, list)


def test_splits_of_a_datasets_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    one = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict({"train": one, "test": one.select([0])}).save_to_disk(str(tmp_path / "d"))

    assert good(Source(str(tmp_path / "d"), split="test")) == ROWS[:1]
    with pytest.raises(
        InputError, match="several splits; name the folder of one \\(test, train\\), or choose with --split"
    ):
        list(Source(str(tmp_path / "d")))


def test_folder_that_is_no_data_set(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(InputError, match="not one that datasets saved"):
        list(Source(str(tmp_path)))


@pytest.mark.parametrize(("kind", "module"), [("parquet", "pyarrow"), ("datasets", "datasets")])
def test_missing_library_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str
) -> None:
    path = write(tmp_path, kind)
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(InputError, match=r"pip install 'proctor\[data\]'"):
        list(Source(str(path)))


def test_all_rows_of_a_file_at_once(tmp_path: Path) -> None:
    """The second completion holds U+2028, which ends no line."""
    assert [row.data for row in read_rows(write(tmp_path, "jsonl"))] == ROWS
    (tmp_path / "bad.jsonl").write_text('{"response": ""}\n\n{"respon')
    with pytest.raises(InputError, match=r"bad.jsonl, line 3: broken JSON"):
        read_rows(tmp_path / "bad.jsonl")
