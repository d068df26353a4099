"""Policies: log-probs equal the models' own for several families, adapters, and what is refused."""

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from proctor.sft.attention import attend_in_blocks
from proctor.sft.batch import Example, pack_examples, pad_examples
from proctor.sft.head import Head
from proctor.sft.model import Lora, Policy, check_head, load_policy, prepare_policy

SMALL = {
    "vocab_size": 37,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
EXAMPLES = [
    Example([3, 4, 5, 6, 7], [False, False, True, True, True]),
    Example([8, 9, 10], [False, True, True]),
]


def qwen(**changes: object) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**SMALL, **changes)).eval()


def families() -> dict[str, object]:
    torch.manual_seed(0)
    return {
        "plain": qwen(),
        "tied": qwen(tie_word_embeddings=True),
        "softcap": Gemma2ForCausalLM(Gemma2Config(**SMALL, head_dim=8, final_logit_softcapping=0.05)),
        "logit scale": CohereForCausalLM(CohereConfig(**SMALL, logit_scale=0.0625)),
        "logits scaling": GraniteForCausalLM(GraniteConfig(**SMALL, logits_scaling=8.0)),
        "bias": PhiForCausalLM(PhiConfig(**SMALL)),
        "other names": GPT2LMHeadModel(
            GPT2Config(vocab_size=37, n_embd=16, n_layer=1, n_head=2, n_positions=64)
        ),
    }


@pytest.mark.parametrize("family", list(families()))
def test_log_probs_equal_the_models_own(family):
    model = families()[family].eval()
    batch = pad_examples(EXAMPLES, pad_id=0)
    got = prepare_policy(model)(batch).logp
    logits = model(batch.input_ids, attention_mask=(batch.sequence_ids >= 0).long()).logits.float()
    want = torch.log_softmax(logits, -1)[batch.target_mask].gather(
        -1, batch.targets[batch.target_mask][:, None]
    )
    torch.testing.assert_close(got, want[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["plain", "tied", "softcap", "bias"])
def test_gradients_of_a_fused_loss_equal_autograd_through_the_models_own_logits(family):
    model = families()[family].double().eval()
    batch = pad_examples(EXAMPLES, pad_id=0)
    policy = Policy(model)
    policy(batch, lambda logp, *_: -logp / 5).loss.backward()
    got = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    logits = model(batch.input_ids, attention_mask=(batch.sequence_ids >= 0).long()).logits.double()
    torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch.targets).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad, rtol=1e-5, atol=1e-7, msg=name)


def test_a_head_that_computes_something_else_is_found_on_loading(monkeypatch):
    policy = Policy(families()["logit scale"])
    head = policy.head
    monkeypatch.setattr(Policy, "head", property(lambda self: Head(head.weight, head.bias)))
    with pytest.raises(ValueError, match="differ from its own logits"):
        check_head(policy, tolerance=1e-6)


def packed_log_probs(model: object, examples: list[Example]) -> dict[int, torch.Tensor]:
    """By the example's place."""
    batch = pack_examples(examples)
    with torch.no_grad():
        logp = Policy(model)(batch).logp
    owner = batch.sequence_ids[batch.target_mask]
    return {index: logp[owner == index] for index in range(len(examples))}


@pytest.mark.parametrize("attention", ["blocks", "sdpa", "eager"])
def test_packed_sequences_do_not_see_each_other_to_the_bit(attention):
    """Changing one packed sample leaves every log-prob of the others as it was, in every bit."""
    model = qwen(attn_implementation=attention if attention == "eager" else "sdpa")
    assert attend_in_blocks(model) if attention == "blocks" else True
    lengths = (4, 3, 30, 5, 31, 12)
    examples = [Example([(7 * n + t) % 37 for t in range(n)], [True] * n) for n in lengths]
    assert len(pack_examples(examples).blocks) > 1
    before = packed_log_probs(model, examples)
    for place, length in enumerate(lengths):
        changed = [*examples]
        changed[place] = Example([(11 * t + 5) % 37 for t in range(length)], [True] * length)
        after = packed_log_probs(model, changed)
        for other in range(len(lengths)):
            assert torch.equal(before[other], after[other]) == (other != place)


@pytest.mark.parametrize("in_blocks", [True, False])
def test_packed_log_probs_and_gradients_equal_padded_ones(in_blocks):
    examples = [*EXAMPLES, Example(list(range(1, 33)), [True] * 32)]
    grads, values = [], []
    for is_packed in (True, False):
        model = qwen().double()
        if in_blocks and is_packed:
            assert attend_in_blocks(model)
        batch = pack_examples(examples) if is_packed else pad_examples(examples, pad_id=0)
        outputs = Policy(model)(batch, lambda logp, *_: -logp)
        outputs.loss.backward()
        values.append(outputs.loss.detach())
        grads.append({name: parameter.grad for name, parameter in model.named_parameters()})
    torch.testing.assert_close(values[0], values[1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("family", [*families(), "window"])
def test_attention_by_blocks_is_right_or_not_taken(family):
    """A window shorter than the sequences keeps its mask; generation with left padding does as well."""
    window = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    model = qwen(**window) if family == "window" else families()[family].eval()
    examples = [*EXAMPLES, Example(list(range(1, 33)), [True] * 32)]
    ids = torch.tensor([[0] * (32 - len(each)) + each.token_ids for each in examples])
    mask = torch.tensor([[0] * (32 - len(each)) + [1] * len(each) for each in examples])
    with torch.no_grad():
        want = {
            index: Policy(model)(pad_examples([each], pad_id=0)).logp for index, each in enumerate(examples)
        }
        generated = model.generate(ids, attention_mask=mask, max_new_tokens=4, do_sample=False)
        is_taken = attend_in_blocks(model)
        assert torch.equal(
            model.generate(ids, attention_mask=mask, max_new_tokens=4, do_sample=False), generated
        )
    assert is_taken or family in {"softcap", "other names"}
    torch.testing.assert_close(packed_log_probs(model, examples), want, rtol=1e-5, atol=1e-5)


def test_attention_by_blocks_is_not_taken_where_the_blocks_do_not_arrive(monkeypatch):
    model = qwen()
    forward = model.model.layers[1].self_attn.forward

    def swallowing(*args: object, blocks: object = None, **options: object) -> object:
        return forward(*args, **options)

    monkeypatch.setattr(model.model.layers[1].self_attn, "forward", swallowing)
    assert not attend_in_blocks(model)
    assert model.config._attn_implementation == "sdpa"


def test_adapters_train_alone_and_leave_head_and_embeddings():
    policy = prepare_policy(qwen(), lora=Lora(rank=4))
    trained = [name for name, parameter in policy.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    assert {name.split(".")[-4] for name in trained} >= {"q_proj", "v_proj", "up_proj", "down_proj"}
    policy(pad_examples(EXAMPLES, pad_id=0), lambda logp, *_: -logp).loss.backward()
    assert all(p.grad is not None for n, p in policy.named_parameters() if "lora_B" in n)


def test_gradient_checkpointing_gives_the_same_gradients_with_adapters_too():
    batch = pad_examples(EXAMPLES, pad_id=0)
    grads = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        policy = prepare_policy(qwen(), lora=Lora(rank=4), gradient_checkpointing=checkpointing).train()
        policy(batch, lambda logp, *_: -logp).loss.backward()
        grads.append([p.grad for p in policy.parameters() if p.requires_grad])
    for plain, checkpointed in zip(*grads, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_an_adapter_on_the_head_is_refused():
    with pytest.raises(TypeError, match="leave it out of the LoRA targets"):
        prepare_policy(qwen(), lora=Lora(targets=("lm_head",)))


def test_loading_from_a_folder(tmp_path):
    qwen().save_pretrained(tmp_path)
    policy = load_policy(str(tmp_path))
    assert policy.base.config._attn_implementation == "sdpa"
    assert policy.head.weight.dtype == torch.float32


def test_quantising_without_the_library_says_what_to_install(tmp_path):
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pip install bitsandbytes"):
            load_policy(str(tmp_path), quantize="4bit", attention="sdpa")
    else:
        pytest.skip("bitsandbytes is installed")
