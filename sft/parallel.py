"""One process or many: plain and DDP through accelerate, ZeRO 1 to 3 through DeepSpeed.

Both give the loop the same few verbs. Losses arrive already divided by what the global batch holds, so
gradients are summed over processes: `accumulate` undoes the averaging that DDP and DeepSpeed do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from proctor.sft.config import ConfigError
from proctor.sft.heap import keep_freed_memory
from proctor.sft.model import Policy, wants_bfloat16, weights_of
from proctor.sft.optimizer import own_settings
from proctor.sft.settings import Precision


class Plain:
    """One process, or DDP under torchrun; gloo on CPU, nccl on GPUs. clip: largest gradient norm, 0: none."""

    in_pieces = False

    def __init__(self, *, precision: Precision = "auto", clip: float = 0.0) -> None:
        _settle_on_cpu()
        from accelerate import Accelerator

        self._accelerator = Accelerator(
            cpu=not torch.cuda.is_available(), mixed_precision="bf16" if wants_bfloat16(precision) else "no"
        )
        self._clip = clip
        self.rank = self._accelerator.process_index
        self.num_processes = self._accelerator.num_processes
        self.device = self._accelerator.device

    def prepare(self, wrapped: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Takes a module around a model, and optimizer; `module` is then what to call."""
        self._wrapped, self.optimizer = wrapped.to(self.device), optimizer
        self._trained = [parameter for parameter in wrapped.parameters() if parameter.requires_grad]
        self.module: nn.Module = self._accelerator.prepare_model(wrapped)

    def autocast(self, module: nn.Module) -> Callable[..., Any]:
        """The forward of a module that was not prepared, in the precision of the one that was."""

        def forward(*inputs: Any, **options: Any) -> Any:
            with self._accelerator.autocast():
                return module(*inputs, **options)

        return forward

    def accumulate(self, loss: Tensor, *, is_last: bool) -> None:
        """Backward of one micro-batch; gradients are exchanged with the last one of a step."""
        quiet = nullcontext() if is_last else self._accelerator.no_sync(self.module)
        with quiet:
            (loss * self.num_processes).backward()

    def step(self) -> float:
        """Clips, updates and clears; the gradient norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self._trained, self._clip or float("inf"))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def weights(self) -> Mapping[str, Tensor]:
        """The model's weights under its own names."""
        return weights_of(self._wrapped)

    def save(self, folder: Path) -> None:
        """Writes the optimiser's state."""
        if self.rank == 0:
            torch.save(self.optimizer.state_dict(), folder / "optimizer.pt")

    def load(self, folder: Path) -> None:
        """Reads what `save` wrote; the weights are loaded apart."""
        # The optimiser takes each state to its parameter's device.
        state = torch.load(folder / "optimizer.pt", map_location="cpu", weights_only=True)
        with own_settings(self.optimizer):
            self.optimizer.load_state_dict(state)

    def total(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the processes."""
        return _total(values, self.num_processes, self.device)

    def wait(self) -> None:
        """Waits for the other processes."""
        self._accelerator.wait_for_everyone()


class Zero:
    """DeepSpeed ZeRO: optimiser state (1), gradients (2) and weights (3) shared out over the processes.

    config: a DeepSpeed configuration; `zero_config` makes one. With stage 3 create this before the model is
    loaded, so that it is loaded in pieces.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        _settle_on_cpu()
        # A single process needs no torchrun: DeepSpeed only wants to be told so.
        for name, value in (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "1")):
            os.environ.setdefault(name, value)
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", "29501")
        import deepspeed

        self._deepspeed, self._config = deepspeed, dict(config)
        self.stage = stage_of(config)
        self.in_pieces = (
            self.stage == 3
        )  # every process must take part in a forward: each has a share of the weights
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)
        self.rank, self.num_processes = torch.distributed.get_rank(), torch.distributed.get_world_size()
        local = int(os.environ["LOCAL_RANK"])
        self.device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
        if self.in_pieces:
            from transformers.integrations import HfDeepSpeedConfig

            self._sharded_loading = HfDeepSpeedConfig(self._config)  # holds while it lives

    def prepare(self, policy: Policy, optimizer: torch.optim.Optimizer) -> None:
        """Takes policy and optimizer; `module` is then what to call."""
        self._announce_head(policy)
        own = None if "optimizer" in self._config else optimizer
        self._policy = policy
        self.module, self.optimizer, *_ = self._deepspeed.initialize(
            model=policy,
            optimizer=own,
            model_parameters=[p for p in policy.parameters() if p.requires_grad],
            config=self._config,
        )

    def hold(self, policy: Policy) -> None:
        """Takes a policy that is only read and was loaded in pieces: its weights come and go as they are used."""
        self._announce_head(policy)
        kept = {name: self._config[name] for name in ("bf16", "fp16") if name in self._config}
        zero = {
            name: value
            for name, value in self._config["zero_optimization"].items()
            if name != "offload_optimizer"
        }
        config = {"train_micro_batch_size_per_gpu": 1, "zero_optimization": zero, **kept}
        self._deepspeed.initialize(model=policy, config=config)

    def _announce_head(self, policy: Policy) -> None:
        if self.in_pieces:  # the head's weight is used outside its own module's forward
            self._deepspeed.zero.register_external_parameter(policy, policy.head.weight)
            if policy.head.bias is not None:
                self._deepspeed.zero.register_external_parameter(policy, policy.head.bias)

    def autocast(self, module: nn.Module) -> Callable[..., Any]:
        """The forward of a module that was not prepared; DeepSpeed's precision is that of the weights."""
        return module

    def accumulate(self, loss: Tensor, *, is_last: bool) -> None:
        """Backward of one micro-batch; gradients are exchanged as the stage does it."""
        self.module.set_gradient_accumulation_boundary(is_boundary=is_last)
        self.module.backward(loss * self.num_processes)

    def step(self) -> float:
        """Clips, updates and clears; the gradient norm before clipping."""
        self.module.step()
        return float(self.module.get_global_grad_norm() or 0.0)

    def weights(self) -> Mapping[str, Tensor]:
        """The model's weights under its own names; whole on the first process only."""
        if not self.in_pieces:
            return weights_of(self._policy)
        gathered = self.module._zero3_consolidated_16bit_state_dict() or {}
        return {name.removeprefix("model."): value for name, value in gathered.items()}

    def save(self, folder: Path) -> None:
        """Writes every process' share of weights and optimiser state."""
        self.module.save_checkpoint(str(folder), tag="zero")

    def load(self, folder: Path) -> None:
        """Reads what `save` wrote, weights included. Raises ValueError where another kind of run wrote it."""
        try:
            with own_settings(self.optimizer):
                path, _ = self.module.load_checkpoint(str(folder), tag="zero")
        except Exception as error:  # the border to DeepSpeed, which asserts without a word
            raise ValueError(str(error) or "DeepSpeed finds no state of this stage in it") from error
        if path is None:  # it warns, and goes on with the weights that it has
            raise ValueError("DeepSpeed finds no state of this stage in it")

    def total(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the processes."""
        return _total(values, self.num_processes, self.device)

    def wait(self) -> None:
        """Waits for the other processes."""
        torch.distributed.barrier()


Workers = Plain | Zero


def stage_of(config: Mapping[str, Any]) -> int:
    """The ZeRO stage of a DeepSpeed configuration."""
    return int(config.get("zero_optimization", {}).get("stage", 0))


def zero_config(
    stage: Literal[1, 2, 3], *, offload: bool = False, clip: float = 1.0, bf16: bool = False
) -> dict[str, Any]:
    """A DeepSpeed configuration. Micro-batches are counted by the loop, so accumulation is 1 here."""
    zero: dict[str, Any] = {"stage": stage, "overlap_comm": False}
    if offload:
        zero["offload_optimizer"] = {"device": "cpu"}
        if stage == 3:
            zero["offload_param"] = {"device": "cpu"}
    if stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": clip,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": bf16},
        "steps_per_print": 2**31,
    }


def read_zero_config(path: str | Path) -> dict[str, Any]:
    """A DeepSpeed JSON file, with what the loop must decide laid over it. Raises ConfigError."""
    try:
        config: dict[str, Any] = dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"parallel.deepspeed_config: '{path}' is no JSON object: {error}") from error
    ours = {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 1}
    config.pop("train_batch_size", None)
    return {"zero_allow_untested_optimizer": True, "zero_force_ds_cpu_optimizer": False, **config, **ours}


def is_shared_out(parameter: Tensor) -> bool:
    """Whether ZeRO-3 has cut the parameter into pieces, of which this process holds one."""
    return hasattr(parameter, "ds_id")


def whole(parameters: Iterable[nn.Parameter]) -> AbstractContextManager[Any]:
    """Inside, the parameters are whole on every process, to be read. Collective for those shared out."""
    shared = [parameter for parameter in parameters if is_shared_out(parameter)]
    if not shared:
        return nullcontext()
    import deepspeed

    gathered: AbstractContextManager[Any] = deepspeed.zero.GatheredParameters(shared)
    return gathered


def _settle_on_cpu() -> None:
    """DeepSpeed, which transformers imports where it is installed, otherwise warns that it sees no GPU."""
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
        keep_freed_memory()


def _total(values: Sequence[float], num_processes: int, device: torch.device) -> list[float]:
    if num_processes == 1:
        return list(values)
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    torch.distributed.all_reduce(tensor)
    summed: list[float] = tensor.tolist()
    return summed
