"""The vocabulary head in chunks: log-probs, entropies and losses of chosen tokens without (B, T, V) logits.

Two ways through, both exact:

- `fused_loss` forms the gradient inside the forward: three matrix products per chunk instead of four, and no
  second pass. It needs a loss that is a sum over tokens, with any divisor known beforehand.
- `chosen_logprobs` recomputes each chunk in the backward and serves any loss of the log-probs, sequence-level
  ratios among them.

A chunk is a block of rows over the whole vocabulary, so its log-sum-exp is known at once and one row of a
large vocabulary still fits a core's cache. Pass only rows with a target: prompts and padding cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Logits held at once, in bytes. At a vocabulary of 151,936 this is 128 rows: half as many double the traffic
# of the weight gradient (measured +14% time), twice as many only double the memory.
TILE_BYTES = 78 * 2**20

TokenLoss = Callable[[Tensor, "Tensor | None", slice], Tensor]
"""(log-probs (n,), entropies (n,) or None, which of the N rows) -> losses (n,), divisors applied."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last layer of a causal model: logits = cap * tanh(scale * (hidden @ weight.T + bias) / cap)."""

    weight: Tensor  # (V, H)
    bias: Tensor | None = None  # (V,)
    softcap: float | None = None  # Gemma's `final_logit_softcapping`; None: no tanh
    scale: float = 1.0  # Cohere's `logit_scale`, the inverse of Granite's `logits_scaling`


class TokenOutputs(NamedTuple):
    """What the head says of N chosen tokens, in the order of the rows."""

    loss: Tensor | None  # scalar, with gradient; None from `chosen_logprobs`
    logp: Tensor  # (N,) log-prob of the target under softmax(logits / temperature)
    entropy: Tensor | None  # (N,) in nats; None where it was not asked for
    is_top1: Tensor  # (N,) bool: the target has the largest logit


def fused_loss(
    hidden: Tensor,
    targets: Tensor,
    head: Head,
    token_loss: TokenLoss,
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    tile_bytes: int = TILE_BYTES,
) -> TokenOutputs:
    """Sum of `token_loss` over all rows, its gradients formed chunk by chunk in the forward.

    hidden (N, H), targets (N,) token ids. `token_loss` sees each row once and must not look across chunks;
    its gradient with respect to log-probs (and entropies, with entropy=True) is taken by autograd on (n,)
    vectors. `logp` and `entropy` come back without gradient. Backward may run once.
    """
    _check_rows(hidden, targets)
    options = _Options(head.softcap, head.scale, temperature, entropy, tile_bytes)
    loss, logp, entropies, is_top1 = _FusedLoss.apply(
        hidden, head.weight, head.bias, targets, token_loss, options
    )
    return TokenOutputs(loss, logp, entropies if entropy else None, is_top1)


def chosen_logprobs(
    hidden: Tensor,
    targets: Tensor,
    head: Head,
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    tile_bytes: int = TILE_BYTES,
) -> TokenOutputs:
    """Log-probs (and entropies) of N targets with gradient, chunks recomputed in the backward.

    hidden (N, H), targets (N,). Under `torch.no_grad` nothing is kept.
    """
    _check_rows(hidden, targets)
    options = _Options(head.softcap, head.scale, temperature, entropy, tile_bytes)
    logp, entropies, is_top1 = _ChosenLogprobs.apply(hidden, head.weight, head.bias, targets, options)
    return TokenOutputs(None, logp, entropies if entropy else None, is_top1)


class _Options(NamedTuple):
    softcap: float | None
    scale: float
    temperature: float
    entropy: bool
    tile_bytes: int


class _Chunk(NamedTuple):
    """One block of rows after the softmax."""

    probs: Tensor  # (n, V); overwritten by whoever forms the gradient
    logits: Tensor | None  # (n, V), kept only where entropies are wanted
    slope: Tensor | None  # (n, V): d capped / d raw logit, kept only under a softcap
    log_z: Tensor  # (n,)
    logp: Tensor  # (n,)
    entropy: Tensor | None  # (n,)
    is_top1: Tensor  # (n,)


class _Operands:
    """The head's tensors in the dtype the products run in, and float32 (or float64) for everything else."""

    def __init__(self, weight: Tensor, bias: Tensor | None, options: _Options) -> None:
        device = weight.device.type
        autocast = torch.is_autocast_enabled(device)
        self.product_dtype = torch.get_autocast_dtype(device) if autocast else weight.dtype
        self.dtype = torch.float64 if self.product_dtype == torch.float64 else torch.float32
        self.weight = weight.detach().to(self.product_dtype)
        self.bias = None if bias is None else bias.detach().to(self.dtype)
        self.options = options
        self._tiles: dict[str, Tensor] = {}

    def chunks(self, num_rows: int) -> Iterator[slice]:
        most = max(1, self.options.tile_bytes // (self.weight.shape[0] * self.dtype.itemsize))
        size = -(-num_rows // -(-num_rows // most)) if num_rows else 1  # equal chunks, not a small last one
        return (slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size))

    def _tile(self, name: str, num_rows: int, dtype: torch.dtype) -> Tensor:
        """An (n, V) tile that every chunk reuses: fresh pages for each would cost as much as a product."""
        if name not in self._tiles:
            self._tiles[name] = self.weight.new_empty((num_rows, self.weight.shape[0]), dtype=dtype)
        return self._tiles[name][:num_rows]

    def softmax(self, hidden: Tensor, targets: Tensor) -> _Chunk:
        logits, slope = self._logits(hidden)
        top = logits.amax(-1)
        target_logit = logits.gather(-1, targets[:, None])[:, 0]
        # In place where the logits are not needed again: tiles of a large vocabulary are where memory goes.
        kept = logits if self.options.entropy else None
        out = logits if kept is None else self._tile("probs", len(hidden), self.dtype)
        probs = torch.softmax(logits, -1, out=out)
        # The largest probability is at least 1/V: its logarithm gives log Z without a second exp pass.
        log_z = top - probs.amax(-1).log()
        entropy = None if kept is None else log_z - torch.linalg.vecdot(probs, kept)
        return _Chunk(probs, kept, slope, log_z, target_logit - log_z, entropy, target_logit >= top)

    def _logits(self, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits / temperature (n, V), and the slope of the cap where there is one."""
        softcap, scale, temperature, *_ = self.options
        factor = scale if softcap else scale / temperature
        product = self._tile("product", len(hidden), self.product_dtype)
        # beta=0 leaves the tile's old contents out; alpha scales for free.
        torch.addmm(product, hidden, self.weight.t(), beta=0, alpha=factor, out=product)
        logits = product
        if self.dtype != self.product_dtype:
            logits = self._tile("logits", len(hidden), self.dtype).copy_(product)
        if self.bias is not None:
            logits.add_(self.bias, alpha=factor)
        if not softcap:
            return logits, None
        logits.div_(softcap).tanh_()
        slope = 1 - logits * logits
        return logits.mul_(softcap / temperature), slope


class _Gradients:
    """Gradients of hidden, weight and bias, gathered chunk by chunk; only those that are needed."""

    def __init__(self, operands: _Operands, hidden: Tensor, needed: tuple[bool, ...]) -> None:
        self.operands = operands
        self.hidden = torch.empty_like(hidden, dtype=operands.product_dtype) if needed[0] else None
        self.weight = (
            torch.zeros_like(operands.weight, dtype=operands.dtype, memory_format=torch.contiguous_format)
            if needed[1]
            else None
        )
        self.bias = None
        if needed[2]:
            self.bias = torch.zeros(
                operands.weight.shape[0], dtype=operands.dtype, device=operands.weight.device
            )

    def add(
        self,
        rows: slice,
        hidden: Tensor,
        targets: Tensor,
        chunk: _Chunk,
        grad_logp: Tensor,
        grad_entropy: Tensor | None,
    ) -> None:
        """Adds one chunk's share.

        d logp_y / d z_j = [j = y] - p_j and d H / d z_j = -p_j (log p_j + H). The row factor of the plain
        case is applied to the (n, H) operands and not to the (n, V) tile, which saves a pass over it.
        """
        operands, options = self.operands, self.operands.options
        factor = -options.scale / options.temperature
        tile, at_target = chunk.probs, -torch.ones_like(grad_logp)
        row_factor = grad_logp.to(operands.dtype) * factor
        if grad_entropy is not None and chunk.logits is not None and chunk.entropy is not None:
            weights = chunk.logits.sub_((chunk.log_z - chunk.entropy)[:, None])
            weights.mul_(grad_entropy[:, None]).add_(grad_logp[:, None])
            tile.mul_(weights)
            at_target, row_factor = -grad_logp, torch.full_like(row_factor, factor)
        tile.scatter_add_(1, targets[:, None], at_target[:, None].to(tile.dtype))
        if chunk.slope is not None:
            tile.mul_(chunk.slope)
        self._add_products(rows, hidden, tile, row_factor)

    def _add_products(self, rows: slice, hidden: Tensor, tile: Tensor, row_factor: Tensor) -> None:
        wide, product = self.operands.dtype, tile.to(self.operands.product_dtype)
        if self.hidden is not None:
            self.hidden[rows] = (product @ self.operands.weight).to(wide).mul_(row_factor[:, None])
        if self.weight is not None:
            scaled = hidden.to(wide) * row_factor[:, None]
            _add_product(self.weight, product.t(), scaled.to(product.dtype))
        if self.bias is not None:
            self.bias.addmv_(tile.t(), row_factor)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, in total's precision: summing chunks rounded to bf16 would bias the gradient."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    elif left.is_cuda:
        total += torch.mm(left, right, out_dtype=total.dtype)
    else:
        total.addmm_(left.to(total.dtype), right.to(total.dtype))


class _FusedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        token_loss: TokenLoss,
        options: _Options,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        operands = _Operands(weight, bias, options)
        rows_hidden = hidden.detach().to(operands.product_dtype)
        gradients = _Gradients(operands, hidden, ctx.needs_input_grad[:3])
        outputs = _Outputs(hidden.shape[0], operands)
        loss = torch.zeros((), dtype=operands.dtype, device=hidden.device)
        for rows in operands.chunks(hidden.shape[0]):
            chunk = operands.softmax(rows_hidden[rows], targets[rows])
            outputs.put(rows, chunk)
            value, grad_logp, grad_entropy = _loss_of_chunk(token_loss, chunk, rows)
            loss += value
            if any(ctx.needs_input_grad[:3]):
                gradients.add(rows, rows_hidden[rows], targets[rows], chunk, grad_logp, grad_entropy)
        ctx.gradients = gradients
        ctx.dtypes = (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
        ctx.mark_non_differentiable(outputs.logp, outputs.entropy, outputs.is_top1)
        return loss, outputs.logp, outputs.entropy, outputs.is_top1

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("the gradients of a fused loss are gone after its first backward")
        formed = (gradients.hidden, gradients.weight, gradients.bias)
        scaled = (
            None if grad is None else grad.mul_(grad_loss).to(dtype)
            for grad, dtype in zip(formed, ctx.dtypes, strict=True)
        )
        return (*scaled, None, None, None)


class _ChosenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        options: _Options,
    ) -> tuple[Tensor, Tensor, Tensor]:
        operands = _Operands(weight, bias, options)
        rows_hidden = hidden.detach().to(operands.product_dtype)
        outputs = _Outputs(hidden.shape[0], operands)
        for rows in operands.chunks(hidden.shape[0]):
            outputs.put(rows, operands.softmax(rows_hidden[rows], targets[rows]))
        ctx.save_for_backward(hidden, weight, bias, targets)
        ctx.options, ctx.product_dtype = options, operands.product_dtype
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(outputs.is_top1)
        return outputs.logp, outputs.entropy, outputs.is_top1

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad_logp: Tensor | None, grad_entropy: Tensor | None, *_: Tensor
    ) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets = ctx.saved_tensors
        options = ctx.options._replace(entropy=ctx.options.entropy and grad_entropy is not None)
        autocast = torch.autocast(weight.device.type, ctx.product_dtype, ctx.product_dtype != weight.dtype)
        with autocast:
            operands = _Operands(weight, bias, options)
        rows_hidden = hidden.detach().to(operands.product_dtype)
        gradients = _Gradients(operands, hidden, ctx.needs_input_grad[:3])
        if grad_logp is None:
            grad_logp = torch.zeros(hidden.shape[0], dtype=operands.dtype, device=hidden.device)
        for rows in operands.chunks(hidden.shape[0]):
            chunk = operands.softmax(rows_hidden[rows], targets[rows])
            entropy_part = grad_entropy[rows] if options.entropy and grad_entropy is not None else None
            gradients.add(rows, rows_hidden[rows], targets[rows], chunk, grad_logp[rows], entropy_part)
        formed = (gradients.hidden, gradients.weight, gradients.bias)
        inputs = (hidden, weight, bias)
        cast = (
            None if grad is None else grad.to(source.dtype)
            for grad, source in zip(formed, inputs, strict=True)
        )
        return (*cast, None, None)


class _Outputs:
    """The per-row results of all chunks."""

    def __init__(self, num_rows: int, operands: _Operands) -> None:
        device = operands.weight.device
        self.logp = torch.empty(num_rows, dtype=operands.dtype, device=device)
        self.entropy = torch.empty(
            num_rows if operands.options.entropy else 0, dtype=operands.dtype, device=device
        )
        self.is_top1 = torch.empty(num_rows, dtype=torch.bool, device=device)

    def put(self, rows: slice, chunk: _Chunk) -> None:
        self.logp[rows] = chunk.logp
        self.is_top1[rows] = chunk.is_top1
        if chunk.entropy is not None:
            self.entropy[rows] = chunk.entropy


def _loss_of_chunk(token_loss: TokenLoss, chunk: _Chunk, rows: slice) -> tuple[Tensor, Tensor, Tensor | None]:
    """The summed loss of a chunk and its gradients with respect to log-probs and entropies."""
    with torch.enable_grad():
        logp = chunk.logp.detach().requires_grad_()
        entropy = None if chunk.entropy is None else chunk.entropy.detach().requires_grad_()
        losses = token_loss(logp, entropy, rows)
        if losses.shape != logp.shape:
            raise ValueError(
                f"token_loss must give one loss per row, shape {tuple(logp.shape)}, got {tuple(losses.shape)}"
            )
        inputs = [logp] if entropy is None else [logp, entropy]
        value = losses.sum()
        if not value.requires_grad:  # a loss of all zeros, say
            return value, torch.zeros_like(logp), None
        grads = torch.autograd.grad(value, inputs, allow_unused=True)
    grad_logp = torch.zeros_like(logp) if grads[0] is None else grads[0]
    return value.detach(), grad_logp, grads[1] if len(grads) > 1 else None


def _check_rows(hidden: Tensor, targets: Tensor) -> None:
    if hidden.ndim != 2 or targets.shape != hidden.shape[:1]:
        raise ValueError(
            f"hidden must be (N, H) and targets (N,), got {tuple(hidden.shape)} and {tuple(targets.shape)}; "
            "select the rows that have a target before calling the head"
        )
