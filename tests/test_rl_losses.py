"""Policy losses, their divisors and their gradients against the peers' own numbers."""

import pytest
import torch
from torch import Tensor

from proctor.rl.algorithms import losses
from proctor.rl.algorithms.advantages import rloo
from proctor.rl.algorithms.correction import (
    divergence_mask,
    importance_weights,
    sampler_gap,
    stale_sequence_mask,
)
from proctor.rl.algorithms.kl import kl_estimate, off_policy_kl
from proctor.rl.algorithms.masked import high_entropy_mask, masked_mean, masked_mean_rows, token_weights
from proctor.rl.algorithms.registry import LOSSES, clipped, find
from tests.rl_reference import Case, cases

TRL_DIVISOR = {
    "grpo": "sequence",
    "sapo": "sequence",
    "bnpo": "token",
    "dapo": "token",
    "cispo": "token",
    "vespo": "token",
    "dr_grpo": "constant",
    "luspo": "sequence_sum",
}
# verl and OpenRLHF add this to the count of tokens they divide by.
EPS = 1e-8
VERL_DIVISOR = {
    "token-mean": "token",
    "token-sum": "token_sum",
    "seq-mean-token-sum": "sequence_sum",
    "seq-mean-token-mean": "sequence",
    "seq-mean-token-sum-norm": "constant",
}


def trl_token_loss(p: dict, logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    clips = {"clip_low": p["eps_low"], "clip_high": p["eps_high"]}
    if p["loss_type"] == "cispo":
        return losses.cispo(logp, old_logp, advantages, mask, clip_high=p["eps_high"] - 1.0)
    if p["loss_type"] == "sapo":  # TRL holds its temperatures in float32
        temperature = float(torch.tensor(1.05, dtype=torch.float32))
        return losses.sapo(logp, old_logp, advantages, mask, temperature_negative=temperature)
    if p["loss_type"] == "vespo":
        return losses.vespo(logp, old_logp, advantages, mask)
    if p.get("level") == "sequence":
        return losses.gspo(logp, old_logp, advantages, mask, **clips)
    return losses.ppo_clip(logp, old_logp, advantages, mask, ratio_cap=p.get("delta"), **clips)


def trl_weights(p: dict, mask: Tensor) -> Tensor:
    constant = p.get("max_completion_length")
    return token_weights(mask, TRL_DIVISOR[p["loss_type"]], constant=constant, count_empty=True)


def columns(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs = case.inputs
    advantages = inputs["advantages"]
    advantages = advantages.unsqueeze(-1) if advantages.dim() == 1 else advantages
    return inputs["logp"].requires_grad_(), inputs["old_logp"], advantages, inputs["mask"]


def check_loss(case: Case, loss: Tensor, logp: Tensor) -> None:
    (gradient,) = torch.autograd.grad(loss, logp)
    case.check(loss.detach(), "loss")
    case.check(gradient, "grad_logp")


@cases("policy_loss")
def test_policy_loss_is_trls(case: Case) -> None:
    p = case.params
    logp, old_logp, advantages, mask = columns(case)
    token_loss = trl_token_loss(p, logp, old_logp, advantages, mask)
    if p["beta"]:
        kl = off_policy_kl(kl_estimate(logp, case.inputs["ref_logp"], "k3"), logp, old_logp)
        if p["level"] == "sequence":
            ratio = torch.exp(masked_mean_rows(logp - old_logp, mask)).unsqueeze(-1)
            kl = kl_estimate(logp, case.inputs["ref_logp"], "k3") * ratio
        token_loss = token_loss + p["beta"] * kl
        case.check(masked_mean(kl, mask).detach(), "kl")
    check_loss(case, (token_loss * trl_weights(p, mask)).sum(), logp)


@cases("policy_loss_variant")
def test_policy_loss_variant_is_trls(case: Case) -> None:
    p = case.params
    logp, old_logp, advantages, mask = columns(case)
    entropy = case.inputs["entropy"]
    if p["variant"] == "on_policy":
        old_logp = logp.detach()
    token_loss = trl_token_loss(p, logp, old_logp, advantages, mask)
    if p["variant"] == "kl_plain":
        token_loss = token_loss + p["beta"] * kl_estimate(logp, case.inputs["ref_logp"], "k3")
    if p["variant"] == "off_policy_mask":
        token_loss = token_loss * stale_sequence_mask(logp, old_logp, advantages, mask, limit=p["off_policy"])
    if p["variant"] == "top_entropy":
        token_loss = token_loss * high_entropy_mask(entropy, mask, quantile=1 - p["top_q"])
    loss = (token_loss * trl_weights(p, mask)).sum()
    if p["variant"] == "entropy_bonus":
        loss = loss - p["entropy_coef"] * masked_mean(entropy, mask)
    check_loss(case, loss, logp)


@cases("policy_loss_accumulated")
def test_micro_batches_add_up(case: Case) -> None:
    p = case.params
    logp, old_logp, advantages, mask = columns(case)
    parts = torch.arange(len(mask)).chunk(p["micro_batches"])
    if p["loss_type"] == "bnpo":  # TRL takes bnpo's token mean in each micro-batch: not what we would do
        weights = torch.cat([token_weights(mask[rows], "token") for rows in parts]) / len(parts)
    else:
        weights = trl_weights(p, mask)
    micro_losses = [
        (trl_token_loss(p, logp[r], old_logp[r], advantages[r], mask[r]) * weights[r]).sum() for r in parts
    ]
    case.check(torch.stack(micro_losses).detach(), "micro_losses")
    check_loss(case, torch.stack(micro_losses).sum(), logp)


@cases("policy_loss_verl")
def test_policy_loss_is_verls(case: Case) -> None:
    p = case.params
    logp, old_logp, advantages, mask = columns(case)
    clips = {"clip_low": p["eps_low"], "clip_high": p["eps_high"]}
    name = {"vanilla": "ppo_clip", "geo_mean": "gmpo"}.get(p["loss"], p["loss"])
    if name == "ppo_clip":
        clips["dual_clip"] = p["dual_clip"]
    token_loss = getattr(losses, name)(logp, old_logp, advantages, mask, **({} if name == "sapo" else clips))
    how = "sequence" if name == "gmpo" else VERL_DIVISOR[p["agg"]]
    weights = token_weights(mask, how, constant=mask.shape[1], count_empty=name == "gmpo", eps=EPS)
    check_loss(case, (token_loss * weights).sum(), logp)
    if name == "ppo_clip":
        low, high = clipped(name, logp, old_logp, advantages, mask, **clips)
        share = float((low | high).sum() / mask.sum())
        assert share == pytest.approx(case.expected["metrics"]["actor/pg_clipfrac"], abs=1e-6)


@cases("policy_loss_openrlhf")
def test_policy_loss_is_openrlhfs(case: Case) -> None:
    p = case.params
    logp, old_logp, advantages, mask = columns(case)
    loss_of = losses.gspo if p["type"] == "gspo" else losses.ppo_clip
    token_loss = loss_of(
        logp,
        old_logp,
        advantages,
        mask,
        clip_low=p["eps_low"],
        clip_high=p["eps_high"],
        dual_clip=p["dual_clip"],
    )
    how = "token" if p["token_level"] and p["type"] == "ppo" else "sequence"
    check_loss(case, (token_loss * token_weights(mask, how, eps=EPS)).sum(), logp)


@cases("is_correction")
def test_sampler_correction_is_trls(case: Case) -> None:
    p = case.params
    logp, old_logp, advantages, mask = columns(case)
    level, mode = p["mode"].split("_")
    weights = importance_weights(
        old_logp,
        case.inputs["sampling_logp"],
        mask,
        level=level,
        mode=mode,
        bounds=(p["clip_min"], p["clip_max"]),
    )
    case.check(weights, "weights", mask=mask if level == "token" else None)
    token_loss = trl_token_loss(p, logp, old_logp, advantages, mask) * weights
    check_loss(case, (token_loss * token_weights(mask, "token")).sum(), logp)


@cases("is_weights")
def test_sampler_correction_is_verls(case: Case) -> None:
    p = case.params
    # verl truncates at one threshold and masks outside two.
    is_band = isinstance(p["threshold"], str)
    low, high = p["threshold"].split("_") if is_band else (None, p["threshold"])
    weights = importance_weights(
        case.inputs["old_logp"],
        case.inputs["sampling_logp"],
        case.inputs["mask"],
        level=p["level"],
        mode="mask" if is_band else "truncate",
        bounds=(None if low is None else float(low), float(high)),
        normalize=p["batch_normalize"],
    )
    case.check(weights.expand_as(case.inputs["mask"]), "weights", mask=case.inputs["mask"])


@cases("is_correction_openrlhf")
def test_sampler_correction_is_openrlhfs(case: Case) -> None:
    p = case.params
    logp, old_logp, advantages, mask = columns(case)
    sampling = case.inputs["sampling_logp"]
    level = "sequence" if p["level"] == "seq" else "token"
    ratio = importance_weights(old_logp, sampling, mask, bounds=(None, float("inf")))
    if p["mode"] == "clip":
        weights = importance_weights(old_logp, sampling, mask, bounds=(p["low"], p["high"]))
    elif p["gating"] == "ratio":  # what passes keeps its own weight per token
        kind = "geometric" if level == "sequence" else "token"
        gate = importance_weights(
            old_logp, sampling, mask, level=kind, mode="mask", bounds=(p["low"], p["high"])
        )
        weights = ratio * (gate > 0)
    else:
        gate = divergence_mask(old_logp, sampling, mask, measure=p["gating"], limit=p["high"], level=level)
        weights = ratio * gate
    token_loss = trl_token_loss(p | {"loss_type": "dapo"}, logp, old_logp, advantages, mask) * weights
    check_loss(case, (token_loss * token_weights(mask, "token")).sum(), logp)


@cases("value_loss")
def test_value_loss_is_the_peers(case: Case) -> None:
    values, mask = case.inputs["values"].requires_grad_(), case.inputs["mask"]
    token_loss = losses.value_loss(
        values, case.inputs["old_values"], case.inputs["returns"], clip=case.params["clip"]
    )
    loss = (token_loss * token_weights(mask, VERL_DIVISOR[case.params["agg"]], eps=EPS)).sum()
    (gradient,) = torch.autograd.grad(loss, values)
    case.check(loss.detach(), "loss")
    case.check(gradient, "grad_values")


@cases("rloo")
def test_rloo_is_trls(case: Case) -> None:
    p, mask = case.params, case.inputs["mask"]
    logp, old_logp = case.inputs["logp"].requires_grad_(), case.inputs["old_logp"]
    kl = kl_estimate(old_logp, case.inputs["ref_logp"], "k1") * mask
    rewards = case.inputs["rewards"] - p["beta"] * kl.sum(-1)
    advantages = rloo(rewards, torch.arange(len(rewards)) // p["group_size"])
    case.check(advantages, "advantages")
    token_loss = losses.sequence_clip(logp, old_logp, advantages.unsqueeze(-1), mask)
    check_loss(case, (token_loss * token_weights(mask, "sequence", count_empty=True)).sum(), logp)


@cases("reward_model_loss")
def test_preference_loss_is_the_peers(case: Case) -> None:
    chosen, rejected = (case.inputs[name].requires_grad_() for name in ("chosen", "rejected"))
    loss = losses.preference_loss(
        chosen, rejected, margin=case.inputs["margin"], centre_coef=case.params["center_coefficient"] or 0.0
    )
    case.check(loss.detach(), "loss")
    if "grad_chosen" in case.expected:
        slopes = torch.autograd.grad(loss, (chosen, rejected))
        case.check(slopes[0], "grad_chosen")
        case.check(slopes[1], "grad_rejected")


@cases("aggregate")
def test_divisors_are_verls(case: Case) -> None:
    p, mask = case.params, case.inputs["mask"]
    weights = token_weights(mask, VERL_DIVISOR[p["mode"]], constant=mask.shape[1])
    if "dp_size" in p:  # verl's global totals: the same sums over another count, times the ranks
        own = {"token-mean": mask.sum(), "token-sum": p["batch_num_tokens"]}.get(
            p["mode"], (mask.sum(-1) > 0).sum()
        )
        total = p["batch_num_tokens"] if p["mode"].startswith("token") else p["global_batch_size"]
        weights = weights * own / total * p["dp_size"]
    case.check((case.inputs["loss"] * weights).sum(), "value")


@cases("entropy_mask")
def test_entropy_mask_is_trls(case: Case) -> None:
    got = high_entropy_mask(case.inputs["entropy"], case.inputs["mask"], quantile=case.params["threshold"])
    case.check(got, "keep")


def test_entropies_of_the_largest_steps_are_ranked_too() -> None:
    count = 2**24 + 1  # one more than torch.quantile takes
    entropy = torch.arange(count, dtype=torch.int32)
    kept = high_entropy_mask(entropy, torch.ones(count, dtype=torch.bool), quantile=0.75)
    assert kept.sum() == 2**22 + 1


def test_gap_is_measured_on_sampled_tokens_only() -> None:
    # d = 0.1 and -0.3 on sampled tokens; the padding's 5 must not count.
    gap = sampler_gap(
        torch.tensor([[-1.0, -1.0, 0.0]]), torch.tensor([[-1.1, -0.7, -5.0]]), torch.tensor([[1, 1, 0]])
    )
    assert gap.mean_abs == pytest.approx(0.2)
    assert gap.max_abs == pytest.approx(0.3)
    assert gap.kl == pytest.approx(0.1)


# log-ratios of two rows; their means are 0.1 and -0.1, their sums 0.2 and -0.2 nats.
DRIFTED = torch.tensor([[0.35, -0.15], [0.15, -0.35]])


@pytest.mark.parametrize(
    ("name", "options", "low", "high"),
    [
        # r = 1.42, 0.86 with A = 1, and 1.16, 0.70 with A = -1: one of each is beyond 1 -+ 0.2.
        ("ppo_clip", {}, [[0, 0], [0, 1]], [[1, 0], [0, 0]]),
        ("ppo_clip", {"clip_low": 0.0, "clip_high": 10.0}, [[0, 0], [0, 1]], [[0, 0], [0, 0]]),
        # One ratio a row, 1.105 and 0.905, beyond its own clip of a few ten-thousandths and not beyond 0.2.
        ("gspo", {}, [[0, 0], [1, 1]], [[1, 1], [0, 0]]),
        ("gspo", {"clip_low": 0.2, "clip_high": 0.2}, [[0, 0], [0, 0]], [[0, 0], [0, 0]]),
        # Of the sums: 1.22 and 0.82.
        ("sequence_clip", {}, [[0, 0], [0, 0]], [[1, 1], [0, 0]]),
        ("cispo", {"clip_high": 0.1}, [[0, 0], [0, 0]], [[1, 0], [1, 0]]),  # whatever the sign of A
        ("gmpo", {"clip_low": 0.3, "clip_high": 0.4}, [[0, 0], [0, 1]], [[0, 0], [0, 0]]),  # of log-ratios
    ],
)
def test_what_is_clipped_is_the_losses_own(name: str, options: dict, low: list, high: list) -> None:
    mask, advantages = torch.ones(2, 2), torch.tensor([[1.0], [-1.0]])
    found = clipped(name, DRIFTED, torch.zeros(2, 2), advantages, mask, **options)
    assert [side.long().tolist() for side in found] == [low, high]


@pytest.mark.parametrize("name", ["ppo_clip", "gspo", "sequence_clip"])
def test_a_clipped_token_has_no_gradient_and_the_others_have(name: str) -> None:
    logp, advantages = DRIFTED.clone().requires_grad_(), torch.tensor([[1.0], [-1.0]])
    mask = torch.ones(2, 2)
    find(LOSSES, name)(logp, torch.zeros(2, 2), advantages, mask).sum().backward()
    low, high = clipped(name, DRIFTED, torch.zeros(2, 2), advantages, mask)
    assert (logp.grad == 0).tolist() == (low | high).tolist()


def test_a_loss_without_a_clip_has_no_share_of_it() -> None:
    pair, ones = torch.zeros(1, 2), torch.ones(1, 2)
    assert clipped("sapo", pair, pair, ones, ones) is None


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"logp is \(2, 3\) but old_logp is \(2, 1\)"):
        losses.ppo_clip(torch.zeros(2, 3), torch.zeros(2, 1), torch.zeros(2, 1), torch.ones(2, 3))
