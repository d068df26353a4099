"""SFT losses: peers' numbers, hand-computed cases, and no trace of how a global batch was cut."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proctor.sft.batch import Example, micro_batches, pack_examples, pad_examples
from proctor.sft.head import Head, chosen_logprobs, fused_loss
from proctor.sft.losses import divisor, find_loss, token_loss
from tests.rl_reference import Case, cases

KINDS = ["ce", "weighted_ce", "length_normalized", "sequence"]


def loss_of(kind: str, logp: Tensor, mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """The whole loss of (B, T) log-probs."""
    rows = torch.arange(len(logp))[:, None].expand_as(logp)[mask]
    ones = torch.ones_like(logp) if weights is None else weights
    terms = find_loss(kind)(ones[mask], rows)
    return -(terms.coefficients * logp[mask]).sum() / terms.share


@cases("sft_loss")
def test_equals_transformers_and_torch(case: Case):
    """The shift, the ignored labels and the divisor, through the fused head with an identity weight."""
    logits = case.inputs["logits"].clone().requires_grad_()
    labels = case.inputs["labels"].long()
    kept = labels[:, 1:] != -100
    head = Head(torch.eye(logits.shape[-1], dtype=torch.float64))
    items = case.params["num_items_in_batch"] or int(kept.sum())
    coefficients = (
        find_loss("ce")(torch.ones_like(labels[:, 1:][kept].double()), torch.zeros(0)).coefficients / items
    )
    loss = fused_loss(
        logits[:, :-1][kept], labels[:, 1:][kept], head, lambda logp, _, rows: -coefficients[rows] * logp
    ).loss
    loss.backward()
    case.check(loss.detach(), "loss")
    if case.expected["grad_logits"] is not None:
        case.check(logits.grad, "grad_logits")


@cases("sft_loss_masked")
def test_equals_openrlhf(case: Case):
    logp = case.inputs["logp"].clone().requires_grad_()
    kind = "ce" if case.params["token_level"] else "length_normalized"
    loss = loss_of(kind, logp, case.inputs["mask"].bool())
    loss.backward()
    case.rtol = max(case.rtol, 1e-8)  # OpenRLHF adds 1e-8 to its divisors
    case.check(loss.detach(), "loss")
    case.check(logp.grad, "grad_logp")


AGGREGATIONS = {
    "token-mean": "ce",
    "seq-mean-token-sum": "sequence",
    "seq-mean-token-mean": "length_normalized",
}


@cases("aggregate")
def test_equals_verl_aggregation(case: Case):
    """verl's dp_size undoes the averaging of gradients over processes, as sft/parallel.py does."""
    kind = AGGREGATIONS.get(case.params["mode"])
    if kind is None:
        return
    values, mask = case.inputs["loss"], case.inputs["mask"].bool()
    rows = torch.arange(len(values))[:, None].expand_as(values)[mask]
    terms = find_loss(kind)(torch.ones_like(values)[mask], rows)
    known = case.params.get("batch_num_tokens" if kind == "ce" else "global_batch_size", terms.share)
    total = (terms.coefficients * values[mask]).sum() / known * case.params.get("dp_size", 1)
    case.check(total, "value")


def test_hand_computed_values():
    """log p: sequence 0 has -1, -3 with weights 1, 3; sequence 1 has -4 with weight 1.

    ce = (1 + 3 + 4) / 3; weighted = (1 + 9 + 4) / 5; length_normalized = ((1 + 9) / 4 + 4) / 2;
    sequence = (1 + 9 + 4) / 2.
    """
    logp = torch.tensor([[-1.0, -3.0], [-4.0, -9.0]])
    mask = torch.tensor([[True, True], [True, False]])
    weights = torch.tensor([[1.0, 3.0], [1.0, 1.0]])
    values = [loss_of(kind, logp, mask, weights).item() for kind in KINDS]
    assert values == pytest.approx([8 / 3, 14 / 5, 3.25, 7.0])


def test_a_sequence_of_weight_zero_counts_for_nothing():
    logp, mask = torch.tensor([[-1.0], [-4.0]]), torch.ones(2, 1, dtype=torch.bool)
    weights = torch.tensor([[1.0], [0.0]])
    assert loss_of("length_normalized", logp, mask, weights).item() == 1.0


def test_an_unknown_loss_names_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'weighted_ce'"):
        find_loss("weigthed_ce")


def test_a_batch_without_targets_is_an_error():
    with pytest.raises(ValueError, match="no target tokens"):
        divisor(find_loss("ce"), [Example([1, 2], [True, False])])


@st.composite
def global_batch(draw: st.DrawFn) -> list[Example]:
    examples = []
    for _ in range(draw(st.integers(2, 7))):
        size = draw(st.integers(2, 8))
        trained = [False, *draw(st.lists(st.booleans(), min_size=size - 2, max_size=size - 2)), True]
        weights = draw(st.none() | st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=size, max_size=size))
        examples.append(
            Example(draw(st.lists(st.integers(0, 12), min_size=size, max_size=size)), trained, weights)
        )
    return examples


@settings(max_examples=60, deadline=None)
@given(global_batch(), st.sampled_from(KINDS), st.integers(4, 30), st.booleans())
def test_how_a_global_batch_is_cut_never_shows(examples, kind, budget, packed):
    """Any micro-batches, padded or packed, give the loss and gradient of the whole batch within 1e-6."""
    torch.manual_seed(0)
    embedding, weight = torch.randn(13, 4, dtype=torch.float64), torch.randn(13, 4, dtype=torch.float64)
    loss, total = find_loss(kind), divisor(find_loss(kind), examples)

    def run(groups: list[list[int]]) -> tuple[float, Tensor]:
        leaf, value = weight.clone().requires_grad_(), 0.0
        for group in groups:
            members = [examples[index] for index in group]
            batch = pack_examples(members) if packed and len(groups) > 1 else pad_examples(members, pad_id=0)
            rows = embedding[batch.input_ids[batch.target_mask]]
            targets = batch.targets[batch.target_mask]
            outputs = fused_loss(rows, targets, Head(leaf), token_loss(loss, batch, total), tile_bytes=256)
            outputs.loss.backward()
            value += outputs.loss.item()
        return value, leaf.grad

    cut = micro_batches([len(example) for example in examples], token_budget=budget)
    value, grad = run([list(range(len(examples)))])
    cut_value, cut_grad = run(cut)
    assert cut_value == pytest.approx(value, rel=1e-6)
    torch.testing.assert_close(cut_grad, grad, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_fused_loss_equals_the_definition_on_log_probs(kind):
    torch.manual_seed(0)
    examples = [
        Example([1, 2, 3, 4], [False, True, True, True], [1, 1, 2, 3]),
        Example([5, 6], [False, True]),
    ]
    batch = pad_examples(examples, pad_id=0)
    rows, targets = torch.randn(4, 5), batch.targets[batch.target_mask]
    head = Head(torch.randn(9, 5))
    total = divisor(find_loss(kind), examples)
    fused = fused_loss(rows, targets, head, token_loss(find_loss(kind), batch, total)).loss
    logp = torch.zeros(2, 3).masked_scatter(batch.target_mask, chosen_logprobs(rows, targets, head).logp)
    plain = loss_of(kind, logp, batch.target_mask, batch.weights)
    torch.testing.assert_close(fused, plain)
