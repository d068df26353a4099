"""The last layer at chosen rows: taken where it is right, refused elsewhere, and a copy's own."""

import copy

import pytest
import torch
from transformers import (
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from proctor.sft.attention import attend_in_blocks
from proctor.sft.batch import Example, pack_examples, pad_examples
from proctor.sft.last_layer import let_last_layer_choose
from proctor.sft.model import Policy, prepare_policy

SMALL = {
    "vocab_size": 37,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}
FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 8}),
    "granite": (GraniteForCausalLM, GraniteConfig, {"residual_multiplier": 0.2}),
}
EXAMPLES = [
    Example([3, 4, 5, 6, 7, 8], [False, False, False, True, True, True]),
    Example([8, 9, 10], [False, True, True]),
    Example([11, 12], [False, False]),  # a row without a target
]


def make(family: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model, config, options = FAMILIES[family]
    return model(config(**SMALL, **options)).double().train()


def gradients(policy: Policy, batch: object) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    policy.zero_grad()
    outputs = policy(batch, lambda logp, *_: -logp)
    outputs.loss.backward()
    return outputs.loss.detach(), {name: each.grad for name, each in policy.named_parameters()}


@pytest.mark.parametrize("cut", [pad_examples, pack_examples])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_the_whole_layer(family, cut):
    """Granite scales what it adds to the residual: the same parts, another layer, so it is left as it is."""
    batch = cut(EXAMPLES, pad_id=0)
    want = gradients(Policy(make(family)), batch)
    policy = prepare_policy(make(family))
    assert policy.outer_layers.last_chooses == (family != "granite")
    torch.testing.assert_close(gradients(policy, batch), want, rtol=1e-9, atol=1e-12)


def test_the_feed_forward_block_sees_the_targets_positions_only():
    policy, seen = prepare_policy(make("qwen2")), []
    for layer in policy.base.model.layers:
        layer.mlp.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape[:2]))
    policy(pad_examples(EXAMPLES, pad_id=0))
    assert seen == [(3, 5), (1, 5)]  # 3 + 2 targets


def test_gradient_checkpointing_and_blocks_change_nothing():
    want = gradients(Policy(make("qwen2")), pad_examples(EXAMPLES, pad_id=0))
    policy = prepare_policy(make("qwen2"), gradient_checkpointing=True)
    assert attend_in_blocks(policy.base)
    got = gradients(policy.train(), pack_examples(EXAMPLES))
    assert policy.outer_layers.last_chooses
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


def test_a_deep_copy_runs_its_own_weights():
    """A forward closed over the first layer would run that layer in every copy, and no error would say so."""
    policy, batch = prepare_policy(make("qwen2")), pad_examples(EXAMPLES, pad_id=0)
    other = copy.deepcopy(policy)
    with torch.no_grad():
        before = policy(batch).logp
        for parameter in other.base.model.layers[-1].parameters():
            parameter.mul_(-2)
        assert torch.equal(policy(batch).logp, before)
        assert not torch.allclose(other(batch).logp, before)


def test_a_model_that_does_not_hand_the_rows_down_is_left_as_it_is(monkeypatch):
    model = make("qwen2")
    forward = model.model.forward
    monkeypatch.setattr(model.model, "forward", lambda *args, rows=None, **options: forward(*args, **options))
    assert not let_last_layer_choose(model)
    assert "forward" not in vars(model.model.layers[-1])
