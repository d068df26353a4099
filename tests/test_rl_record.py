"""What a run leaves behind survives hostile text, interruptions and resumes."""

import json
import sys
from pathlib import Path

import pytest

import proctor
from proctor.rl.experience import Experience
from proctor.rl.record import Recorder, read_lines
from proctor.rl.report import write_report
from proctor.rl.rollouts.core import Completion
from proctor.rl.rollouts.vllm_engine import VllmEngine
from proctor.sft.config import ConfigError
from proctor.verifiers.core import Rollout, Score, Status, Verdict

HALF = {"exception": "ValueError: \ud800"}  # as a candidate's own exception brings it


def make(text: str = "x", evidence: dict | None = None) -> Experience:
    verdict = Verdict(1.0, Status.MEASURED, evidence or {})
    return Experience(Completion((1,), (2,), (0.0,), False), text, 0, Score(1.0, {"sevens": verdict}))


def record(folder: Path, texts: list[str], *, from_step: int = 0) -> None:
    with Recorder(folder, from_step=from_step, tensorboard=False) as recorder:
        for step, text in enumerate(texts, from_step + 1):
            recorder.step(step, {"reward": 1.0, "kl": float("nan")})
            recorder.completions(step, [make(text)])


def test_a_candidate_cannot_break_the_records(tmp_path: Path) -> None:
    source = "```python\ndef f(x):\n    raise ValueError('\\ud800')\n```"
    (score,) = proctor.reward("code").score([Rollout(source, tests=["assert f(1) == 1"])])
    experience = Experience(Completion((1,), (2,), (0.0,), False), source, 0, score)
    with Recorder(tmp_path, tensorboard=False) as recorder:
        recorder.completions(1, [experience, make("\ud800", HALF)])
        path = recorder.incident(1, 1, "loss is nan", [experience, make("\ud800", HALF)])
    rows = list(read_lines(tmp_path / "completions.jsonl"))
    assert rows[0]["completion"] == source
    assert rows[1]["verdicts"]["sevens"]["evidence"] == HALF
    assert len(json.loads(path.read_bytes())["batch"]) == 2


@pytest.mark.parametrize("text", ["\u2028", "\u2029", "\x85", "\r", "\x0b\x0c\x1c", "\n"])
def test_a_resume_keeps_completions_with_any_line_end_in_them(tmp_path: Path, text: str) -> None:
    record(tmp_path, ["x", f"a{text}b", "y"])
    record(tmp_path, ["z"], from_step=3)
    assert [row["completion"] for row in read_lines(tmp_path / "completions.jsonl")] == [
        "x", f"a{text}b", "y", "z",
    ]  # fmt: skip


@pytest.mark.parametrize("torn", ['{"step": 2, "compl', '{"step": 2, "completion": "é'[:-1], "{}"])
def test_a_resume_cuts_a_torn_line(tmp_path: Path, torn: str) -> None:
    record(tmp_path, ["x", "y"])
    with (tmp_path / "completions.jsonl").open("ab") as file:
        file.write(torn.encode() + b"\xc3")  # within a character
    record(tmp_path, ["z"], from_step=2)
    assert [row["completion"] for row in read_lines(tmp_path / "completions.jsonl")] == ["x", "y", "z"]


def test_a_report_can_be_made_while_a_line_is_written(tmp_path: Path) -> None:
    record(tmp_path, ["x"])
    with (tmp_path / "completions.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "completion": "\xc3')
    write_report(tmp_path, tmp_path / "report.html")
    assert (tmp_path / "report.html").is_file()


def test_what_is_asked_for_and_not_installed_is_a_mistake_of_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("wandb", "vllm"):
        monkeypatch.setitem(sys.modules, package, None)  # importing it raises ImportError
    with pytest.raises(ConfigError, match="wandb is not installed: pip install wandb"):
        Recorder(tmp_path, wandb="project")
    with pytest.raises(ConfigError, match=r"needs vLLM: pip install 'proctor\[vllm\]'"):
        VllmEngine("x")
