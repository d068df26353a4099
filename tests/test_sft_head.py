"""The chunked head equals the plain computation: values, gradients, peers' numbers, and memory."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proctor.sft.head import Head, TokenOutputs, chosen_logprobs, fused_loss
from tests.rl_reference import cases


def plain(hidden: Tensor, targets: Tensor, head: Head, temperature: float) -> tuple[Tensor, Tensor]:
    """The same with whole (N, V) logits and autograd."""
    logits = hidden @ head.weight.t()
    if head.bias is not None:
        logits = logits + head.bias
    logits = logits * head.scale
    if head.softcap:
        logits = head.softcap * torch.tanh(logits / head.softcap)
    log_probs = torch.log_softmax(logits / temperature, -1)
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    return log_probs.gather(-1, targets[:, None])[:, 0], entropy


def close(got: Tensor, want: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


@st.composite
def problems(draw: st.DrawFn) -> dict[str, object]:
    rows, width, vocabulary = draw(st.integers(1, 9)), draw(st.integers(1, 5)), draw(st.integers(2, 17))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * draw(
            st.sampled_from([0.1, 3.0])
        )

    return {
        "hidden": normal(rows, width),
        "weight": normal(vocabulary, width),
        "bias": normal(vocabulary) if draw(st.booleans()) else None,
        "targets": torch.randint(vocabulary, (rows,), generator=generator),
        "pull": torch.randn(2, rows, generator=generator, dtype=torch.float64),
        "softcap": draw(st.sampled_from([None, 2.0, 30.0])),
        "scale": draw(st.sampled_from([1.0, 0.25])),
        "temperature": draw(st.sampled_from([1.0, 0.7])),
        # from one row a chunk to all rows in one
        "tile_bytes": draw(st.sampled_from([1, 3 * 8 * vocabulary, 1 << 20])),
    }


def leaves(problem: dict[str, object]) -> list[Tensor]:
    sources = [problem["hidden"], problem["weight"], problem["bias"]]
    return [source.clone().requires_grad_() for source in sources if isinstance(source, Tensor)]


def head_of(problem: dict[str, object], tensors: list[Tensor]) -> Head:
    bias = tensors[2] if len(tensors) > 2 else None
    return Head(tensors[1], bias, problem["softcap"], problem["scale"])  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(problems())
def test_recomputed_log_probs_and_entropies_equal_the_plain_ones_with_gradients(problem):
    got, want = leaves(problem), leaves(problem)
    options = {"temperature": problem["temperature"]}
    outputs = chosen_logprobs(
        got[0],
        problem["targets"],
        head_of(problem, got),
        entropy=True,
        tile_bytes=problem["tile_bytes"],
        **options,
    )
    logp, entropy = plain(want[0], problem["targets"], head_of(problem, want), **options)
    close(outputs.logp, logp)
    close(outputs.entropy, entropy)
    pull = problem["pull"]
    (outputs.logp @ pull[0] + outputs.entropy @ pull[1]).backward()
    (logp @ pull[0] + entropy @ pull[1]).backward()
    for mine, theirs in zip(got, want, strict=True):
        close(mine.grad, theirs.grad)


@settings(max_examples=60, deadline=None)
@given(problems(), st.booleans())
def test_a_fused_loss_equals_the_plain_one_with_gradients(problem, with_entropy):
    """A nonlinear loss per token, as a clipped ratio would be."""
    got, want = leaves(problem), leaves(problem)
    pull = problem["pull"]

    def token_loss(logp, entropy, rows):
        losses = pull[0][rows] * (logp - pull[1][rows]).exp().clamp(0.5, 1.5) - logp.square()
        return losses if entropy is None else losses - 0.1 * entropy * pull[1][rows]

    outputs = fused_loss(
        got[0],
        problem["targets"],
        head_of(problem, got),
        token_loss,
        temperature=problem["temperature"],
        entropy=with_entropy,
        tile_bytes=problem["tile_bytes"],
    )
    logp, entropy = plain(want[0], problem["targets"], head_of(problem, want), problem["temperature"])
    loss = token_loss(logp, entropy if with_entropy else None, slice(None)).sum()
    close(outputs.loss, loss)
    close(outputs.logp, logp.detach())
    (outputs.loss * 3.0).backward()
    (loss * 3.0).backward()
    for mine, theirs in zip(got, want, strict=True):
        close(mine.grad, theirs.grad)


@cases("fused_logprob")
def test_equals_trl_chunked_head(case):
    inputs, params = case.inputs, case.params
    hidden, weight = inputs["hidden"].requires_grad_(), inputs["weight"].requires_grad_()
    bias = inputs["bias"] if inputs["bias"] is None else inputs["bias"].requires_grad_()
    head = Head(weight, bias, params["softcap"], params["logit_scale"])
    outputs = chosen_logprobs(
        hidden, inputs["labels"].long(), head, temperature=params["temperature"], entropy=True
    )
    (outputs.logp @ inputs["grad_logp"] + outputs.entropy @ inputs["grad_entropy"]).backward()
    case.check(outputs.logp, "logp")
    case.check(outputs.entropy, "entropy")
    case.check(outputs.is_top1.double(), "is_top1")
    case.check(hidden.grad, "grad_hidden")
    case.check(weight.grad, "grad_weight")
    if bias is not None:
        case.check(bias.grad, "grad_bias")


@cases("logits")
def test_equals_verl_log_probs_and_entropy(case):
    """An identity head makes hidden states and logits the same thing."""
    logits, temperature = case.inputs["logits"], case.params["temperature"]
    shape, vocabulary = logits.shape[:-1], logits.shape[-1]
    rows = logits.reshape(-1, vocabulary).requires_grad_()
    head = Head(torch.eye(vocabulary, dtype=torch.float64))
    targets = case.inputs["labels"].long().reshape(-1)
    outputs = chosen_logprobs(rows, targets, head, temperature=temperature, entropy=True)
    case.check(outputs.logp.reshape(shape), "logp")
    case.check(outputs.entropy.reshape(shape), "entropy")
    for value, name in [(outputs.logp, "logp"), (outputs.entropy, "entropy")]:
        (grad,) = torch.autograd.grad(value.sum(), rows, retain_graph=True)
        case.check((grad * temperature).reshape(logits.shape), f"grad_{name}_wrt_scaled_logits")


def test_log_prob_of_a_uniform_head_is_minus_log_of_the_vocabulary():
    outputs = chosen_logprobs(
        torch.zeros(3, 4), torch.tensor([0, 1, 7]), Head(torch.randn(8, 4)), entropy=True
    )
    close(outputs.logp, torch.full((3,), -math.log(8)), 1e-6)
    close(outputs.entropy, torch.full((3,), math.log(8)), 1e-6)


def test_an_improbable_target_keeps_its_log_prob_where_the_probability_underflows():
    head = Head(torch.tensor([[0.0], [-500.0]]))  # p = e^-500 is zero in float32
    outputs = chosen_logprobs(torch.ones(1, 1), torch.tensor([1]), head)
    assert outputs.logp.item() == -500.0


def test_no_rows_give_a_zero_loss_that_can_be_run_backward():
    hidden, weight = torch.zeros(0, 4, requires_grad=True), torch.randn(8, 4, requires_grad=True)
    outputs = fused_loss(hidden, torch.zeros(0, dtype=torch.long), Head(weight), lambda logp, *_: -logp)
    outputs.loss.backward()
    assert outputs.loss.item() == 0.0
    assert weight.grad.abs().sum().item() == 0.0


def test_a_frozen_head_gets_no_gradient():
    """LoRA leaves the head alone: only the hidden states need a gradient."""
    hidden, weight = torch.randn(5, 4, requires_grad=True), torch.randn(8, 4)
    fused_loss(hidden, torch.arange(5), Head(weight), lambda logp, *_: -logp).loss.backward()
    assert hidden.grad is not None
    assert weight.grad is None


def test_bf16_products_stay_within_bf16_of_float32():
    torch.manual_seed(0)
    hidden, weight, targets = torch.randn(40, 64), torch.randn(100, 64) * 0.1, torch.arange(40)
    grads = []
    for dtype in (torch.float32, torch.bfloat16):
        leaf, matrix = (each.to(dtype, copy=True).requires_grad_() for each in (hidden, weight))
        outputs = fused_loss(leaf, targets, Head(matrix), lambda logp, *_: -logp / 40)
        outputs.loss.backward()
        assert outputs.logp.dtype == torch.float32
        grads.append((outputs.loss.item(), leaf.grad.float(), matrix.grad.float()))
    assert grads[0][0] == pytest.approx(grads[1][0], rel=5e-3)
    for exact, rounded in zip(grads[0][1:], grads[1][1:], strict=True):
        assert (exact - rounded).norm() / exact.norm() < 0.02  # bf16 has 8 bits: 2^-8 = 0.004 an element


def test_autocast_runs_the_products_in_its_dtype_and_returns_gradients_of_the_inputs_dtype():
    hidden, weight = torch.randn(6, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    head = Head(weight)
    results: list[TokenOutputs] = []
    with torch.autocast("cpu", torch.bfloat16):
        results.append(fused_loss(hidden, torch.arange(6), head, lambda logp, *_: -logp))
        results.append(chosen_logprobs(hidden, torch.arange(6), head))
    results[0].loss.backward()
    fused = weight.grad
    weight.grad = None
    (-results[1].logp.sum()).backward()
    assert fused.dtype == weight.grad.dtype == torch.float32
    close(fused, weight.grad, 1e-2)


def test_a_second_backward_through_a_fused_loss_is_an_error():
    weight = torch.randn(8, 4, requires_grad=True)
    loss = fused_loss(torch.randn(2, 4), torch.arange(2), Head(weight), lambda logp, *_: -logp).loss
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="gone after its first backward"):
        loss.backward()


def test_a_loss_that_is_not_per_token_is_an_error():
    with pytest.raises(ValueError, match="one loss per row"):
        fused_loss(torch.randn(2, 4), torch.arange(2), Head(torch.randn(8, 4)), lambda logp, *_: logp.sum())


def test_unselected_rows_are_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match="select the rows that have a target"):
        chosen_logprobs(torch.randn(2, 3, 4), torch.zeros(2, 3), Head(torch.randn(8, 4)))


PEAK = """
import re, sys, torch
from proctor.sft.head import Head, fused_loss
torch.set_num_threads(1)
weight = torch.empty(60_000, 64).normal_(std=0.02).requires_grad_()
hidden, targets = torch.randn(1500, 64, requires_grad=True), torch.randint(60_000, (1500,))
def peak():  # not ru_maxrss: across exec that keeps the peak of whoever forked us
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
if sys.argv[1] == "plain":
    torch.nn.functional.cross_entropy(hidden @ weight.t(), targets).backward()
else:
    loss = fused_loss(hidden, targets, Head(weight), lambda logp, *_: -logp / 1500, tile_bytes=16 << 20).loss
    loss.backward()
print((peak() - before) / 1024)
"""


def test_the_logits_of_a_batch_never_exist():
    """1,500 x 60,000 float32 logits are 343 MB; the plain way holds two or three, ours one 16 MB tile."""
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    peaks = [
        float(
            subprocess.run(
                [sys.executable, "-c", PEAK, way], env=environment, capture_output=True, text=True, check=True
            ).stdout
        )
        for way in ("plain", "fused")
    ]
    assert peaks[0] > 600
    assert peaks[1] < 100
