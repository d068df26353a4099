"""The first layer's rows of distinct tokens: taken where it is right, refused elsewhere."""

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
from proctor.sft.first_layer import DistinctTokens, let_first_layer_share
from proctor.sft.model import Lora, Policy, prepare_policy

SMALL = {
    "vocab_size": 37,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
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
    Example([3, 4, 4, 6, 3, 8], [False, False, False, True, True, True]),
    Example([3, 4, 10], [False, True, True]),
    Example([8, 3], [False, True]),
]


def make(family: str, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    model, config, own = FAMILIES[family]
    return model(config(**SMALL | own | options)).double().train()


def gradients(policy: Policy, batch: object) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    policy.zero_grad()
    outputs = policy(batch, lambda logp, *_: -logp)
    outputs.loss.backward()
    return outputs.loss.detach(), {name: each.grad for name, each in policy.named_parameters()}


@pytest.mark.parametrize("cut", [pad_examples, pack_examples])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_all_rows(family, cut):
    """Qwen3 has norms inside its attention and Granite scales the residual: both are left as they are.

    Norms compute in float32 whatever the model has, so gradients summed before one are not rounded alike.
    """
    batch = cut(EXAMPLES, pad_id=0)
    want = gradients(Policy(make(family)), batch)
    policy = prepare_policy(make(family))
    assert policy.outer_layers.first_shares == (family in ("llama", "qwen2"))
    torch.testing.assert_close(gradients(policy, batch), want, rtol=1e-6, atol=1e-6)


def test_projections_see_each_distinct_token_once():
    policy, seen = prepare_policy(make("qwen2")), []
    for layer in policy.base.model.layers:
        layer.self_attn.q_proj.register_forward_hook(
            lambda _module, inputs, _output: seen.append(inputs[0].shape[:-1].numel())
        )
    policy(pad_examples(EXAMPLES, pad_id=0))
    assert seen == [5, 15]  # 3 4 6 8 and padding, of 3 rows of 5


def test_places_hold_the_tokens_they_stand_for():
    ids = torch.tensor([[5, 2, 5], [9, 2, 2]])
    tokens = DistinctTokens.of(ids)
    assert sorted(ids.flatten()[tokens.places].tolist()) == [2, 5, 9]
    assert torch.equal(ids.flatten()[tokens.places][tokens.inverse], ids)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_checkpointing_and_blocks_change_nothing(checkpointing):
    def run(share: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        torch.manual_seed(1)
        policy = prepare_policy(
            make("qwen2"), lora=Lora(rank=2), gradient_checkpointing=checkpointing
        ).double()
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:  # zero as it comes
                torch.nn.init.normal_(parameter)
        assert attend_in_blocks(policy.base)
        assert policy.outer_layers.first_shares
        policy.outer_layers = policy.outer_layers._replace(first_shares=share)
        return gradients(policy.train(), pack_examples(EXAMPLES))

    torch.testing.assert_close(run(True), run(False), rtol=1e-6, atol=1e-6)


def test_dropout_of_adapters_falls_anew_at_every_position():
    policy = prepare_policy(make("qwen2"), lora=Lora(rank=2, dropout=0.1))
    assert not policy.outer_layers.first_shares


def test_a_deep_copy_runs_its_own_weights():
    policy, batch = prepare_policy(make("qwen2")), pad_examples(EXAMPLES, pad_id=0)
    other = copy.deepcopy(policy)
    with torch.no_grad():
        before = policy(batch).logp
        for parameter in other.base.model.layers[0].parameters():
            parameter.mul_(-2)
        assert torch.equal(policy(batch).logp, before)
        assert not torch.allclose(other(batch).logp, before)


def test_rows_that_differ_by_position_are_left_as_they_are():
    model = make("qwen2")
    places = torch.arange(16, dtype=torch.float64)
    model.model.embed_tokens.register_forward_hook(
        lambda _m, _i, output: output + places[: output.shape[1], None]
    )
    assert not let_first_layer_share(model)
    assert "forward" not in vars(model.model.layers[0])


def test_a_single_layer_is_the_last_and_left_to_it():
    assert not prepare_policy(make("qwen2", num_hidden_layers=1)).outer_layers.first_shares
