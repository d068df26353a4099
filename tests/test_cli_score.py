"""`proctor score`: what it writes where, its exit codes, and that an interrupted run is taken up."""

import gzip
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli_session import PARTS, RIGHT, ROLLOUTS, ROOT, enter, lines, score


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)


def test_score_agrees_with_the_record() -> None:
    result = score("rollouts.jsonl", "--out", "scored.jsonl")

    assert result.exit_code == 0, result.output
    scored = lines("scored.jsonl")
    assert [row["reward"] for row in scored] == [float(row["is_correct"]) for row in scored]
    assert list(scored[0])[-2:] == ["reward", "verdicts"]
    assert {k: v for k, v in scored[0].items() if k not in ("reward", "verdicts")} == lines("rollouts.jsonl")[
        0
    ]


def test_data_on_stdout_and_talk_on_stderr() -> None:
    result = score("rollouts.jsonl", "--out", "scored.jsonl")

    assert "columns: completion = response, answer = gold, prompt = question" in result.stderr
    assert "written: scored.jsonl" in result.stderr
    assert re.search(rf"correct +{RIGHT}\n", result.stdout)
    assert re.search(r"cli_right +0\.3542 +48", result.stdout)  # 17 / 48 = 0.3542
    assert "48 rows = 48 with a reward + 0 without + 0 bad" in result.stdout


def test_scored_rows_on_stdout() -> None:
    result = score("rollouts.jsonl", "--out", "-")
    assert [json.loads(line)["reward"] for line in result.stdout.splitlines()].count(1.0) == RIGHT
    assert "48 rows" in result.stderr


def test_summary_as_json() -> None:
    summary = json.loads(score("rollouts.jsonl", "--json").stdout)

    assert summary["reward"] == {"mean": RIGHT / 48, "scored": 48}
    assert summary["parts"]["cli_right"]["statuses"] == {"incorrect": 48 - RIGHT, "correct": RIGHT}
    assert summary["columns"] == {"completion": "response", "prompt": "question", "answer": "gold"}


def test_json_and_rows_cannot_both_have_stdout() -> None:
    result = score("rollouts.jsonl", "--json", "--out", "-")
    assert result.exit_code == 2
    assert "both want standard output" in result.stderr


def test_rows_from_standard_input() -> None:
    result = score("-", "--json", given=ROLLOUTS.read_text())
    assert json.loads(result.stdout)["reward"]["mean"] == RIGHT / 48


@pytest.mark.parametrize("kind", ["jsonl.gz", "json", "csv", "parquet"])
def test_kinds_of_files(kind: str) -> None:
    rows = lines("rollouts.jsonl")
    if kind == "jsonl.gz":
        Path("r.jsonl.gz").write_bytes(gzip.compress(ROLLOUTS.read_bytes()))
    elif kind == "json":
        Path("r.json").write_text(json.dumps(rows))
    else:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(rows)
        frame.to_csv("r.csv", index=False) if kind == "csv" else frame.to_parquet("r.parquet")
    result = score(f"r.{kind}", "--out", "scored.jsonl")

    assert result.exit_code == 0, result.output
    assert [row["reward"] for row in lines("scored.jsonl")].count(1.0) == RIGHT


def test_bad_rows_are_reported_kept_and_counted() -> None:
    text = ROLLOUTS.read_text().splitlines()
    text[3] = text[3][:50]
    text[9] = json.dumps({"response": 5, "gold": "1"})
    text[20] = json.dumps({"response": "A: 1"})
    Path("bad.jsonl").write_text("\n".join(text))
    result = score("bad.jsonl", "--out", "scored.jsonl")

    assert result.exit_code == 1
    assert "bad.jsonl:4: broken JSON: Unterminated string" in result.stderr
    assert "bad.jsonl:10: field 'response' cannot be the completion: expected text" in result.stderr
    assert "bad.jsonl:21: field 'gold' is missing; the row has response" in result.stderr
    assert "3 bad rows are kept in scored.rejected.jsonl" in result.stderr
    assert [row["line"] for row in lines("scored.rejected.jsonl")] == [4, 10, 21]
    assert len(lines("scored.jsonl")) == 45
    assert "48 rows = 45 with a reward + 0 without + 3 bad" in result.stdout


def test_rejected_rows_of_a_run_outlast_a_second_look_at_its_scores() -> None:
    Path("bad.jsonl").write_text("{\n" + ROLLOUTS.read_text())
    score("bad.jsonl", "--out", "scored.jsonl")
    score("scored.jsonl", "--map", "answer=gold")
    assert [row["line"] for row in lines("scored.rejected.jsonl")] == [1]


def test_rejected_rows_that_were_taken_away_are_kept_again() -> None:
    Path("bad.jsonl").write_text("{\n" + ROLLOUTS.read_text())
    score("bad.jsonl", "--out", "scored.jsonl")
    Path("scored.rejected.jsonl").unlink()
    score("bad.jsonl", "--out", "scored.jsonl")
    assert [row["line"] for row in lines("scored.rejected.jsonl")] == [1]


def test_only_the_first_bad_rows_are_reported() -> None:
    Path("bad.jsonl").write_text(ROLLOUTS.read_text() + "{\n" * 100)
    result = score("bad.jsonl")
    assert result.stderr.count("broken JSON") == 5
    assert len(lines("bad.rejected.jsonl")) == 100


def test_names_in_a_file_do_not_steer_the_terminal() -> None:
    Path("bad.jsonl").write_text('{"response": "1", "gold": "1"}\n{"\\u001b[2J": 1, "response": "1"}\n')
    result = score("bad.jsonl")
    assert "\x1b" not in result.stderr
    assert "field 'gold' is missing; the row has �[2J, response" in result.stderr


def test_fault_of_ours_is_no_reward_and_exit_code_1() -> None:
    Path("r.jsonl").write_text('{"response": "crash", "gold": "1"}\n{"response": "1", "gold": "1"}\n')
    result = score("r.jsonl", "--out", "scored.jsonl")

    assert result.exit_code == 1
    assert [row["reward"] for row in lines("scored.jsonl")] == [None, 1.0]
    verdict = lines("scored.jsonl")[0]["verdicts"]["cli_right"]
    assert (verdict["value"], verdict["blame"]) == (None, "grader")
    assert "1 without (blame grader 1)" in result.stdout
    assert "blame grader: 1 rows; the first is r.jsonl:1: cli_right: none (grader_error" in result.stderr


def test_why_rows_have_no_reward_is_told_once_for_each_blame() -> None:
    rows = ['{"response": "1", "answer": "1"}\n', *['{"response": "2", "answer": null}\n'] * 3]
    Path("r.jsonl").write_text("".join(rows))
    result = score("r.jsonl", reward="math")
    assert result.stderr.count("column 'answer' is missing") == 1
    assert "blame configuration: 3 rows; the first is r.jsonl:2: math: misconfigured, column" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.jsonl"], "no.jsonl: no such file"),
        (
            ["rollouts.jsonl", "--map", "answer=golld"],
            "no column 'golld' to take the answer from (did you mean 'gold'?)",
        ),
        (["rollouts.jsonl", "--map", "answer"], "--map answer: expected --map OURS=THEIRS"),
        (["rollouts.jsonl", "--out", "rollouts.jsonl"], "this is the input"),
        (["rollouts.jsonl", "--out", "scored.jsonl.gz"], "scored rows are plain JSON lines"),
        (["rollouts.jsonl", "--out", "."], "--out .: this is a folder; name a file in it"),
        (["rollouts.jsonl", "--out", ""], "--out .: this is a folder; name a file in it"),
        (["rollouts.jsonl", "--out", "/dev/full"], "--out /dev/full: not a file; - is standard output"),
        (["rollouts.jsonl", "--out", "linked.jsonl", "--overwrite"], "this is the input"),
        (["rollouts.jsonl", "--report", "rollouts.jsonl"], "--report rollouts.jsonl: this is the input"),
        (["rollouts.jsonl", "--report", "o.jsonl", "--out", "o.jsonl"], "or belongs to --out"),
        (["rollouts.jsonl", "--report", "o.run.json", "--out", "o.jsonl"], "or belongs to --out"),
        (["rollouts.jsonl", "--out", "no/scored.jsonl"], "cannot be written: No such file or directory"),
        (["rollouts.jsonl", "--split", "train"], "--split train is for folders that datasets saved"),
        (["empty.jsonl"], "empty.jsonl: empty, there is no row to score"),
        (["rollouts.jsonl", "--load", "no.py"], "no.py: no Python file of that name"),
        (["rollouts.jsonl", "--report", "no/report.html"], "--report no/report.html: there is no folder no"),
        (
            ["rollouts.jsonl", "--report", "."],
            "--report .: this is a folder; name a file in it, such as report.html",
        ),
    ],
)
def test_what_cannot_run_says_why(arguments: list[str], message: str) -> None:
    Path("empty.jsonl").touch()
    Path("linked.jsonl").hardlink_to("rollouts.jsonl")
    before = Path("rollouts.jsonl").read_bytes()
    result = score(*arguments)
    assert result.exit_code == 2
    assert Path("rollouts.jsonl").read_bytes() == before
    assert "error: " in result.stderr
    assert message in result.stderr.replace("\n", " ")
    assert result.stdout == ""


def test_mistake_in_an_expression_has_its_caret() -> None:
    result = score("rollouts.jsonl", reward="cli_right + 0.1 * cli_shrt")

    assert result.exit_code == 2
    source, carets = result.stderr.splitlines()[1:3]
    assert source[carets.index("^") : carets.rindex("^") + 1] == "cli_shrt"
    assert "did you mean 'cli_short'?" in result.stderr


def test_reward_from_a_file() -> None:
    Path("text.toml").write_text('reward = "cli_right + 0.5 * cli_short(limit=1)"\n')
    Path("table.toml").write_text('[reward]\ncli_right = 1\n"cli_short(limit=1)" = 0.5\n')
    hashes = {
        json.loads(score("rollouts.jsonl", "--json", reward=name).stdout)["hash"]
        for name in ("text.toml", "table.toml")
    }
    assert len(hashes) == 1

    Path("wrong.toml").write_text('rewards = "cli_right"\n')
    assert 'wrong.toml: needs reward = "..."' in score("rollouts.jsonl", reward="wrong.toml").stderr
    Path("wrong.toml").write_text("[reward]\ncli_right = true\n")
    result = score("rollouts.jsonl", reward="wrong.toml")
    assert result.exit_code == 2
    assert "error: wrong.toml: the weight of 'cli_right' must be a number or text" in result.stderr


def test_warnings_of_the_checker_come_once_and_before_scoring() -> None:
    result = score("rollouts.jsonl", reward="cli_right + 2 * cli_short")
    assert result.stderr.count("warning: dominance") == 1


def test_groups_that_are_torn_are_told() -> None:
    rows = lines("rollouts.jsonl")
    Path("torn.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[::2] + rows[1::2]))
    assert "12 times a prompt came back" in score("torn.jsonl", reward="cli_share").stderr
    assert "came back" not in score("rollouts.jsonl", reward="cli_share").stderr


def test_groups_need_a_column() -> None:
    Path("r.jsonl").write_text('{"response": "1"}\n')
    result = score("r.jsonl", reward="cli_share")
    assert result.exit_code == 2
    assert "say which does with --map prompt=COLUMN or --map group=COLUMN" in result.stderr


def test_rows_of_two_kinds_have_their_own_columns() -> None:
    Path("r.jsonl").write_text(
        '{"response": "1", "gold": "1", "task": "m"}\n{"response": "1", "task": "s"}\n'
    )
    result = score("r.jsonl", "--out", "o.jsonl", reward='cli_right if task == "m" else 0.5 * cli_short')
    assert result.exit_code == 0, result.output
    assert [row["reward"] for row in lines("o.jsonl")] == [1.0, 0.5]


def test_second_run_finds_everything_done() -> None:
    first = score("rollouts.jsonl", "--out", "scored.jsonl")
    before = Path("scored.jsonl").read_bytes()
    second = score("rollouts.jsonl", "--out", "scored.jsonl")
    assert second.exit_code == 0
    assert second.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]
    assert Path("scored.jsonl").read_bytes() == before


def test_other_expression_is_refused_unless_overwritten() -> None:
    score("rollouts.jsonl", "--out", "scored.jsonl")
    refused = score("rollouts.jsonl", "--out", "scored.jsonl", reward="cli_short")
    assert refused.exit_code == 2
    assert "was made with another reward: cli_right, not cli_short" in refused.stderr
    assert "--overwrite" in refused.stderr

    assert score("rollouts.jsonl", "--out", "scored.jsonl", "--overwrite", reward="cli_short").exit_code == 0
    assert "cli_short" in lines("scored.jsonl")[0]["verdicts"]


def test_other_code_of_a_part_is_refused_as_another_expression_is() -> None:
    own = "import proctor\n\n@proctor.part(bounds=(0, 2))\ndef cli_own(rollout):\n    return {}\n"
    asked = ("rollouts.jsonl", "--out", "scored.jsonl", "--load", "own.py")
    for value, again, code in ((1, (), 0), (1, (), 0), (2, (), 2), (2, ("--overwrite",), 0)):
        Path("own.py").write_text(own.format(value))
        result = score(*asked, *again, reward="cli_own")
        assert result.exit_code == code, result.stderr
        assert ("was made with another code of --load" in result.stderr) is (code == 2)
    assert {row["reward"] for row in lines("scored.jsonl")} == {2.0}


def test_a_name_that_nothing_reads_is_told() -> None:
    result = score("rollouts.jsonl", "--map", "anwser=gold", "--map", "answer=gold")
    assert result.exit_code == 0
    assert "--map anwser=gold: neither one of completion, prompt, answer, tests" in result.stderr
    assert result.stderr.count("neither one of") == 1


def test_report_is_written() -> None:
    score("rollouts.jsonl", "--report", "report.html")
    page = Path("report.html").read_text(encoding="utf-8")
    assert "<title>rollouts.jsonl: cli_right</title>" in page
    assert page.count('"n": ') == 48


def test_a_full_disk_names_the_file_and_the_run_can_go_on() -> None:
    score("rollouts.jsonl", "--out", "whole.jsonl")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path("whole.jsonl").stat().st_size // 2, most))
    try:
        full = score("rollouts.jsonl", "--out", "scored.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert full.exit_code == 2
    assert "scored.jsonl: cannot be written: File too large; what it has is kept" in full.stderr
    assert score("rollouts.jsonl", "--out", "scored.jsonl").exit_code == 0
    assert len(lines("scored.jsonl")) == 48


def test_a_report_that_cannot_be_written_takes_no_summary_with_it() -> None:
    Path("report.html").symlink_to("/dev/full")
    result = score("rollouts.jsonl", "--report", "report.html")
    assert result.exit_code == 2
    assert "48 rows = 48 with a reward" in result.stdout
    assert "report.html: cannot be written: No space left on device" in result.stderr


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own, whose parts are slow."""
    command = [
        sys.executable,
        "-m",
        "proctor",
        "score",
        "big.jsonl",
        "--load",
        PARTS,
        "--out",
        "scored.jsonl",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*command, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore it, and so would all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_lines(path: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if Path(path).exists() and Path(path).stat().st_size > 0:
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing was written: {process.communicate()}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_run_that_was_ended_is_taken_up(how: signal.Signals) -> None:
    rows = lines("rollouts.jsonl") * 10
    text = [json.dumps({**row, "id": number}) for number, row in enumerate(rows)]
    text[5] = "{broken"
    Path("big.jsonl").write_text("\n".join(text) + "\n")
    arguments = ("--reward", "cli_right(slow=0.004)", "--batch-size", "50")
    process = start(*arguments)
    wait_for_lines("scored.jsonl", process)
    process.send_signal(how)
    _, talk = process.communicate(timeout=60)
    done = len(Path("scored.jsonl").read_bytes().splitlines())
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on from here" in talk
    with Path("scored.jsonl").open("r+b") as file:  # a kill may come in the middle of a line
        file.truncate(Path("scored.jsonl").stat().st_size - 7)
    again = start(*arguments)
    table, _ = again.communicate(timeout=60)

    assert 0 < done < 479
    assert again.returncode == 1
    assert [row["id"] for row in lines("scored.jsonl")] == [number for number in range(480) if number != 5]
    assert len(lines("scored.rejected.jsonl")) == 1
    assert "480 rows = 479 with a reward + 0 without + 1 bad" in table
