"""Whole runs of the loop: it learns, resumes to the same numbers, loses no rollout, guards itself."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch

from proctor.rl.ledger import Fate
from proctor.rl.preflight import check_config
from proctor.rl.record import read_lines
from proctor.rl.settings import RLConfig
from proctor.rl.train import Clock, GuardStopError, collect, train
from proctor.sft.checkpoint import CheckpointFolder
from proctor.sft.config import load_config
from proctor.verifiers.core import Rollout
from proctor.verifiers.custom import part
from proctor.verifiers.files.sources import InputError
from tests.rl_toy import make_files, make_run, sevens

assert sevens  # importing it registers the reward
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
KNOWN = ["--model.path", "x", "--data.train", '["x"]']
SEVENS = [*KNOWN, "--expression", "sevens"]
PIECES = [*SEVENS, "--zero", "3", "--rollouts.engine", "vllm"]
TIMED = ("seconds/", "tokens_per_second")


@part(bounds=(0, 1))
def silent_on_odd(rollout: Rollout) -> float | None:
    """No opinion on prompts that end in an odd number."""
    return None if int(rollout.prompt[-2]) % 2 else rollout.completion.count("7") / 8


@part(bounds=(0, 1))
def parity(rollout: Rollout) -> float:
    """Of the completion's length."""
    return float(len(rollout.completion) % 2)


def curve(folder: Path) -> list[dict]:
    """The metrics of a run without what a clock measured."""
    return [
        {name: value for name, value in line.items() if not name.startswith(TIMED)}
        for line in read_lines(folder / "metrics.jsonl")
    ]


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce_pp", "ppo"])
def test_every_algorithm_learns(tmp_path: Path, name: str) -> None:
    run = make_run(
        tmp_path, "--algorithm.name", name, "--kl_coef", 0.0, "--run.steps", 25, "--rollouts.prompts", 8,
        "--critic.learning_rate", 0.003, "--loss_options", "{clip_low = 0.2, clip_high = 0.28}",
        "--guard.enabled", "false", "--mask_truncated", "false",
    )  # fmt: skip
    train(run)
    rewards = [line["reward"] for line in read_lines(tmp_path / "run" / "metrics.jsonl")]
    # A random policy writes a seven one time in twenty; by chance 25 steps do not get it to four times that.
    assert sum(rewards[:2]) / 2 < 0.15
    assert sum(rewards[-3:]) / 3 > 0.4


@pytest.mark.parametrize(
    "extra",
    [
        (),
        ("--algorithm.name", "ppo"),
        ("--algorithm.name", "reinforce_pp", "--gamma", "0.9"),
        ("--lora", "true", "--algorithm.name", "grpo"),
    ],
)
def test_a_resumed_run_has_the_same_numbers(tmp_path: Path, extra: tuple[str, ...]) -> None:
    whole = make_run(tmp_path, *extra, output="whole")
    train(whole)
    train(make_run(tmp_path, *extra, "--run.steps", 3, output="parts"))
    parts = make_run(tmp_path, *extra, output="parts")
    train(parts)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    assert repr(parts.progress.guard) == repr(whole.progress.guard)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_has_a_checkpoint_of_its_last_step(tmp_path: Path, number: int) -> None:
    def watch(report) -> None:
        if report.step == 3:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        train(make_run(tmp_path, output="parts"), watch=watch)
    assert CheckpointFolder(tmp_path / "parts" / "checkpoints").latest().step == 3
    assert not (tmp_path / "parts" / "model").exists()
    train(make_run(tmp_path, output="parts"))
    train(make_run(tmp_path, output="whole"))
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")


@pytest.mark.slow
def test_kill_9_loses_only_the_step_in_flight(tmp_path: Path) -> None:
    make_files(tmp_path)
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.rl_toy import make_run; from proctor.rl.train import train\n"
        "train(make_run(Path(sys.argv[1]), '--run.steps', 40, '--run.save_every', 2, output='killed'))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parents[1],
        stderr=subprocess.DEVNULL,
    )
    while len(list(read_lines(tmp_path / "killed" / "metrics.jsonl"))) < 5 and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert CheckpointFolder(tmp_path / "killed" / "checkpoints").latest() is not None
    steps_done = len(list(read_lines(tmp_path / "killed" / "metrics.jsonl")))
    assert steps_done < 40
    options = ("--run.steps", steps_done + 2, "--run.save_every", 2)
    train(make_run(tmp_path, *options, output="killed"))
    train(make_run(tmp_path, *options, output="whole"))
    # Two processes: memory lies elsewhere, and the last bit of a vectorised sum may differ with it.
    for killed, whole in zip(curve(tmp_path / "killed"), curve(tmp_path / "whole"), strict=True):
        assert numbers(killed) == pytest.approx(numbers(whole), rel=1e-3, abs=1e-5, nan_ok=True)


def numbers(line: dict) -> dict:
    """A step without anything to train has no loss statistics: null, which approx does not compare."""
    return {name: math.nan if value is None else value for name, value in line.items()}


def test_every_rollout_has_a_fate_and_the_sums_are_right(tmp_path: Path) -> None:
    run = make_run(tmp_path, "--reward.expression", "silent_on_odd", "--max_refills", 2)
    train(run)
    ledger = run.progress.ledger
    lines = [json.loads(line) for line in (tmp_path / "run" / "completions.jsonl").read_text().splitlines()]
    assert ledger.sampled == len(lines) == sum(ledger.fates.values())
    assert ledger.fates["unscorable"] == sum(line["reward"] is None for line in lines) > 0
    assert all(line["advantage"] == 0 for line in lines if line["fate"] in ("unscorable", "zero_variance"))


def test_stale_rollouts_are_a_fate_and_not_trained(tmp_path: Path) -> None:
    # Sampler and trainer differ by rounding alone: at a limit below that some are stale, at a real one none.
    stale = {}
    for limit in ("1e-9", "0.5"):
        run = make_run(tmp_path, "--max_staleness", limit, "--run.steps", 3, output=limit)
        train(run)
        stale[limit] = run.progress.ledger.fates["stale"]
        lines = list(read_lines(tmp_path / limit / "completions.jsonl"))
        assert all(line["advantage"] < 0 for line in lines if line["fate"] == "stale")
        assert run.progress.ledger.sampled == sum(run.progress.ledger.fates.values())
    assert stale["1e-9"] > 0 == stale["0.5"]


def test_refilled_groups_are_compared_with_the_whole_step(tmp_path: Path) -> None:
    run = make_run(
        tmp_path, "--algorithm.name", "dapo", "--advantage_options", "{scale = 'batch', eps = 0.0}",
        "--mask_truncated", "false", "--max_refills", 3,
    )  # fmt: skip
    run.engine.sync(run.policy.model)
    found = collect(run, Clock())
    assert len(found) > 16  # there was a refill
    deviation = torch.tensor([each.reward for each in found], dtype=torch.float64).std().item()
    for group in {each.group for each in found if each.fate is Fate.TRAINED}:
        members = [each for each in found if each.group == group]
        mean = sum(each.reward for each in members) / len(members)
        assert [each.advantage for each in members] == pytest.approx(
            [(each.reward - mean) / deviation for each in members]
        )


def test_only_the_share_of_tokens_asked_for_has_an_advantage(tmp_path: Path) -> None:
    run = make_run(tmp_path, "--top_entropy", 0.25, "--rollouts.prompts", 8)
    run.engine.sync(run.policy.model)
    trained = [each for each in collect(run, Clock()) if each.fate is Fate.TRAINED]
    rows = run.learner.rows(trained, kl_coef=0.0)
    given = torch.cat([row.advantages for row in rows]) != 0
    assert given.float().mean().item() == pytest.approx(0.25, abs=0.1)  # ties are all above the quantile


def test_it_learns_from_the_tokens_of_the_highest_entropy_and_by_parts(tmp_path: Path) -> None:
    run = make_run(
        tmp_path, "--reward.expression", "sevens + 0.1 * parity", "--run.steps", 20, "--rollouts.prompts", 8,
        "--top_entropy", 0.5, "--advantage", "gdpo", "--advantage_options", "{weights = {sevens = 1}}",
        "--kl_coef", 0, "--guard.enabled", "false",
    )  # fmt: skip
    train(run)
    rewards = [line["reward/sevens"] for line in read_lines(tmp_path / "run" / "metrics.jsonl")]
    assert sum(rewards[-3:]) / 3 > 0.3 > 0.15 > sum(rewards[:2]) / 2


def test_a_poisoned_run_rolls_back_and_goes_on(tmp_path: Path) -> None:
    run = make_run(tmp_path, "--run.save_every", 2)
    poison = {"armed": True}

    def watch(report) -> None:
        if report.step == 3 and poison.pop("armed", False):  # the weights of step 4 sample and train on NaN
            with torch.no_grad():
                run.policy.base.model.layers[0].mlp.down_proj.weight.fill_(math.nan)

    train(run, watch=watch)
    (incident,) = (tmp_path / "run").glob("incident-*.json")
    facts = json.loads(incident.read_text())
    assert facts["step"] == 4
    assert [line["step"] for line in curve(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]  # none of them twice
    assert "is nan" in facts["reason"]
    assert len(facts["batch"]) == 16
    assert run.progress.step == 6
    assert run.progress.rate_scale == 0.5
    assert run.progress.ledger.fates["dropped"] > 0
    assert all(parameter.isfinite().all() for parameter in run.policy.parameters())
    kept = Counter(line["step"] for line in read_lines(tmp_path / "run" / "completions.jsonl"))
    assert kept == dict.fromkeys(range(1, 7), 16)  # of step 3, sampled twice, only what stands


def test_a_checkpoint_has_the_evaluation_of_its_own_step_alone(tmp_path: Path) -> None:
    make_files(tmp_path)
    train(
        make_run(
            tmp_path, "--data.evaluation", str(tmp_path / "prompts.jsonl"), "--evaluation.prompts", 4,
            "--evaluation.every", 2, "--run.steps", 4, "--run.save_every", 1, "--run.keep", 9,
        )
    )  # fmt: skip
    found = CheckpointFolder(tmp_path / "run" / "checkpoints").all()
    assert {each.step: each.metric is not None for each in found} == {
        0: True, 1: False, 2: True, 3: False, 4: True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((), ("--algorithm.name", "ppo"), "critic.pt"),
        ((), ("--lora", "true"), "model"),
        (("--lora", "true"), (), "state_dict"),
        (("--lora", "true"), ("--lora", "true", "--lora_rank", 4), "state_dict"),
        (("--lora", "true"), ("--lora", "true", "--lora_alpha", 64), "lora_alpha = 32"),
    ],
)
def test_what_a_run_of_another_kind_left_is_told(
    tmp_path: Path, before: tuple, after: tuple, said: str
) -> None:
    train(make_run(tmp_path, *before, "--run.steps", 1))
    with pytest.raises(
        InputError, match=rf"step-000001 was written by a run of another kind \(.*{said}.*set run.res"
    ):
        train(make_run(tmp_path, *after, "--run.steps", 2))


def test_other_prompts_are_not_resumed(tmp_path: Path) -> None:
    train(make_run(tmp_path, "--run.steps", 1))
    rows = (tmp_path / "prompts.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "prompts.jsonl").write_text("".join(rows[:40]))
    with pytest.raises(InputError, match=r"step-000001 was trained on other prompts; set run\.resume"):
        train(make_run(tmp_path, "--run.steps", 2))


def test_a_run_that_was_killed_at_its_start_has_no_line_twice(tmp_path: Path) -> None:
    make_files(tmp_path)
    words = ("--data.evaluation", str(tmp_path / "prompts.jsonl"), "--evaluation.prompts", 4)

    def killed(report) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_run(tmp_path, *words, "--run.steps", 2), watch=killed)
    train(make_run(tmp_path, *words, "--run.steps", 2))
    assert [line["step"] for line in curve(tmp_path / "run")] == [0, 1, 2, 2]


def test_a_new_run_never_goes_back_to_an_earlier_ones_checkpoints(tmp_path: Path) -> None:
    train(make_run(tmp_path, "--run.steps", 4))
    run = make_run(tmp_path, "--run.steps", 3, "--run.resume", "false")
    poison = {"armed": True}

    def watch(report) -> None:
        if poison.pop("armed", False):
            with torch.no_grad():
                run.policy.base.model.layers[0].mlp.down_proj.weight.fill_(math.nan)

    train(run, watch=watch)
    assert len(list((tmp_path / "run").glob("incident-*.json"))) == 1
    assert [line["step"] for line in curve(tmp_path / "run")] == [1, 2, 3]
    assert CheckpointFolder(tmp_path / "run" / "checkpoints").latest().step == 3


def test_a_run_that_keeps_breaking_stops_at_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = make_run(tmp_path, "--max_gap", 1e-12, "--max_incidents", 2)
    with pytest.raises(GuardStopError, match="after 2 incidents, the last: sampler and trainer differ"):
        train(run)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "'model.path' is required"),
        ([*KNOWN, "--expression", "mth"], "reward.expression: line 1, column 1: unknown part 'mth'"),
        ([*KNOWN, "--expression", "sevens", "--algorithm.name", "grppo"], "did you mean 'grpo'"),
        (["--algorthm.name", "grpo"], "did you mean"),
        ([*SEVENS, "--advantage", "rlo"], "unknown advantage 'rlo' (did you mean 'rloo'?)"),
        ([*SEVENS, "--loss", "pp_clip"], "unknown loss 'pp_clip' (did you mean 'ppo_clip'?)"),
        ([*SEVENS, "--aggregation", "tokens"], "unknown aggregation 'tokens' (did you mean 'token'?)"),
        ([*SEVENS, "--kl_estimator", "k9"], "unknown kl_estimator 'k9'"),
        ([*SEVENS, "--loss_options", "{clip_hihg = 1}"], "(did you mean 'clip_high'?)"),
        ([*SEVENS, "--loss_options", "{clip_low = 'a'}"], "loss 'ppo_clip' does not take {'clip_low': 'a'}"),
        ([*SEVENS, "--advantage_options", "{sacle = 'none'}"], "(did you mean 'scale'?)"),
        ([*SEVENS, "--advantage_options", "{scale = 'all'}"], "unknown scale 'all'; known: group, batch, none"),
        ([*SEVENS, "--algorithm.name", "ppo", "--advantage_options", "{lam = 1}"], "takes no advantage_options"),
        ([*SEVENS, "--advantage", "gdpo"], "needs advantage_options.weights"),
        ([*SEVENS, "--advantage", "gdpo", "--advantage_options", "{weights = {seven = 1}}"], "mean 'sevens'?)"),
        ([*SEVENS, "--gamma", "0.9"], "gamma = 0.9 has no effect; it needs advantage = 'gae' or"),
        ([*SEVENS, "--gae_lambda", "0.9"], "gae_lambda = 0.9 has no effect; it needs advantage = 'gae'"),
        ([*SEVENS, "--kl_coef", "0", "--kl_target", "0.1"], "kl_target = 0.1 has no effect; it needs a kl_coef"),
        ([*SEVENS, "--algorithm.name", "rloo", "--kl_off_policy", "true"], "it needs a kl_coef and kl_placement ="),
        ([*SEVENS, "--algorithm.name", "dapo", "--kl_gradient", "k2"], "kl_gradient = k2 has no effect; it needs a"),
        ([*SEVENS, "--algorithm.name", "dapo", "--kl_placement", "reward"], "kl_placement = reward has no effect"),
        ([*SEVENS, "--algorithm.name", "dapo", "--kl_estimator", "k1"], "kl_estimator = k1 has no effect"),
        ([*SEVENS, "--algorithm.name", "ppo", "--critic.shared", "true", "--critic.path", "x"], "critic.path = 'x' has no"),
        ([*SEVENS, "--algorithm.name", "ppo", "--max_staleness", "1"], "'gae' judges tokens"),
        ([*SEVENS, "--rollouts.samples", "1"], "rollouts.samples = 1: 'grpo' compares the completions of a prompt"),
        ([*SEVENS, "--loss_options", "{clip_low = -0.2}"], "clip_low = -0.2 must be 0 or more"),
        ([*SEVENS, "--correction_high", "0.5"], "'update.correction_high' = 0.5"),
        ([*SEVENS, "--correction_low", "3"], "'update.correction_low' = 3"),
        ([*SEVENS, "--critic.warmup_steps", "5"], "critic.warmup_steps = 5: 'grpo' has no critic"),
        ([*SEVENS, "--evaluation.every", "5"], "evaluation.every = 5 has no effect; it needs data.evaluation"),
        ([*SEVENS, "--guard.rate_factor", "0"], "--guard.rate_factor: 'guard.rate_factor' = 0"),
        ([*SEVENS, "--zero", "3"], "the policy cannot sample; set engine = 'vllm'"),
        ([*PIECES, "--algorithm.name", "ppo"], "set critic.shared = true"),
        ([*PIECES, "--offload.reference", "true"], "parallel.offload's"),
        ([*SEVENS, "--rollouts.engine", "vllm", "--quantize", "4bit", "--lora", "true"], "not from the quantised policy"),
    ],
)  # fmt: skip
def test_mistakes_are_found_before_anything_is_loaded(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_config(load_config(RLConfig, None, words))


def test_more_tokens_than_the_model_has_positions_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"prompt of 6 tokens .* = 123 are more than the model's 128 positions"
    ):
        make_run(tmp_path, "--rollouts.max_new_tokens", 123)


def test_a_problem_of_the_first_rollout_alone_is_measured_like_any_other(tmp_path: Path) -> None:
    # Half of the rewards divide by zero, whichever row comes first; the metrics know of parts only.
    run = make_run(tmp_path, "--reward.expression", "sevens / (parity - 1)", "--run.steps", 4)
    train(run)
    lines = list(read_lines(tmp_path / "run" / "metrics.jsonl"))
    assert [{name for name in line if name.startswith("reward/")} for line in lines] == [
        {"reward/sevens", "reward/parity"}
    ] * 4
    assert all(0 < line["fate/unscorable"] < 16 for line in lines)


def test_a_file_of_parts_is_loaded_as_the_command_line_does(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\n"  # whose names are looked up in the module that it must then be
        "from dataclasses import dataclass\nfrom typing import ClassVar, Literal\n"
        "from proctor.verifiers.core import Status, Verdict\nfrom proctor.verifiers.part import Bounds, Part\n"
        "from proctor.verifiers.registry import register\n"
        "@register\n@dataclass(frozen=True)\nclass Loaded(Part):\n"
        "    kind: Literal['a', 'b'] = 'a'\n    name: ClassVar[str] = 'loaded_part'\n"
        "    bounds: ClassVar[Bounds] = Bounds(0, 1)\n"
        "    def verify(self, rollouts): return [Verdict(1.0, Status.CORRECT) for _ in rollouts]\n"
    )
    (tmp_path / "parts.py").write_text(source)
    words = [*KNOWN, "--reward.load", str(tmp_path / "parts.py"), "--expression", "loaded_part(kind='b')"]
    expression, _ = check_config(load_config(RLConfig, None, words))
    assert str(expression) == 'loaded_part(kind="b")'
    with pytest.raises(InputError, match="no Python file of that name"):
        check_config(
            load_config(RLConfig, None, [*KNOWN, "--expression", "sevens", "--reward.load", "nowhere.py"])
        )
