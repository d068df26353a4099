"""An estimate of the memory a run takes, for the plan: sizes that are certain, and rules of thumb."""

from __future__ import annotations

from torch import nn

from proctor.rl.setup import Run
from proctor.sft.head import TILE_BYTES
from proctor.sft.parallel import is_shared_out


def estimate(run: Run) -> dict[str, str]:
    """Rows of the plan, in binary megabytes.

    Weights, gradients and Adam's two moments are exact; the cache is the transformers engine's at its
    fullest; activations are 16 hidden-sized float32 numbers per token and layer, which is near enough to
    plan by for a forward without checkpointing.
    """
    policy, config = run.policy, run.config
    sizes = [(p.requires_grad, _bytes_here(p)) for p in policy.parameters()]
    held = sum(size for _, size in sizes)
    trained = sum(size for is_trained, size in sizes if is_trained)
    reference = 0 if run.learner.reference is None or hasattr(policy.model, "disable_adapter") else held
    shape = policy.base.config.get_text_config()
    tokens = config.update.token_budget
    activations = 0 if config.model.gradient_checkpointing else 16 * 4 * tokens * shape.hidden_size
    activations *= shape.num_hidden_layers
    head_size = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
    keys = getattr(shape, "num_key_value_heads", None) or shape.num_attention_heads
    positions = max(len(problem.prompt_ids) for problem in run.problems) + run.sampling.max_new_tokens
    cache = 2 * 4 * shape.num_hidden_layers * keys * head_size * positions * config.rollouts.max_rows
    parts = {
        "weights": held + reference,
        "gradients and optimiser": 3 * trained,
        "activations, at most": activations + TILE_BYTES,
        "sampler's cache, at most": cache if config.rollouts.engine == "transformers" else 0,
    }
    rows = {f"memory: {name}": _megabytes(size) for name, size in parts.items()}
    return {**rows, "memory: sum": _megabytes(sum(parts.values()))}


def _bytes_here(parameter: nn.Parameter) -> int:
    """What this process holds of it: with ZeRO-3 a piece."""
    held = parameter.ds_tensor if is_shared_out(parameter) else parameter
    return int(held.numel()) * parameter.element_size()


def _megabytes(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
