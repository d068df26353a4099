"""Metrics: lines that a resumed run neither repeats nor loses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proctor.sft.config import ConfigError
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


def test_wandb_that_is_not_installed_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it raises ImportError
    with pytest.raises(ConfigError, match=r"run\.wandb = 'x', but wandb is not installed: pip install wandb"):
        MetricsLog(tmp_path, wandb_project="x")


def test_a_resumed_run_is_the_same_one_at_wandb_and_another_folder_of_that_name_is_not(tmp_path):
    """The real library, without its service."""
    pytest.importorskip("wandb")
    script = (
        "import sys; from pathlib import Path; from proctor.sft.experiments import open_wandb\n"
        "run = open_wandb('p', Path(sys.argv[1])); print('id', run.id, run.name); run.finish()"
    )
    shown = []
    for name in ("a", "a", "b"):
        folder = tmp_path / name / "run"
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"},
        )
        shown.append(next(line for line in done.stdout.splitlines() if line.startswith("id ")))
    assert shown[0] == shown[1] != shown[2]
    assert all(line.endswith(" run") for line in shown)
