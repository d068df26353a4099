"""Advantages per token: what lands on a token flows back, and only the batch's differences are left."""

import pytest
import torch
from torch import Tensor

from proctor.rl.algorithms.presets import preset
from proctor.rl.credit import at_high_entropy, with_token_advantages
from proctor.rl.rows import Row


def make_row(size: int, *, kl: float = 0.0, values: Tensor | None = None) -> Row:
    """`kl`: sampler's minus reference's log-prob of every token."""
    sampler = torch.full((size,), -1.0)
    tokens = tuple(range(size))
    return Row((1, 2), tokens, torch.zeros(size), sampler, ref_logp=sampler - kl, values=values)


def test_without_a_discount_a_completions_tokens_share_its_reward() -> None:
    # Tokens carry 1, 1, 1 and 0: mean 0.75, variance 4 * 0.1875 / 3 = 0.25, so (x - 0.75) / 0.5.
    rows = with_token_advantages([make_row(3), make_row(1)], [1.0, 0.0], preset("reinforce_pp"), kl_coef=0.0)
    torch.testing.assert_close(rows[0].advantages, torch.full((3,), 0.5))
    torch.testing.assert_close(rows[1].advantages, torch.full((1,), -1.5))


def test_a_discount_and_the_kl_are_taken_per_token() -> None:
    algorithm = preset("reinforce_pp", gamma=0.5)
    rows = with_token_advantages([make_row(3, kl=0.2), make_row(1)], [1.0, 0.0], algorithm, kl_coef=0.5)
    # Each token costs 0.1: R_3 = 1 - 0.1 = 0.9, R_2 = 0.5 * 0.9 - 0.1 = 0.35, R_1 = 0.5 * 0.35 - 0.1 = 0.075.
    want = torch.tensor([0.075, 0.35, 0.9])
    torch.testing.assert_close(rows[0].returns, want)
    flat = torch.cat([want, torch.zeros(1)])
    whitened = (flat - flat.mean()) / flat.std()
    torch.testing.assert_close(torch.cat([row.advantages for row in rows]), whitened, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["reinforce_pp", "ppo"])
def test_equal_returns_teach_exactly_nothing(name: str) -> None:
    rows = [make_row(size, values=torch.zeros(size)) for size in (7, 6)]  # 0.1 * 13 / 13 is not 0.1
    algorithm = preset(name, **({"gae_lambda": 1.0} if name == "ppo" else {}))
    found = with_token_advantages(rows, [0.1, 0.1], algorithm, kl_coef=0.0)
    assert all((row.advantages == 0).all() for row in found)


def test_only_the_tokens_of_the_highest_entropy_keep_their_advantage() -> None:
    rows = [
        Row((1,), (2, 3), torch.ones(2), torch.zeros(2)),
        Row((1,), (4, 5), -torch.ones(2), torch.zeros(2)),
    ]
    found = at_high_entropy(rows, [torch.tensor([0.1, 0.9]), torch.tensor([0.8, 0.2])], share=0.5)
    assert [row.advantages.tolist() for row in found] == [[0.0, 1.0], [-1.0, 0.0]]
