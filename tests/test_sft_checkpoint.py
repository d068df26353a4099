"""Checkpoints: whole or absent, the newest and the best kept, random states restored."""

import math
import random

import pytest
import torch

from proctor.sft.checkpoint import CheckpointFolder, random_states, replacing, restore_random_states


def save(folder: CheckpointFolder, step: int, metric: float | None = None, text: str = "x") -> None:
    folder.save(step, lambda path: (path / "weights").write_text(text), metric=metric, state={"epoch": 1})


def steps(folder: CheckpointFolder) -> list[int]:
    return [checkpoint.step for checkpoint in folder.all()]


def test_what_was_saved_is_read_back(tmp_path):
    folder = CheckpointFolder(tmp_path)
    save(folder, 12, metric=0.5, text="hello")
    latest = CheckpointFolder(tmp_path).latest()
    assert (latest.step, latest.metric, latest.state) == (12, 0.5, {"epoch": 1})
    assert (latest.path / "weights").read_text() == "hello"


def test_an_empty_folder_has_no_latest_and_no_best(tmp_path):
    folder = CheckpointFolder(tmp_path / "new")
    assert folder.latest() is None
    assert folder.best() is None


def test_the_newest_and_the_best_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    for step, loss in [(1, 3.0), (2, 1.0), (3, 2.0), (4, 2.5), (5, 2.2)]:
        save(folder, step, metric=loss)
    assert steps(folder) == [2, 4, 5]
    assert folder.best().step == 2


def test_a_metric_may_point_up(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=1, higher_is_better=True)
    for step, accuracy in [(1, 0.2), (2, 0.9), (3, 0.4)]:
        save(folder, step, metric=accuracy)
    assert steps(folder) == [2, 3]


def test_what_could_not_be_measured_is_not_the_best(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=1, higher_is_better=True)
    for step, accuracy in [(1, math.nan), (2, 0.9), (3, 0.4)]:
        save(folder, step, metric=accuracy)
    assert steps(folder) == [2, 3]


def test_a_crash_while_writing_leaves_the_earlier_checkpoint_and_nothing_that_looks_whole(tmp_path):
    folder = CheckpointFolder(tmp_path)
    save(folder, 1)

    def crash(path):
        (path / "weights").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.save(2, crash)
    assert steps(folder) == [1]
    save(folder, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000001", "step-000003"]


def test_the_same_step_is_replaced(tmp_path):
    folder = CheckpointFolder(tmp_path)
    save(folder, 1, text="old")
    save(folder, 1, text="new")
    assert (folder.latest().path / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]


def test_a_folder_that_was_half_removed_does_not_stand_in_the_way(tmp_path):
    """A result is replaced by moving the old one away; a kill while that is removed leaves some of it."""
    for text in ("first", "second"):
        old = tmp_path / ".writing-old-model"
        old.mkdir(exist_ok=True)
        (old / "model.safetensors").write_text("of a crash")
        with replacing(tmp_path / "model") as folder:
            folder.mkdir()
            (folder / "model.safetensors").write_text(text)
    assert (tmp_path / "model" / "model.safetensors").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_run_that_begins_anew_finds_no_checkpoint_and_destroys_none(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints")
    for text in ("first", "second"):
        save(folder, 7, text=text)
        (tmp_path / "metrics.jsonl").write_text(text)
        (tmp_path / "incident-001-step-000003.json").write_text("{}")
        (tmp_path / "model").mkdir(exist_ok=True)
        folder.set_aside()
        assert folder.latest() is None
    folder.set_aside()  # where there is nothing
    assert sorted(path.name for path in tmp_path.iterdir()) == ["earlier-1", "earlier-2", "model"]
    for number, text in enumerate(("first", "second"), 1):
        earlier = tmp_path / f"earlier-{number}"
        assert (earlier / "checkpoints/step-000007/weights").read_text() == text
        assert (earlier / "metrics.jsonl").read_text() == text
        assert (earlier / "incident-001-step-000003.json").exists()


def test_steps_beyond_six_digits_stay_in_order(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=5)
    for step in (999_999, 1_000_000):
        save(folder, step)
    assert folder.latest().step == 1_000_000


def test_random_states_go_through_a_file(tmp_path):
    torch.save(random_states(), tmp_path / "random.pt")
    first = (random.random(), torch.rand(2).tolist())
    restore_random_states(torch.load(tmp_path / "random.pt", weights_only=False))
    assert (random.random(), torch.rand(2).tolist()) == first


def test_keeping_none_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="keep must be at least 1"):
        CheckpointFolder(tmp_path, keep=0)
