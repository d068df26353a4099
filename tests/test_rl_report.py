"""The report of a run holds its numbers and its rollouts, and hostile text stays text."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proctor.cli import app
from proctor.rl import report
from proctor.rl.report import write_report
from proctor.rl.train import train
from proctor.verifiers.files.sources import InputError
from tests.rl_toy import make_run, sevens

assert sevens  # importing it registers the reward
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">{{ 7*7 }}\u2028'


def make_folder(folder: Path, *, steps: int = 3, text: str = "fine") -> Path:
    folder.mkdir()
    metrics = [{"step": step, "reward": step / 10, "seconds/update": 2.0, "fate/trained": 2, "tokens": 5}
               for step in range(1, steps + 1)]  # fmt: skip
    write(folder / "metrics.jsonl", metrics)
    verdicts = {"math": {"value": 1.0, "status": "correct", "blame": None, "evidence": {}, "seconds": 0.0}}
    rows = [
        {"step": step, "kind": "train", "group": 0, "prompt": f"{text}?", "completion": text, "tokens": 5,
         "truncated": False, "reward": 1.0, "verdicts": verdicts, "advantage": 0.5, "fate": "trained"}
        for step in range(1, steps + 1)
    ]  # fmt: skip
    write(folder / "completions.jsonl", rows)
    return folder


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def data_of(page: Path) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"))
    assert found is not None
    return json.loads(found[1])


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run", text=HOSTILE)
    (folder / "incident-000002.json").write_text(json.dumps({"step": 2, "reason": HOSTILE}))
    write_report(folder, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)  # it loads nothing
    (group, *_) = data_of(tmp_path / "page.html")["rollouts"]["groups"]
    assert group["rollouts"][0]["text"] == HOSTILE


def test_long_runs_are_thinned_evenly_with_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_MAX_POINTS", 5)
    monkeypatch.setattr(report, "_MAX_STEPS", 3)
    write_report(make_folder(tmp_path / "run", steps=9), tmp_path / "page.html")
    data = data_of(tmp_path / "page.html")
    assert [line["step"] for line in data["steps"]] == [1, 3, 5, 7, 9]
    assert [group["step"] for group in data["rollouts"]["groups"]] == [1, 5, 9]


def test_a_run_that_is_still_writing_is_reported(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "rew')
    write_report(folder, tmp_path / "page.html")
    assert len(data_of(tmp_path / "page.html")["steps"]) == 3


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run here"):
        write_report(tmp_path, tmp_path / "page.html")
    assert CliRunner().invoke(app, ["report", str(tmp_path)]).exit_code == 2


def test_a_real_run_has_its_prompts_followed_through_the_evaluations(tmp_path: Path) -> None:
    make_run(tmp_path)  # makes the files
    prompts = json.dumps([str(tmp_path / "prompts.jsonl")])
    train(make_run(tmp_path, "--data.evaluation", prompts, "--evaluation.prompts", 4, "--run.steps", 2))
    assert CliRunner().invoke(app, ["report", str(tmp_path / "run")]).exit_code == 0
    data = data_of(tmp_path / "run" / "report.html")
    followed = [group for group in data["rollouts"]["groups"] if group["kind"] == "evaluation"]
    assert [(group["step"], group["group"]) for group in followed] == [
        (step, group) for step in (0, 2) for group in range(4)
    ]
    assert data["rollouts"]["prompts"][followed[0]["prompt"]].endswith("=")
    assert len(data["steps"]) == 2
