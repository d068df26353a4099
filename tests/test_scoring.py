"""Scoring streams, keeps groups whole, and is taken up where it stopped without scoring a row twice."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.verifiers.core import Rollout, Score, Status, Verdict
from proctor.verifiers.custom import part
from proctor.verifiers.expression import reward
from proctor.verifiers.files.job import Job, unsaved
from proctor.verifiers.files.rows import Columns
from proctor.verifiers.files.scored import cut_torn_line, dumps, line_of
from proctor.verifiers.files.scoring import Ready, Scored, readable, score_stream
from proctor.verifiers.files.sources import BadRow, InputError, Row, Source
from proctor.verifiers.files.summary import Summary, culprit

SEEN: list[str] = []  # completions that the part below was asked about, in order


@part(bounds=(0, 1))
def scoring_seen(rollout: Rollout) -> float | Verdict:
    """The completion as a number; notes that it was asked."""
    SEEN.append(rollout.completion)
    if rollout.completion == "odd":
        raise RuntimeError("odd")
    return float(rollout.completion) % 2


@part(bounds=(0, 1), per="group")
def scoring_group_size(rollouts: list[Rollout]) -> list[float]:
    return [1 / len(rollouts)] * len(rollouts)


def rows_of(*completions: str, prompt: str = "p") -> list[Row]:
    return [Row(number, {"completion": text, "prompt": prompt}) for number, text in enumerate(completions, 1)]


def write_rows(path: Path, count: int, bad: tuple[int, ...] = ()) -> None:
    lines = [
        "{broken" if n in bad else json.dumps({"id": n, "response": str(n)}) for n in range(1, count + 1)
    ]
    path.write_text("\n".join(lines) + "\n")


def open_job(path: Path, expression: str = "scoring_seen", **options: int) -> Job:
    return Job(Source(str(path)), reward(expression), **options)  # type: ignore[arg-type]


def run(path: Path, out: Path, *, stop_after: int | None = None, expression: str = "scoring_seen") -> Summary:
    """Scores a file in batches of ten; stop_after: batches after which the run is broken off."""
    summary = Summary()
    job = open_job(path, expression)
    with job.open_file(out) as sink:
        for number, batch in enumerate(job.run(sink, batch_size=10), 1):
            summary.add(batch)
            if number == stop_after:
                break
    return summary


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


def test_line_is_the_row_with_reward_and_verdicts(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"response": "1", "precise": 0.10, "x": [1,2]}\n')
    run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")

    text = (tmp_path / "out.jsonl").read_text()
    assert text.startswith('{"response": "1", "precise": 0.10, "x": [1,2], "reward": 1.0, "verdicts": {')
    verdict = json.loads(text)["verdicts"]["scoring_seen"]
    assert sorted(verdict) == ["blame", "evidence", "seconds", "status", "value"]
    assert verdict["value"] == 1.0


def test_old_reward_and_verdicts_are_replaced() -> None:
    row = Row(1, {"completion": "1", "reward": 9, "z": 1}, '{"completion": "1", "reward": 9, "z": 1}')
    scored = Scored(row, Rollout("1"), Score(None, {}))
    assert json.loads(line_of(scored)) == {"completion": "1", "z": 1, "reward": None, "verdicts": {}}


def test_one_failing_row_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"response": "1"}\n{"response": "odd"}\n{"response": "3"}\n')
    summary = run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")

    assert [line["reward"] for line in lines(tmp_path / "out.jsonl")] == [1.0, None, 1.0]
    assert summary.failed
    assert summary.to_json()["unscorable"] == {"grader": 1}


def test_bad_rows_go_to_the_side_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 30, bad=(4, 25))
    summary = run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")

    kept = lines(tmp_path / "out.rejected.jsonl")
    assert [(bad["line"], bad["row"]) for bad in kept] == [(4, "{broken"), (25, "{broken")]
    assert kept[0]["file"] == str(tmp_path / "in.jsonl")
    assert (summary.rollouts, summary.rejected) == (28, 2)


@pytest.mark.parametrize("cut", [0, 1, 30])  # bytes that are missing at the end of the file
def test_interrupted_run_is_taken_up(tmp_path: Path, cut: int) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 95, bad=(7, 31, 60))
    run(source, out, stop_after=3)
    done_before = len(lines(out))
    with out.open("r+b") as file:
        file.truncate(out.stat().st_size - cut)
    SEEN.clear()
    summary = run(source, out)

    good = [n for n in range(1, 96) if n not in (7, 31, 60)]
    assert [line["id"] for line in lines(out)] == good
    assert [bad["line"] for bad in lines(tmp_path / "out.rejected.jsonl")] == [7, 31, 60]
    assert len(SEEN) == len(good) - done_before + (1 if cut else 0)  # only a torn line is scored again
    assert (summary.rollouts, summary.rejected) == (92, 3)
    assert summary.reward.mean == pytest.approx(sum(n % 2 for n in good) / 92)


def test_bad_rows_are_kept_once_when_a_run_is_taken_up(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 20, bad=(7, 18))
    run(source, out)
    whole = out.read_bytes()
    # Killed after the bad rows of the last batch were kept and before its scores were.
    out.write_bytes(b"".join(whole.splitlines(keepends=True)[:14]))
    run(source, out)

    assert [line["id"] for line in lines(out)] == [n for n in range(1, 21) if n not in (7, 18)]
    assert [bad["line"] for bad in lines(tmp_path / "out.rejected.jsonl")] == [7, 18]


def test_finished_run_scores_nothing_again(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 50)
    first = run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    before = (tmp_path / "out.jsonl").read_bytes()
    SEEN.clear()
    again = run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")

    assert SEEN == []
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert again.to_json() == first.to_json()


def test_grown_input_is_scored_on(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 20)
    run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    write_rows(tmp_path / "in.jsonl", 25)
    SEEN.clear()
    assert run(tmp_path / "in.jsonl", tmp_path / "out.jsonl").rollouts == 25
    assert SEEN == ["21", "22", "23", "24", "25"]


def test_other_expression_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 5)
    run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(InputError) as caught:
        run(tmp_path / "in.jsonl", tmp_path / "out.jsonl", expression="2 * scoring_seen")
    assert str(caught.value) == (
        f"{tmp_path / 'out.jsonl'} was made with another reward: scoring_seen, not 2 * scoring_seen;"
        " give another --out, or start again with --overwrite"
    )


def test_other_mapping_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 5)
    run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    job = Job(Source(str(tmp_path / "in.jsonl")), reward("scoring_seen"), mapping={"prompt": "id"})
    with pytest.raises(InputError, match="made with another columns"):
        job.open_file(tmp_path / "out.jsonl")


@pytest.mark.parametrize("changed", ["other text", "fewer rows"])
def test_other_input_is_refused(tmp_path: Path, changed: str) -> None:
    write_rows(tmp_path / "in.jsonl", 5)
    run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    if changed == "fewer rows":
        write_rows(tmp_path / "in.jsonl", 4)
    else:
        text = (tmp_path / "in.jsonl").read_text()
        (tmp_path / "in.jsonl").write_text(text.replace('"4"', '"44"'))
    with pytest.raises(InputError, match=r"has more rows than|line 4, was not made from .* line 4"):
        run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")


def test_file_of_unknown_origin_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 5)
    write_rows(tmp_path / "out.jsonl", 5)
    with pytest.raises(InputError, match=r"out\.jsonl exists, and no out\.run\.json says what made it"):
        run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")


def test_a_refused_file_of_somebody_elses_keeps_its_last_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 5)
    for text in ("notes", "notes\nwithout a line end"):
        (tmp_path / "notes.txt").write_text(text)
        with pytest.raises(InputError, match=r"notes\.txt exists, and no notes\.run\.json says"):
            run(tmp_path / "in.jsonl", tmp_path / "notes.txt")
        assert (tmp_path / "notes.txt").read_text() == text


@pytest.mark.parametrize(
    ("name", "message"),
    [("out.jsonl", r"out\.jsonl, line 1: not as it was"), ("out.run.json", r"out\.run\.json: not as")],
)
def test_a_file_that_was_edited_is_refused(tmp_path: Path, name: str, message: str) -> None:
    write_rows(tmp_path / "in.jsonl", 2)
    run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(text.replace("1.0", "").replace('"step"', ""))
    with pytest.raises(InputError, match=message):
        run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")


def test_overwrite_starts_again(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 5, bad=(2,))
    run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    write_rows(tmp_path / "in.jsonl", 3)
    job = open_job(tmp_path / "in.jsonl", "2 * scoring_seen")
    with job.open_file(tmp_path / "out.jsonl", overwrite=True) as sink:
        list(job.run(sink))
    assert [line["reward"] for line in lines(tmp_path / "out.jsonl")] == [2.0, 0.0, 2.0]
    assert not (tmp_path / "out.rejected.jsonl").exists()


def test_input_is_not_written_over(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 5)
    with pytest.raises(InputError, match="this is the input"):
        open_job(tmp_path / "in.jsonl").open_file(tmp_path / "in.jsonl", overwrite=True)


@pytest.mark.parametrize("name", ["out.rejected.jsonl", "out.run.json"])
def test_side_files_are_not_written_over_the_input(tmp_path: Path, name: str) -> None:
    write_rows(tmp_path / name, 5)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(InputError, match=rf"{name}: this is the input, and --out .*give another"):
        open_job(tmp_path / name).open_file(tmp_path / "out.jsonl", overwrite=True)
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "side"),
    [("in.rejected.jsonl", "in.rejected.rejected.jsonl"), ("in.v1.jsonl", "in.v1.rejected.jsonl")],
)
def test_bad_rows_of_an_input_have_a_file_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, side: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path(name), 3, bad=(2,))
    job = open_job(Path(name))
    with unsaved(job.source) as sink:
        list(job.run(sink))
    assert Path(name).exists()
    assert len(lines(Path(side))) == 1


def test_two_writers_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 5)
    with (
        open_job(tmp_path / "in.jsonl").open_file(tmp_path / "out.jsonl"),
        pytest.raises(InputError, match="another process is writing to it"),
    ):
        open_job(tmp_path / "in.jsonl").open_file(tmp_path / "out.jsonl")


def test_limit_and_then_the_rest(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 20)
    for limit in (5, 12, None):
        job = open_job(tmp_path / "in.jsonl", limit=limit) if limit else open_job(tmp_path / "in.jsonl")
        with job.open_file(tmp_path / "out.jsonl") as sink:
            list(job.run(sink))
        assert len(lines(tmp_path / "out.jsonl")) == (limit or 20)
    assert len(SEEN) == 20


def test_memory_stays_constant(tmp_path: Path) -> None:
    """Ten times the rows, the same number of rows alive at once: batches are handed on, not kept."""
    alive = 0
    most = 0

    class Counted(dict[str, object]):
        def __init__(self, number: int) -> None:
            super().__init__(completion=str(number))
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    columns = Columns({"completion": "completion"})
    items = readable((Row(n, Counted(n)) for n in range(5000)), columns)
    for batch in score_stream(items, reward("scoring_seen"), batch_size=64):
        del batch
    assert len(SEEN) == 5000
    assert most <= 3 * 64


@given(
    sizes=st.lists(st.integers(1, 12), max_size=12),
    batch_size=st.integers(1, 10),
    bad=st.sets(st.integers(0, 60)),
)
@settings(deadline=None)
def test_groups_are_never_split(sizes: list[int], batch_size: int, bad: set[int]) -> None:
    items: list[Ready | BadRow] = []
    for group, size in enumerate(sizes):
        for _ in range(size):
            row = Row(len(items), {})
            is_bad = len(items) in bad
            items.append(
                BadRow(row.number, "bad", "") if is_bad else Ready(row, Rollout("1", f"prompt {group}"))
            )
    group_sizes = {
        f"prompt {group}": sum(isinstance(i, Ready) and i.rollout.prompt == f"prompt {group}" for i in items)
        for group in range(len(sizes))
    }
    results = [
        item
        for batch in score_stream(items, reward("scoring_group_size"), batch_size=batch_size, by_group=True)
        for item in batch
    ]

    assert [item.row.number if isinstance(item, Scored) else item.number for item in results] == list(
        range(len(items))
    )
    for item in results:
        if isinstance(item, Scored):
            assert item.score.total == 1 / group_sizes[str(item.rollout.prompt)]


def test_scattered_groups_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"prompt": p, "completion": "1"}) + "\n" for p in "aabba"))
    job = open_job(path, "scoring_group_size")
    with unsaved(job.source) as sink:
        list(job.run(sink))
    assert job.torn_groups == 1


@given(st.binary(max_size=300_000), st.integers(0, 3))
@settings(deadline=None, max_examples=50)
def test_torn_line_is_cut_and_no_more(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, repeat: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"torn-{os.getpid()}"
    content = data * (1 + 40_000 * repeat // (1 + len(data)))
    path.write_bytes(content)
    with path.open("a+b") as handle:
        cut_torn_line(handle)
    assert path.read_bytes() == content[: content.rfind(b"\n") + 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"x": float("nan"), "y": [float("inf"), 1.5]}, '{"x": null, "y": [null, 1.5]}'),
        ({(1, 2): 3.0}, '{"(1, 2)": 3.0}'),
        ({"x": "五"}, '{"x": "五"}'),
        ({"x": "\ud800"}, '{"x": "\\ud800"}'),
        ({"x": {1}}, '{"x": "{1}"}'),
    ],
)
def test_everything_becomes_json(value: object, text: str) -> None:
    assert dumps(value) == text


def test_fault_of_ours_is_blamed_before_the_reference() -> None:
    verdicts = {
        "a": Verdict(None, Status.BAD_REFERENCE),
        "b": Verdict(None, Status.GRADER_ERROR),
        "c": Verdict(0.0, Status.INCORRECT),
    }
    blame = culprit(Score(None, verdicts))
    assert blame is not None
    assert blame.value == "grader"
    assert culprit(Score(None, {"c": verdicts["c"]})) is None


def test_reward_needs_its_columns(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("nothing\n{}\n")
    with pytest.raises(InputError, match="no column for the completion"):
        open_job(tmp_path / "in.jsonl")
    (tmp_path / "in.jsonl").write_text("nothing\n")
    with pytest.raises(InputError, match=r"no readable row among 1; the first: line 1: broken JSON"):
        open_job(tmp_path / "in.jsonl")
