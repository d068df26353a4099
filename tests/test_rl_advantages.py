"""Advantages against the peers' own numbers and against values worked out by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from proctor.rl.algorithms import advantages as estimators
from proctor.rl.algorithms.registry import ADVANTAGES, BY_PART, find
from tests.rl_reference import Case, cases

NAN = float("nan")


def groups_of(size: int, rewards: Tensor) -> Tensor:
    return torch.arange(len(rewards)) // size


def group_advantage(case: Case, rewards: Tensor, groups: Tensor) -> Tensor:
    """Our spelling of a peer's estimator."""
    p = case.params
    trl = case.peer.startswith("trl")
    match p["estimator"]:
        case "grpo" if trl:
            return estimators.grpo(rewards, groups, scale=p["scale"], eps=p["eps"])
        case "grpo":
            scale = "group" if p["norm_adv_by_std_in_grpo"] else "none"
            return estimators.grpo(rewards, groups, scale=scale, eps=p["eps"], keep_single=True)
        case "rloo":
            normalize = p.get("normalize_advantages", False)
            return estimators.rloo(rewards, groups, normalize=normalize, keep_single=not trl)
        case "grpo_passk":
            return estimators.best_of_group(rewards, groups, eps=p["eps"])
        case "gpg":
            return estimators.gpg(rewards, groups)
        case "reinforce_plus_plus_baseline":
            return estimators.reinforce_pp_baseline(rewards, groups)
        case "reinforce_baseline":
            return estimators.reinforce_pp_baseline(rewards, groups, unbiased=False)
        case "dr_grpo":
            return estimators.grpo(rewards, groups, scale="none")
        case "group_norm":
            return estimators.grpo(rewards, groups, eps=p["eps"])
        case "opo":
            return estimators.opo(rewards, groups, lengths=case.inputs["lengths"], keep_single=True)
        case "flash_reinforce":
            return estimators.batch_baseline(rewards, groups)
    raise AssertionError(p["estimator"])


@cases("group_advantage")
def test_group_advantage_is_the_peers(case: Case) -> None:
    rewards = case.inputs["rewards"]
    case.check(group_advantage(case, rewards, groups_of(case.params["group_size"], rewards)), "advantages")


@cases("group_advantage_uneven")
def test_uneven_groups_in_any_order_are_the_peers(case: Case) -> None:
    case.check(group_advantage(case, case.inputs["rewards"], case.inputs["group"].long()), "advantages")


@cases("multi_reward_advantage")
def test_several_rewards_are_trls(case: Case) -> None:
    rewards = case.inputs["rewards_per_func"]
    weights = torch.tensor(case.params["weights"], dtype=torch.float64)
    groups = groups_of(case.params["group_size"], rewards)
    if case.params["aggregation"] == "normalize_then_sum":
        got = estimators.gdpo(rewards, groups, weights_K=weights)
    else:
        unscored = rewards.isnan().all(dim=1)
        total = torch.where(unscored, torch.nan, (rewards * weights).nansum(dim=1))
        got = estimators.grpo(total, groups)
    case.check(got, "advantages")


def test_no_verdict_leaves_the_group_before_the_baseline() -> None:
    # Without the unscorable one the group is {1, 0}: mean 0.5, std sqrt(0.5); as a zero it is {1, 0, 0}.
    got = estimators.grpo(torch.tensor([1.0, NAN, 0.0]), torch.zeros(3, dtype=torch.long), eps=0.0)
    torch.testing.assert_close(got, torch.tensor([0.5**0.5, 0.0, -(0.5**0.5)]))


@pytest.mark.parametrize("name", sorted(ADVANTAGES))
def test_equal_rewards_teach_exactly_nothing(name: str) -> None:
    rewards = torch.full((6,), 0.1, dtype=torch.float32)  # 0.1 * 3 / 3 is not 0.1 in float32
    options = {"weights_K": torch.ones(1)} if name in BY_PART else {}
    rewards = rewards[:, None] if name in BY_PART else rewards
    got = find(ADVANTAGES, name)(rewards, torch.arange(6) // 3, lengths=torch.arange(1, 7), **options)
    assert got.tolist() == [0.0] * 6


@pytest.mark.parametrize("name", ["grpo", "rloo", "opo", "gpg", "best_of_group", "reinforce_pp_baseline"])
def test_a_group_with_one_verdict_gets_zero(name: str) -> None:
    rewards, groups = torch.tensor([1.0, NAN, NAN]), torch.tensor([0, 0, 1])
    assert find(ADVANTAGES, name)(rewards, groups, lengths=torch.ones(3)).tolist() == [0.0, 0.0, 0.0]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.5, 1.0, NAN])), min_size=1, max_size=20))
def test_advantages_of_a_group_sum_to_zero(rows: list[tuple[int, float]]) -> None:
    groups = torch.tensor([group for group, _ in rows])
    rewards = torch.tensor([reward for _, reward in rows], dtype=torch.float64)
    for estimator in (estimators.grpo, estimators.rloo):
        got = estimator(rewards, groups)
        assert not got.isnan().any()
        for group in groups.unique():
            assert abs(float(got[groups == group].sum())) < 1e-9


@given(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=1, max_size=6))
def test_standardised_advantages_are_numbers_however_few_verdicts_there_are(rewards: list[float]) -> None:
    values, groups = torch.tensor(rewards), torch.zeros(len(rewards), dtype=torch.long)
    found = (
        estimators.rloo(values, groups, normalize=True),
        estimators.gdpo(values[:, None], groups, weights_K=torch.ones(1)),
    )
    for got in found:
        assert got.isfinite().all()
        assert (got[values.isnan()] == 0).all()


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean 'rloo'"):
        find(ADVANTAGES, "rlo")
