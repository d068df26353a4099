"""The command line: version, settings file, plans, the list of parts, help pages, and a light start."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from proctor import __version__
from proctor.app import usable
from proctor.cli import app
from proctor.sandbox.core import SandboxError
from tests.cli_session import PARTS, ROOT, enter, proctor


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)


def test_version() -> None:
    assert proctor("--version").stdout == f"proctor {__version__}\n"


def test_every_option_is_a_key_of_the_settings_file() -> None:
    settings = ['reward = "cli_right"', f"load = [{json.dumps(PARTS)}]", "json = true", "limit = 8"]
    Path("p.toml").write_text("\n".join(["[score]", *settings, 'map = { prompt = "id" }']))
    summary = json.loads(proctor("--config", "p.toml", "score", "rollouts.jsonl").stdout)
    assert summary["rollouts"] == 8
    assert summary["columns"]["prompt"] == "id"
    wins = json.loads(proctor("--config", "p.toml", "score", "rollouts.jsonl", "--limit", "5").stdout)
    assert wins["rollouts"] == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[scor]\n", "p.toml: no command 'scor' (did you mean 'score'?)"),
        ("[score]\nlimt = 5\n", "p.toml: 'proctor score' has no option 'limt' (did you mean 'limit'?)"),
        ("[score\n", "p.toml: not TOML"),
    ],
)
def test_mistakes_in_a_settings_file_are_told(text: str, message: str) -> None:
    Path("p.toml").write_text(text)
    result = proctor("--config", "p.toml", "score", "rollouts.jsonl", "--reward", "1")
    assert result.exit_code == 2
    assert message in result.stderr


def test_explain() -> None:
    result = proctor("explain", "cli_right and 2 * cli_short", "--load", PARTS)

    assert result.exit_code == 0
    assert "range 0 to 2" in result.stdout
    assert re.search(r"2 +cli_short +0 to 1 +where cli_right", result.stdout)
    plan = json.loads(proctor("explain", "cli_right", "--load", PARTS, "--json").stdout)
    assert plan["range"] == [0, 1]


def test_a_dockerfile_that_is_not_there_is_told_before_an_engine_is_asked() -> None:
    result = proctor("sandbox", "build-image", "--dockerfile", "nope")
    assert (result.exit_code, result.stderr) == (2, "error: --dockerfile nope: no such file\n")


def test_rewards_lists_every_part() -> None:
    result = proctor("rewards", "--load", PARTS)
    assert result.exit_code == 0
    assert re.search(r"cli_right +0 to 1 +Is the last number of the completion the answer\?", result.stdout)


def test_one_reward_is_shown_whole() -> None:
    result = proctor("rewards", "cli_right", "--load", PARTS)
    assert "What it pays wrongly: a number that is last by chance." in result.stdout
    assert re.search(r"slow +float +0\.0", result.stdout)

    unknown = proctor("rewards", "cli_rihgt", "--load", PARTS)
    assert unknown.exit_code == 2
    assert "unknown part 'cli_rihgt' (did you mean 'cli_right'?)" in unknown.stderr


def help_pages() -> list[list[str]]:
    command = typer.main.get_command(app)
    return [[], *([name] for name in sorted(command.commands))]  # type: ignore[attr-defined]


def examples_of(name: list[str]) -> list[str]:
    text = proctor(*name, "--help").stdout
    return re.findall(r"^ *proctor (.+?) *$", text[text.index("Examples:") :], flags=re.MULTILINE)


@pytest.mark.parametrize("name", help_pages())
def test_help_ends_with_two_commands(name: list[str]) -> None:
    assert len(examples_of(name)) == 2


@pytest.mark.parametrize("name", [[], ["score"], ["explain"], ["rewards"]])
def test_commands_of_the_help_pages_work(name: list[str]) -> None:
    for example in examples_of(name):
        result = proctor(*shlex.split(example))
        assert result.exit_code == 0, (example, result.output)


@pytest.mark.parametrize(
    "error",
    [
        SandboxError("no jail here"),
        ModuleNotFoundError("No module named 'docker'"),
        ConnectionError("http://localhost:1: no server answers"),
    ],
)
def test_what_is_not_there_ends_a_command_with_a_sentence(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, usable():
        raise error
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err.startswith(f"error: {error}")


def test_docker_has_one_isolation() -> None:
    result = proctor("sandbox", "doctor", "--sandbox", "docker", "--isolation", "full")
    assert result.exit_code == 2
    assert "--isolation is for the local jail" in result.stderr


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
@pytest.mark.parametrize("name", ["rm", "sft", "train"])
def test_names_of_keys_are_whole_in_80_columns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = proctor(name, "--keys")
    assert result.exit_code == 0
    assert "optimizer.min_learning_rate_share" in result.stdout or name == "rm"
    assert "…" not in result.stdout


def test_first_option_is_not_taken_for_the_config() -> None:
    result = proctor("train", "--algorithm.nam", "grpo")
    assert result.exit_code == 2
    assert "unknown key '--algorithm.nam' (did you mean '--algorithm.name'?)" in result.stderr


def test_start_is_light() -> None:
    script = (
        "import sys\nfrom proctor.cli import app\nfrom typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print({'torch', 'transformers', 'sympy', 'numpy', 'datasets', 'pyarrow'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "set()\n", done.stderr
