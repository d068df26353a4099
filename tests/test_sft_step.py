"""A step's cut into forwards: by the positions they hold."""

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from proctor.sft.batch import Example
from proctor.sft.losses import find_loss
from proctor.sft.model import prepare_policy
from proctor.sft.optimizer import make_optimizer
from proctor.sft.parallel import Plain
from proctor.sft.settings import OptimizerSettings
from proctor.sft.step import Cutting, train_step

TINY = Qwen2Config(
    vocab_size=16,
    hidden_size=8,
    intermediate_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=2,
)


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize(("budget", "num_forwards"), [(16, 1), (15, 2)])
def test_a_last_token_takes_nothing_of_the_budget(packing, budget, num_forwards):
    """Four sequences of 5 tokens are 20 tokens, but 16 positions: the last one of each is a target only."""
    policy, workers, shapes = prepare_policy(Qwen2ForCausalLM(TINY)), Plain(), []
    workers.prepare(policy, make_optimizer(policy, OptimizerSettings()))
    policy.register_forward_pre_hook(lambda _module, inputs: shapes.append(inputs[0].input_ids.numel()))
    examples = [Example([1, 2, 3, 4, start], [1] * 5) for start in range(5, 9)]
    result = train_step(workers, examples, find_loss("ce"), Cutting(budget, packing), rate=1e-3)
    assert len(shapes) == num_forwards
    assert max(shapes) <= budget
    assert (result.num_tokens, result.num_trained) == (16, 16)
    assert torch.isfinite(torch.tensor(result.loss))
