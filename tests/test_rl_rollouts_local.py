"""The embedded engine samples from exactly the model it was given, whatever the architecture."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from proctor.rl.rollouts.core import Completion, Sampling
from proctor.rl.rollouts.decoder import Decoder, is_supported
from proctor.rl.rollouts.local import LocalEngine, draw

SIZES = {
    "vocab_size": 31,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "qwen2": Qwen2Config(**SIZES, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SIZES, head_dim=16),
    "llama": LlamaConfig(**SIZES),
    "llama_with_biases": LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    "mistral": MistralConfig(**SIZES, sliding_window=None),
    "gpt2": GPT2Config(vocab_size=31, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2),
}
PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12], [4]]
SAMPLING = Sampling(num_samples=3, max_new_tokens=12, end_ids=(2,), seed=7)


def make(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[name], attn_implementation="sdpa").eval()
    with torch.no_grad():  # spread the logits: an untrained model is nearly uniform, which hides mistakes
        for parameter in model.parameters():
            parameter.mul_(3.0) if parameter.dim() > 1 else parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def forward_logprobs(model: torch.nn.Module, completion: Completion) -> torch.Tensor:
    """What a plain forward says of the completion's tokens."""
    tokens = torch.tensor([completion.prompt_ids + completion.token_ids])
    logits = model(tokens).logits[0, len(completion.prompt_ids) - 1 : -1]
    return torch.log_softmax(logits.float(), -1).gather(-1, torch.tensor(completion.token_ids)[:, None])[:, 0]


@pytest.mark.parametrize("name", CONFIGS)
def test_logprobs_are_those_of_a_plain_forward(name: str) -> None:
    model = make(name)
    completions = LocalEngine(model).generate(PROMPTS, SAMPLING)

    assert is_supported(model) == (name not in ("gpt2", "llama_with_biases"))
    assert [list(completion.prompt_ids) for completion in completions[::3]] == PROMPTS
    for completion in completions:
        got = torch.tensor(completion.logprobs)
        torch.testing.assert_close(got, forward_logprobs(model, completion), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["qwen2", "gpt2"])
def test_greedy_is_transformers_generate(name: str) -> None:
    model = make(name)
    sampling = Sampling(max_new_tokens=10, temperature=0.0, end_ids=(2,))
    for completion in LocalEngine(model).generate(PROMPTS, sampling):
        prompt = torch.tensor([completion.prompt_ids])
        want = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=10,
            eos_token_id=2,
            pad_token_id=0,
        )
        assert list(completion.token_ids) == want[0, prompt.shape[1] :].tolist()


def test_the_end_token_is_kept_and_only_then_is_it_not_truncated() -> None:
    completions = LocalEngine(make("qwen2")).generate(PROMPTS * 8, SAMPLING)
    assert {completion.is_truncated for completion in completions} == {True, False}
    for completion in completions:
        assert (completion.token_ids[-1] == 2) is not completion.is_truncated
        assert 2 not in completion.token_ids[:-1]


def test_same_seed_same_completions_other_seed_others() -> None:
    engine = LocalEngine(make("qwen2"))
    again = Sampling(num_samples=3, max_new_tokens=12, end_ids=(2,), seed=8)
    first = engine.generate(PROMPTS, SAMPLING)
    assert engine.generate(PROMPTS, SAMPLING) == first
    assert engine.generate(PROMPTS, again) != first  # 9 x 12 draws from 31 tokens: luck cannot repeat them


@pytest.mark.parametrize("max_rows", [256, 3])
def test_each_prompt_is_ready_once_and_the_first_to_end_first(max_rows: int) -> None:
    told: list[tuple[int, list[Completion]]] = []
    engine = LocalEngine(make("qwen2"), max_rows=max_rows)
    sampling = Sampling(num_samples=2, max_new_tokens=60, end_ids=(2, 3, 4), seed=7)
    found = engine.generate(PROMPTS * 4, sampling, lambda *prompt: told.append(prompt))
    assert [one for _, completions in sorted(told) for one in completions] == found
    longest = [max(len(one.token_ids) for one in completions) for _, completions in told]
    if max_rows == 256:  # one batch
        assert longest == sorted(longest)
        assert longest[0] < longest[-1]


def test_batches_of_any_size_keep_order() -> None:
    engine = LocalEngine(make("qwen2"), max_rows=3)
    got = engine.generate(PROMPTS, SAMPLING)
    assert [list(completion.prompt_ids) for completion in got[::3]] == PROMPTS


def test_draws_follow_the_distribution_and_the_nucleus() -> None:
    logits = torch.tensor([[0.05, 0.9, 0.05, 0.0], [0.5, 0.3, 0.15, 0.05]]).log()
    line = torch.ones(20_000, dtype=torch.long)
    generator = torch.Generator().manual_seed(0)

    def shares(top_p: float) -> list[float]:
        chosen, _ = draw(logits, line, Sampling(top_p=top_p), generator)
        return (torch.bincount(chosen, minlength=4) / len(chosen)).tolist()

    # 20,000 draws: standard error below 0.0036, so 0.02 is more than five of them.
    assert shares(1.0) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.02)
    assert shares(0.7) == pytest.approx([0.625, 0.375, 0.0, 0.0], abs=0.02)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings:UserWarning")  # the head has no adapter
@pytest.mark.parametrize("target", ["q_proj", "embed_tokens"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adapters_are_sampled_from_without_being_merged(dtype: torch.dtype, target: str) -> None:
    """In bfloat16 too, where the base model is in half precision and its adapters are not."""
    base = make("qwen2")
    for parameter in base.parameters():
        parameter.data = parameter.data.to(dtype)
    model = get_peft_model(base, LoraConfig(r=4, target_modules=[target, "down_proj"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or "lora_embedding" in name:
                parameter.normal_()
    model.eval()
    completion = LocalEngine(model).generate([PROMPTS[0]], SAMPLING)[0]
    torch.testing.assert_close(
        torch.tensor(completion.logprobs), forward_logprobs(model.float(), completion), rtol=0, atol=2e-5
    )


def test_sync_takes_over_new_weights() -> None:
    model = make("qwen2")
    engine = LocalEngine(model)
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.weight.add_(1.0)
    engine.sync(model)
    completion = engine.generate([PROMPTS[1]], SAMPLING)[0]
    torch.testing.assert_close(
        torch.tensor(completion.logprobs), forward_logprobs(model, completion), rtol=0, atol=2e-5
    )


def test_sliding_windows_are_left_to_transformers() -> None:
    config = MistralConfig(**SIZES, sliding_window=4)
    assert not is_supported(AutoModelForCausalLM.from_config(config))
    assert Decoder  # the lean decoder itself would read past the window
