"""A reward model learns its pairs, joins expressions, and PPO with a critic learns what it prefers."""

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from transformers.modeling_layers import GradientCheckpointingLayer
from typer.testing import CliRunner

from proctor.cli import app
from proctor.rl.learned import Learned
from proctor.rl.preferences import read_pairs
from proctor.rl.record import read_lines
from proctor.rl.reward_model import RewardModel
from proctor.rl.reward_training import RMConfig, train_reward_model
from proctor.rl.train import train
from proctor.sft.config import ConfigError, load_config
from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.expression import reward
from tests.rl_toy import make_files, make_run

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")


ROOT = Path(__file__).parents[1]


def write_pairs(path: Path, count: int) -> None:
    """The answer with more sevens is preferred; both are eight digits."""
    draw = random.Random(0)
    rows = []
    while len(rows) < count:
        texts = ["".join(draw.choice("0177") for _ in range(8)) for _ in range(2)]
        low, high = sorted(texts, key=lambda text: text.count("7"))
        if low.count("7") < high.count("7"):
            rows.append({"prompt": "12+34=", "chosen": high, "rejected": low, "margin": 0.1})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained reward model."""
    folder = tmp_path_factory.mktemp("rm")
    make_files(folder)
    write_pairs(folder / "pairs.jsonl", 400)
    words = ["--run.model", folder / "model", "--data.train", json.dumps([str(folder / "pairs.jsonl")])]
    options = ["--run.output", folder / "rm", "--learning_rate", 0.003, "--epochs", 3, "--held_back", 0.2]
    result = CliRunner().invoke(app, ["rm", *map(str, [*words, *options])])
    assert result.exit_code == 0, result.output
    return folder


def lines(output: Path) -> list[dict[str, Any]]:
    """Its metrics, without what the clock says."""
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def test_it_learns_to_tell_the_better_answer(folder: Path) -> None:
    before, after = (each for each in lines(folder / "rm") if each["kind"] == "evaluation")
    # Of 80 held-back pairs a random model gets half; 90% is 7 standard errors above.
    assert before["pairs"] == after["pairs"] == 80
    assert after["accuracy"] > 0.9 > before["accuracy"]
    assert after["loss"] < before["loss"]
    assert abs(after["mean_score"]) < after["mean_lead"]  # centred


def test_scores_do_not_depend_on_padding(folder: Path) -> None:
    model = RewardModel.load(str(folder / "rm" / "model"))
    rows = [model.token_ids("12+34=", text) for text in ("7", "7777", "0110011001")]
    together = model.scores(rows)
    assert together == pytest.approx([model.scores([row])[0] for row in rows], abs=1e-5)
    assert together[1] > together[2]


def test_it_joins_an_expression(folder: Path) -> None:
    text = f"0.5 * learned({str(folder / 'rm' / 'model')!r}, squash=True) + 0.1"
    expression = reward(text)
    high, low = expression.score([Rollout(text, "12+34=") for text in ("77777777", "01010101")])
    assert 0.1 <= low.total < high.total <= 0.6
    assert expression.outline.bounds.high == 0.6


def test_a_missing_model_is_a_fault_of_the_configuration() -> None:
    (verdict,) = Learned("/nowhere/rm").verify([Rollout("x", "y")])
    assert verdict.value is None
    assert verdict.status is Status.MISCONFIGURED
    assert "/nowhere/rm" in verdict.evidence["problem"]


def test_bad_pairs_are_reported_by_line(folder: Path, tmp_path: Path) -> None:
    good = {"prompt": "1+1=", "chosen": "2", "rejected": "3"}
    rows = [good, {"prompt": "1+1="}, {**good, "rejected": "2"}, {**good, "chosen": 5}]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs, skipped = read_pairs([str(path)], RewardModel.load(str(folder / "model")))
    assert len(pairs) == 1
    assert [(each.line, each.reason.split(";")[0]) for each in skipped[:2]] == [
        (2, "no chosen and no rejected"),
        (3, "chosen and rejected are the same"),
    ]
    assert skipped[2].line == 4


BAD_PAIRS = [
    ({"margin": "big"}, "margin is no number: 'big'"),
    ({"margin": [1]}, "margin is no number"),
    ({"margin": math.inf}, "margin is no finite number"),
    ({"prompt": 5}, "field 'prompt' cannot be the prompt: expected text or chat messages, found int 5"),
    ({"prompt": [{"x": 1}]}, "the chat template refuses the prompt"),
    ({"chosen": ["2"], "rejected": [5]}, "chosen and rejected are text, or messages"),
    ({"chosen": [{"role": "assistant", "content": None}]}, "must not be empty"),
]


@pytest.mark.parametrize(("changed", "reason"), BAD_PAIRS)
def test_a_bad_field_costs_its_row_alone(folder: Path, tmp_path: Path, changed: dict, reason: str) -> None:
    good = {"prompt": "1+1=", "chosen": "2", "rejected": "3"}
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ({**good, **changed}, good)))
    pairs, skipped = read_pairs([str(path)], RewardModel.load(str(folder / "model")))
    assert len(pairs) == 1
    assert [each.line for each in skipped] == [1]
    assert reason in skipped[0].reason


def rm_words(folder: Path, out: Path) -> list[str]:
    pairs = json.dumps([str(folder / "pairs.jsonl")])
    known = ["--run.model", str(folder / "model"), "--data.train", pairs, "--run.output", str(out)]
    return [*known, "--tensorboard", "false"]


def rm_config(folder: Path, out: Path, *words: str) -> RMConfig:
    return load_config(RMConfig, None, [*rm_words(folder, out), *words])


def test_a_tokenizer_without_an_end_token_is_a_mistake(folder: Path, tmp_path: Path) -> None:
    model = shutil.copytree(folder / "model", tmp_path / "base")
    words = json.loads((model / "tokenizer_config.json").read_text())
    words |= {"eos_token": None, "tokenizer_class": "PreTrainedTokenizerFast"}
    (model / "tokenizer_config.json").write_text(json.dumps(words))
    with pytest.raises(ConfigError, match=r"^run\.model: the tokenizer of '.*base' has no end token"):
        train_reward_model(rm_config(folder, tmp_path, "--run.model", str(model)))


def test_nothing_left_to_train_on_is_a_mistake(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"held_back = 0\.999 leaves none of 400 pairs"):
        train_reward_model(rm_config(folder, tmp_path, "--held_back", "0.999"))
    assert not (tmp_path / "model").exists()


def test_a_loss_that_is_no_number_stops_it_and_saves_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the loss of step \d+ is (nan|inf).*learning_rate is too high"):
        train_reward_model(rm_config(folder, tmp_path, "--learning_rate", "1e30", "--epochs", "2"))
    assert not (tmp_path / "model").exists()


@contextmanager
def interrupted_in(step: int, output: Path) -> Iterator[None]:
    """Inside, SIGINT arrives while a reward model computes in that step of the run."""

    def interrupt(module: nn.Module, *_: object) -> None:
        done = sum(line["kind"] == "train" for line in lines(output)) if output.exists() else 0
        if isinstance(module, RewardModel) and done == step - 1:
            signal.raise_signal(signal.SIGINT)
            handle.remove()

    handle = register_module_forward_hook(interrupt)
    try:
        yield
    finally:
        handle.remove()


def test_an_interrupted_run_goes_on_to_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    words = ["--epochs", "2", "--batch_size", "64", "--evaluate_every", "4", "--learning_rate", "0.003"]
    whole = train_reward_model(rm_config(folder, tmp_path / "whole", *words))
    with interrupted_in(3, tmp_path / "broken"):
        broken = train_reward_model(rm_config(folder, tmp_path / "broken", *words))
    assert broken.is_interrupted
    assert broken.path.name == "step-000003"
    with pytest.raises(ValueError, match="other data"):  # what was held back would be trained on
        train_reward_model(rm_config(folder, tmp_path / "broken", *words, "--held_back", "0.2"))
    assert not (tmp_path / "broken" / "model").exists()
    resumed = train_reward_model(rm_config(folder, tmp_path / "broken", *words))
    assert lines(tmp_path / "broken") == lines(tmp_path / "whole")
    assert resumed.after == whole.after
    rows = [list(range(4, 12))]
    one, other = (RewardModel.load(str(each.path)).scores(rows) for each in (whole, resumed))
    assert one == other


SHORT = ["--epochs", "1", "--batch_size", "64", "--learning_rate", "0.003"]


def losses_of(output: Path) -> list[float]:
    return [line["loss"] for line in lines(output)]


def test_layers_computed_again_learn_alike(folder: Path, tmp_path: Path) -> None:
    computed = Counter[str]()
    for name, words in {"plain": [], "again": ["--gradient_checkpointing", "true"]}.items():
        handle = register_module_forward_pre_hook(
            lambda module, _, name=name: computed.update(
                [name] * isinstance(module, GradientCheckpointingLayer)
            )
        )
        train_reward_model(rm_config(folder, tmp_path / name, *SHORT, *words))
        handle.remove()
    assert computed["again"] > 1.5 * computed["plain"]
    assert losses_of(tmp_path / "again") == pytest.approx(losses_of(tmp_path / "plain"), rel=1e-5)


@pytest.mark.slow
def test_half_precision_learns_alike(folder: Path, tmp_path: Path) -> None:
    """In a process of its own: accelerate knows one precision a process."""
    train_reward_model(rm_config(folder, tmp_path / "whole", *SHORT))
    words = [*rm_words(folder, tmp_path / "half"), *SHORT, "--precision", "bfloat16"]
    command_line([sys.executable, "-m", "proctor", "rm", *words])
    assert losses_of(tmp_path / "half") == pytest.approx(losses_of(tmp_path / "whole"), rel=0.05)
    assert losses_of(tmp_path / "half") != losses_of(tmp_path / "whole")


def command_line(command: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_are_one(folder: Path, tmp_path: Path) -> None:
    words = ["--epochs", "1", "--batch_size", "63", "--micro_batch", "16", "--held_back", "0.2025"]
    train_reward_model(rm_config(folder, tmp_path / "one", *words))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, "-m", "proctor", "rm", *rm_words(folder, tmp_path / "two"), *words]
    command_line(command)
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert len(one) == len(two) == 8  # six steps, and held-back pairs before and after: 81, an odd number
    for mine, single in zip(two, one, strict=True):
        assert mine["kind"] == single["kind"]
        shown = {name: value for name, value in single.items() if name not in ("kind", "padding_share")}
        assert {name: mine[name] for name in shown} == pytest.approx(shown, rel=1e-4, abs=1e-6)


def test_what_is_missing_is_said_first() -> None:
    with pytest.raises(ConfigError, match=r"'run\.model' is required"):
        train_reward_model(load_config(RMConfig, None, []))


def test_ppo_with_a_critic_learns_what_the_reward_model_prefers(folder: Path) -> None:
    expression = f"learned({str(folder / 'rm' / 'model')!r}, squash=True)"
    run = make_run(
        folder, "--reward.expression", expression, "--algorithm.name", "ppo", "--kl_coef", 0.01,
        "--run.steps", 20, "--rollouts.prompts", 8, "--critic.learning_rate", 0.003,
        "--guard.enabled", "false", output="ppo",
    )  # fmt: skip
    train(run)
    rewards = [line["reward"] for line in read_lines(folder / "ppo" / "metrics.jsonl")]
    assert all(math.isfinite(value) for value in rewards)
    assert sum(rewards[-3:]) / 3 > sum(rewards[:2]) / 2 + 0.2


def test_learned_is_known_in_plain_python_and_loads_no_torch() -> None:
    code = (
        "import sys, proctor\n"
        "print(proctor.reward('learned(path=\"runs/rm/model\") / 2'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == 'learned("runs/rm/model") / 2 False\n', done.stderr
