"""The table of algorithms names pieces that exist, and says so when asked for others."""

import pytest
import torch

from proctor.rl.algorithms import advantages, losses
from proctor.rl.algorithms.kl import ESTIMATORS
from proctor.rl.algorithms.masked import AGGREGATIONS
from proctor.rl.algorithms.presets import PRESETS, preset
from proctor.rl.algorithms.registry import ADVANTAGES, LOSSES, find, policy_loss

assert advantages
assert losses  # importing them fills the tables


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_piece_of_a_preset_exists(name: str) -> None:
    algorithm = PRESETS[name]
    assert algorithm.advantage in ADVANTAGES or algorithm.by_token
    assert algorithm.aggregation in AGGREGATIONS
    assert algorithm.kl_estimator in ESTIMATORS
    logp = torch.zeros(2, 3, requires_grad=True)
    loss = find(LOSSES, algorithm.loss)(
        logp, torch.zeros(2, 3), torch.ones(2, 1), torch.ones(2, 3), **algorithm.loss_options
    )
    assert loss.shape == (2, 3)


def test_options_are_merged_and_pieces_replaced() -> None:
    algorithm = preset("dapo", loss_options={"clip_high": 0.4}, kl_coef=0.1)
    assert algorithm.loss_options == {"clip_low": 0.2, "clip_high": 0.4}
    assert algorithm.kl_coef == 0.1


def test_what_replaces_a_loss_or_an_advantage_has_its_own_options() -> None:
    assert preset("gspo", loss="ppo_clip").loss_options == {}
    assert preset("gspo", loss="gspo").loss_options == {"clip_low": 3e-4, "clip_high": 4e-4}
    assert preset("dr_grpo", advantage="rloo", advantage_options={"normalize": True}).advantage_options == {
        "normalize": True
    }
    assert PRESETS["gspo"].loss_options == {"clip_low": 3e-4, "clip_high": 4e-4}  # untouched


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean 'grpo'"):
        preset("grppo")
    with pytest.raises(KeyError, match="did you mean 'kl_coef'"):
        preset("grpo", kl_coeff=1.0)


def test_a_users_loss_joins_by_a_decorator() -> None:
    @policy_loss("test_reinforce")
    def reinforce(logp, old_logp, advantages, mask):
        return -advantages * logp

    assert find(LOSSES, "test_reinforce") is reinforce
    del LOSSES["test_reinforce"]
