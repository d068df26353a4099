"""Returns, GAE, KL and masked statistics against the peers' own numbers."""

import pytest
import torch

from proctor.rl.algorithms.kl import AdaptiveKL, FixedKL, kl_estimate, off_policy_kl
from proctor.rl.algorithms.masked import masked_mean, masked_mean_rows, masked_var, sampled_mask, whiten
from proctor.rl.algorithms.returns import discounted_returns, gae, token_rewards
from tests.rl_reference import Case, cases


@cases("gae", "gae_holes")
def test_gae_is_the_peers(case: Case) -> None:
    p, mask = case.params, case.inputs["mask"]
    advantages, returns = gae(
        case.inputs["rewards"],
        case.inputs["values"],
        mask,
        gamma=p["gamma"],
        lam=p["lam"],
        whitened=p["whiten"],
    )
    case.check(advantages, "advantages", mask=mask)
    case.check(returns, "returns", mask=mask)


@cases("reinforce_plus_plus")
def test_returns_are_verls(case: Case) -> None:
    mask = case.inputs["mask"]
    returns = discounted_returns(case.inputs["rewards"], mask, gamma=case.params["gamma"])
    case.check(returns, "returns")
    case.check(whiten(returns, mask) * mask, "advantages")


@cases("token_rewards")
def test_rewards_land_as_openrlhfs(case: Case) -> None:
    clip = case.params["clip"]
    got = token_rewards(
        case.inputs["rewards"],
        case.inputs["mask"],
        kl=case.inputs["kl"],
        kl_coef=case.params["kl_coef"],
        clip=clip[1] if clip else None,
    )
    case.check(got, "token_rewards", mask=case.inputs["mask"])


def test_a_row_without_tokens_keeps_no_reward() -> None:
    got = token_rewards(torch.tensor([1.0, 2.0]), torch.tensor([[0, 0], [1, 0]]))
    assert got.tolist() == [[0.0, 0.0], [2.0, 0.0]]


@cases("kl")
def test_kl_is_the_peers(case: Case) -> None:
    kind = case.params["estimator"]
    gradient = "k2" if kind.endswith("+") or case.params.get("unbiased_gradient") else "own"
    bound = 10.0 if kind.startswith("k3") or case.peer.startswith("openrlhf") else None
    logp = case.inputs["logp"].requires_grad_()
    kl = kl_estimate(logp, case.inputs["ref_logp"], kind.rstrip("+"), bound=bound, gradient=gradient)
    (slope,) = torch.autograd.grad(kl.sum(), logp)
    case.check(kl.detach(), "kl")
    case.check(slope, "grad_logp")


@pytest.mark.parametrize(("kind", "gradient"), [("k1", "own"), ("k3", "own"), ("k1", "k2"), ("k3", "k2")])
def test_an_off_policy_kl_has_the_gradient_of_the_reverse_kl(kind: str, gradient: str) -> None:
    # Over three tokens every expectation is a sum: tokens come from pi_old, the gradient must be that of KL(pi || ref).
    logits = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    old = torch.tensor([0.1, 0.4, 0.2], dtype=torch.float64).log_softmax(-1)
    ref = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64).log_softmax(-1)
    logp = logits.log_softmax(-1)
    (want,) = torch.autograd.grad((logp.exp() * (logp - ref)).sum(), logits, retain_graph=True)
    kl = off_policy_kl(kl_estimate(logp, ref, kind, gradient=gradient), logp, old, gradient=gradient)
    (got,) = torch.autograd.grad((old.exp() * kl).sum(), logits)
    torch.testing.assert_close(got, want)


@cases("kl_controller")
def test_kl_controller_is_openrlhfs(case: Case) -> None:
    p = case.params
    controller = AdaptiveKL(coef=p["init_kl_coef"], target=p["target"], horizon=p["horizon"])
    controller.update(float(case.inputs["current"]), int(case.inputs["n_steps"]))
    case.check(controller.coef, "value")


def test_fixed_coefficient_stays() -> None:
    controller = FixedKL(0.05)
    controller.update(100.0, 1000)
    assert controller.coef == 0.05


@cases("masked")
def test_masked_statistics_are_the_peers(case: Case) -> None:
    x, mask = case.inputs["x"], case.inputs["mask"]
    if "normalize_rows" in case.expected:
        rows = [whiten(row, keep, unbiased=False) * keep for row, keep in zip(x, mask, strict=True)]
        case.check(torch.stack(rows), "normalize_rows", mask=mask)
        return
    case.check(masked_mean(x, mask), "mean")
    case.check(masked_mean_rows(x, mask), "mean_rows")
    case.check(masked_var(x, mask), "var")
    case.check(masked_var(x, mask, unbiased=False), "var_biased")
    case.check(whiten(x, mask), "whiten", mask=mask)
    case.check(whiten(x, mask, keep_mean=True), "whiten_keep_mean", mask=mask)


@cases("eos_mask")
def test_end_mask_is_verls(case: Case) -> None:
    ends = case.params["eos"]
    got = sampled_mask(case.inputs["ids"].long(), ends if isinstance(ends, list) else [ends])
    case.check(got, "mask")


def test_unknown_kl_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown KL estimator 'k4'; known: k1, k2, k3, abs"):
        kl_estimate(torch.zeros(1), torch.zeros(1), "k4")
