"""Metrics: lines that a resumed run neither repeats nor loses."""

import json

import pytest

from proctor.sft.metrics import MetricsLog


def steps(folder) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def write(folder, numbers, **options) -> None:
    log = MetricsLog(folder, **options)
    for step in numbers:
        log.write(step, {"loss": 1.0 / step})
    log.close()


def test_a_resumed_run_goes_on_after_its_step(tmp_path):
    write(tmp_path, [1, 2, 3, 4])
    write(tmp_path, [3, 4, 5], resume_step=2)
    assert steps(tmp_path) == [1, 2, 3, 4, 5]


def test_a_line_cut_off_by_a_crash_is_dropped(tmp_path):
    write(tmp_path, [1, 2])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    write(tmp_path, [3], resume_step=2)
    assert steps(tmp_path) == [1, 2, 3]


def test_a_new_run_begins_a_new_file(tmp_path):
    write(tmp_path, [1, 2])
    write(tmp_path, [1])
    assert steps(tmp_path) == [1]


def test_what_is_no_number_is_written_and_not_charted(tmp_path):
    log = MetricsLog(tmp_path, tensorboard=True)
    log.write(1, {"loss": 0.5, "accuracy": None}, kind="evaluation")
    log.close()
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert line == {"step": 1, "kind": "evaluation", "loss": 0.5, "accuracy": None}
    assert list((tmp_path / "tensorboard").iterdir())


def test_wandb_that_is_not_installed_says_what_to_do(tmp_path):
    try:
        import wandb  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pip install wandb"):
            MetricsLog(tmp_path, wandb_project="x")
    else:
        pytest.skip("wandb is installed")
