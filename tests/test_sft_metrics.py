"""Metrics: lines that a resumed run neither repeats nor loses."""

import json
from pathlib import Path

import pytest

from proctor.sft.metrics import MetricsLog, open_log
from proctor.sft.settings import RunSettings


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


def test_a_crash_while_lines_are_dropped_costs_none(tmp_path, monkeypatch):
    write(tmp_path, [1, 2, 3])

    def full(path, text, **options):
        with path.open("w") as file:
            file.write(text[:5])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="disk full"):
        MetricsLog(tmp_path, resume_step=2)
    assert steps(tmp_path) == [1, 2, 3]


def test_a_new_run_begins_a_new_file(tmp_path):
    write(tmp_path, [1, 2])
    write(tmp_path, [1])
    assert steps(tmp_path) == [1]


def test_a_run_at_its_start_has_not_evaluated_yet(tmp_path):
    for _ in range(2):
        with open_log(RunSettings(output=tmp_path, tensorboard=False), 0) as log:
            log.write(0, {"loss": 1.0}, kind="evaluation")
    assert steps(tmp_path) == [0]


def test_charts_keep_the_step_that_a_run_goes_on_after(tmp_path, monkeypatch):
    purged = []

    class Writer:
        def __init__(self, folder, *, purge_step):
            purged.append(purge_step)

        def close(self):
            pass

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", Writer)
    MetricsLog(tmp_path, resume_step=2, tensorboard=True).close()
    assert purged == [3]  # the first step that TensorBoard is to forget


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
