"""Learning rates by hand, and which parameters decay."""

import pytest
import torch
from torch import nn

from proctor.sft.optimizer import learning_rate, make_optimizer, set_learning_rate
from proctor.sft.settings import OptimizerSettings

SETTINGS = OptimizerSettings(learning_rate=1.0, min_learning_rate_share=0.1, warmup_steps=4)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.25),  # (0 + 1) / 4
        (3, 1.0),
        (4, 1.0),  # cos 0
        (12, 0.55),  # half way of 16: 0.1 + 0.9 * (1 + cos(pi / 2)) / 2
        (19, 0.1 + 0.9 * (1 + -0.980785) / 2),  # cos(15 / 16 pi)
    ],
)
def test_a_linear_rise_then_half_a_cosine(step, rate):
    assert learning_rate(step, 20, SETTINGS) == pytest.approx(rate, abs=1e-6)


def test_warm_up_is_three_percent_unless_said():
    settings = OptimizerSettings(learning_rate=1.0)
    assert learning_rate(2, 100, settings) == 1.0
    assert learning_rate(1, 100, settings) == pytest.approx(2 / 3)


def test_a_run_of_one_step_has_a_rate():
    assert learning_rate(0, 1, OptimizerSettings(learning_rate=1.0, warmup_share=0.0)) == 1.0


def test_matrices_decay_and_vectors_do_not_and_frozen_parameters_are_left_out():
    module = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Linear(2, 2))
    module[2].requires_grad_(False)
    optimizer = make_optimizer(module, OptimizerSettings(weight_decay=0.5))
    decayed, others = optimizer.param_groups
    assert [tuple(p.shape) for p in decayed["params"]] == [(2, 3)]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0.0)
    assert len(others["params"]) == 3
    set_learning_rate(optimizer, 0.125)
    assert {group["lr"] for group in optimizer.param_groups} == {0.125}


def test_nothing_to_train_is_an_error():
    with pytest.raises(ValueError, match="no parameter"):
        make_optimizer(nn.Linear(2, 2).requires_grad_(False), OptimizerSettings())


def test_fused_adamw_steps_as_the_plain_one():
    torch.manual_seed(0)
    ours, plain = nn.Linear(4, 3), nn.Linear(4, 3)
    plain.load_state_dict(ours.state_dict())
    settings = OptimizerSettings(learning_rate=1e-2, weight_decay=0.0)
    optimizers = [
        make_optimizer(ours, settings),
        torch.optim.AdamW(plain.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.0, foreach=False),
    ]
    inputs = torch.randn(8, 4)
    for _ in range(3):
        for module, optimizer in zip((ours, plain), optimizers, strict=True):
            optimizer.zero_grad()
            module(inputs).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, plain.weight)
