"""The learner at the settings of big models: half precision, gradient checkpointing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

from proctor.rl import group_batch
from proctor.rl.experience import Experience
from proctor.rl.setup import Run
from proctor.rl.train import Clock, collect
from proctor.rl.update import StepStats
from proctor.sft.demo_task import make_model, make_tokenizer
from tests.rl_toy import make_files, make_run, sevens

assert sevens  # importing it registers the reward


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    """accelerate holds on to the first precision of a process."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


def sampled(run: Run) -> list[Experience]:
    run.engine.sync(run.policy.model)
    return collect(run, Clock())


@pytest.mark.parametrize("extra", [(), ("--lora", "true"), ("--algorithm.name", "gspo")])
def test_old_and_reference_logprobs_are_in_the_precision_of_the_update(
    tmp_path: Path, extra: tuple[str, ...]
) -> None:
    """Or the first ratio would not be 1, nor the first KL 0, but whatever autocast rounds away."""
    words = ("--precision", "bfloat16", "--minibatches", 2, "--kl_coef", 0.1, "--kl_placement", "loss")
    run = make_run(tmp_path, *words, *extra)
    rows = run.learner.rows(sampled(run), kl_coef=0.1)
    for micro in run.learner._cut(rows):
        with torch.no_grad():
            logp = run.workers.module(micro.batch, temperature=1.0).logp
        assert logp.dtype is torch.float32
        for name in ("old_logp", "ref_logp"):
            torch.testing.assert_close(micro.flat([getattr(row, name) for row in rows]), logp, rtol=0, atol=0)


def test_a_model_without_a_row_for_a_pad_token_is_trained(tmp_path: Path) -> None:
    """As GPT-2, whose embedding has its vocabulary alone, in which there is none."""
    make_files(tmp_path)
    folder = tmp_path / "model"
    make_model(make_tokenizer(), vocab_size=len(make_tokenizer())).save_pretrained(folder)
    text = (folder / "tokenizer.json").read_text().replace("<pad>", "<nothing>")
    (folder / "tokenizer.json").write_text(text)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    run = make_run(tmp_path)
    assert run.tokenizer.pad_token_id == len(make_tokenizer())
    stats = run.learner.update(run.learner.rows(sampled(run), kl_coef=0.0), kl_coef=0.0)
    assert stats[0].grad_norm > 0


def test_without_clipping_the_critic_learns_too(tmp_path: Path) -> None:
    run = make_run(tmp_path, "--algorithm.name", "ppo", "--optimizer.clip", 0)
    run.learner.update(run.learner.rows(sampled(run), kl_coef=0.0), kl_coef=0.0)
    assert run.learner.critic.critic.head.weight.abs().sum() > 0


def test_gradient_checkpointing_computes_layers_again_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though RL trains in evaluation mode, in which transformers checkpoints nothing, with dropout off."""
    monkeypatch.setattr(group_batch, "SHARE_ABOVE", 1e9)  # one forward for each micro-batch
    found: dict[str, tuple[int, list[StepStats]]] = {}
    for wanted in ("false", "true"):
        words = ("--gradient_checkpointing", wanted, "--lora", "true", "--lora_dropout", 0.5)
        run = make_run(tmp_path, *words, "--optimizer.learning_rate", 0.1, "--epochs", 2)
        rows = run.learner.rows(sampled(run), kl_coef=0.0)
        calls: list[str] = []
        layer = run.policy.base.model.layers[0].mlp
        handle = layer.register_forward_pre_hook(lambda *_, calls=calls: calls.append("mlp"))
        stats = run.learner.update(rows, kl_coef=0.0)
        handle.remove()
        found[wanted] = len(calls), stats
        assert not any(module.training for module in run.policy.modules())
    assert found["true"][0] == 2 * found["false"][0] > 0
    for again, once in zip(found["true"][1], found["false"][1], strict=True):
        assert (again.loss, again.grad_norm) == pytest.approx((once.loss, once.grad_norm), rel=1e-4)
