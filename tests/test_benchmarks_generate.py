"""`proctor eval --model`: answers are sampled, written as they come, and judged; interrupted runs go on."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proctor.benchmarks import generate
from proctor.benchmarks.generate import Origin, generate_samples, load_sampler
from proctor.benchmarks.suites import find_suite
from proctor.cli import app
from proctor.sft.demo_task import make_model, make_tokenizer
from proctor.verifiers.files.scored import dumps
from proctor.verifiers.files.sources import InputError, read_rows
from tests.completion_server import CompletionServer, serving

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six tasks in GSM8K's form, and a model that knows their characters."""
    tokenizer = make_tokenizer()
    make_model(tokenizer, hidden_size=32, intermediate_size=64).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    rows = [{"question": f"{n}+{n}=", "answer": f"#### {2 * n}"} for n in range(10, 16)]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def origin(**changes: object) -> Origin:
    options = {"samples_per_task": 2, "temperature": 1.0, "max_new_tokens": 6, "seed": 1}
    return Origin(
        **{"model": "model", "engine": "transformers", "template": "{prompt}", **options, **changes}
    )


def run(made_by: Origin, path: str) -> list[dict]:
    tasks = find_suite("gsm8k").tasks(Path("tasks.jsonl"))
    generate_samples("gsm8k", tasks, made_by, lambda: load_sampler(made_by), Path(path))
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_model_is_evaluated_from_the_command_line(folder: Path) -> None:
    words = ["eval", "gsm8k", "--model", "model", "--data", "tasks.jsonl", "--template", "{prompt}"]
    options = ["-n", "3", "--temperature", "1", "--max-new-tokens", "6", "--json"]
    result = CliRunner().invoke(app, [*words, *options])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["samples"] == 18
    assert summary["pass_at_k"]["1"][0] < 0.5  # random weights do not add
    assert len(Path("gsm8k_model_samples_results.jsonl").read_text().splitlines()) == 18


def test_samples_come_in_order_with_what_made_them(folder: Path) -> None:
    rows = run(origin(), "samples.jsonl")
    assert [row["task_id"] for row in rows] == [f"GSM8K/{n}" for n in range(6) for _ in range(2)]
    assert all(row["origin"]["seed"] == 1 and row["tokens"] <= 6 for row in rows)
    assert len({row["completion"] for row in rows}) > 6


def test_an_interrupted_run_goes_on_to_the_same_samples(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "_TASKS_AT_ONCE", 2)
    whole = run(origin(), "whole.jsonl")
    lines = Path("whole.jsonl").read_text().splitlines(keepends=True)
    Path("torn.jsonl").write_text(
        "".join(lines[:5]) + lines[5][:20]
    )  # a batch and a half, the last line torn
    assert run(origin(), "torn.jsonl") == whole


def test_what_is_answered_outlives_a_kill_while_the_rest_is_cut_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "_TASKS_AT_ONCE", 2)
    run(origin(), "samples.jsonl")
    lines = Path("samples.jsonl").read_text().splitlines(keepends=True)
    Path("samples.jsonl").write_text("".join(lines[:5]))
    Path("samples.jsonl.new").symlink_to("/dev/full")  # stands for the kill: what was to be written is not
    with pytest.raises(OSError, match="No space left"):
        run(origin(), "samples.jsonl")
    assert Path("samples.jsonl").read_text() == "".join(lines[:5])


def test_completions_may_hold_what_other_readers_take_for_a_line_end(folder: Path) -> None:
    run(origin(), "samples.jsonl")
    rows = [row.data for row in read_rows(Path("samples.jsonl"))]
    rows[3]["completion"] = "half a pair \ud800, a line\u2028and a paragraph\u2029"
    Path("samples.jsonl").write_text("".join(dumps(row) + "\n" for row in rows))
    generate_samples(
        "gsm8k", find_suite("gsm8k").tasks(Path("tasks.jsonl")), origin(), no_model, Path("samples.jsonl")
    )
    assert [row.data for row in read_rows(Path("samples.jsonl"))] == rows


def no_model() -> None:
    raise AssertionError("nothing is missing, so no model is needed")


def test_samples_of_another_origin_are_not_continued(folder: Path) -> None:
    run(origin(), "samples.jsonl")
    with pytest.raises(InputError, match=r"samples\.jsonl, line 1: not a sample of this model"):
        run(origin(seed=2), "samples.jsonl")


def test_a_server_gives_the_samples_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = load_sampler(origin())
    monkeypatch.setenv("TOY_KEY", "sesame")
    server = CompletionServer(sampler.engine.model)
    with serving(server) as url:
        words = ["eval", "gsm8k", "--model", "model", "--data", "tasks.jsonl", "--template", "{prompt}"]
        options = ["--engine", "server", "--url", url, "--max-new-tokens", "6", "--json"]
        result = CliRunner().invoke(app, [*words, *options, "--server-key", "TOY_KEY"])
    assert result.exit_code == 0, result.output
    assert server.keys == {"Bearer sesame"}
    assert "sesame" not in result.output + Path("gsm8k_model_samples.jsonl").read_text()
    served = [json.loads(line) for line in Path("gsm8k_model_samples.jsonl").read_text().splitlines()]
    greedy = run(origin(samples_per_task=1, temperature=0.0), "local.jsonl")
    assert [row["completion"] for row in served] == [row["completion"] for row in greedy]


@pytest.mark.parametrize("words", [[], ["--samples", "s.jsonl", "--model", "model"]])
def test_exactly_one_of_samples_and_model(folder: Path, words: list[str]) -> None:
    result = CliRunner().invoke(app, ["eval", "gsm8k", "--data", "tasks.jsonl", *words])
    assert result.exit_code == 2
    assert "either --samples, a file, or --model" in result.output
