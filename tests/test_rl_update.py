"""The update computes what a plain implementation of the same equations computes, however it is cut."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from proctor.rl import group_batch as sharing
from proctor.rl.algorithms.masked import token_weights
from proctor.rl.algorithms.presets import PRESETS, Algorithm
from proctor.rl.algorithms.registry import LOSSES, find
from proctor.rl.objective import Correction, Objective
from proctor.rl.rows import Row, cut
from proctor.rl.update import Tally, logprobs, policy_losses
from proctor.sft.demo_task import make_model, make_tokenizer
from proctor.sft.model import Policy, prepare_policy

CPU = torch.device("cpu")


@pytest.fixture
def policy() -> Policy:
    made = prepare_policy(make_model(make_tokenizer(), hidden_size=32, intermediate_size=64).double())
    return made.eval()


def make_rows(*, off_policy: bool = False) -> list[Row]:
    """Three groups with prompts of different length, completions of 1 to 6 tokens, two of each group equal."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for group in range(3):
        prompt = tuple(torch.randint(2, 60, (5 + 2 * group,), generator=generator).tolist())
        for place in range(4):
            if place != 2:  # the third says what the second said
                size = int(torch.randint(1, 7, (1,), generator=generator))
                tokens = tuple(torch.randint(2, 60, (size,), generator=generator).tolist())
            old = -4 + 0.3 * torch.randn(size, generator=generator, dtype=torch.float64)
            advantage = torch.randn(1, generator=generator, dtype=torch.float64).expand(size)
            rows.append(
                Row(
                    prompt,
                    tokens,
                    advantage,
                    sampler_logp=old + 0.05 * torch.randn(size, generator=generator, dtype=torch.float64),
                    old_logp=old if off_policy else None,
                    ref_logp=-4 + 0.3 * torch.randn(size, generator=generator, dtype=torch.float64),
                )
            )
    return rows


def plain_logits(policy: Policy, row: Row) -> Tensor:
    """(L, V): logits that predict the row's tokens, by transformers alone."""
    tokens = torch.tensor([row.prompt_ids + row.token_ids])
    return policy.base(tokens).logits[0, len(row.prompt_ids) - 1 : -1]


def plain_loss(policy: Policy, algorithm: Algorithm, rows: list[Row], kl_coef: float) -> Tensor:
    """The whole step as one padded (B, T) batch, straight from the equations."""
    width = max(len(row) for row in rows)

    def padded(values: list[Tensor]) -> Tensor:
        return torch.stack([torch.nn.functional.pad(value, (0, width - len(value))) for value in values])

    logp = padded(
        [
            torch.log_softmax(plain_logits(policy, row), -1).gather(-1, torch.tensor(row.token_ids)[:, None])[
                :, 0
            ]
            for row in rows
        ]
    )
    mask = padded([torch.ones(len(row), dtype=torch.float64) for row in rows])
    old = logp.detach() if rows[0].old_logp is None else padded([row.old_logp for row in rows])
    token_loss = find(LOSSES, algorithm.loss)(
        logp, old, padded([row.advantages for row in rows]), mask, **algorithm.loss_options
    )
    if kl_coef and algorithm.kl_placement == "loss":
        d = padded([row.ref_logp for row in rows]) - logp
        assert algorithm.kl_estimator in ("k3", "k2")
        token_loss = token_loss + kl_coef * (d.exp() - d - 1 if algorithm.kl_estimator == "k3" else d**2 / 2)
    return (token_loss * token_weights(mask, algorithm.aggregation, constant=16)).sum()


def gradient(policy: Policy, loss: Tensor) -> Tensor:
    policy.zero_grad()
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in policy.parameters()])


def our_step(policy: Policy, objective: Objective, *, token_budget: int) -> tuple[float, Tensor]:
    """Loss and gradient summed over micro-batches."""
    policy.zero_grad()
    total = 0.0
    micros = cut(objective.rows, token_budget=token_budget, pad_id=0, device=CPU)
    for loss, *_ in policy_losses(policy, objective, micros, temperature=1.0, entropy=False):
        loss.backward()
        total += float(loss.detach())
    return total, torch.cat([parameter.grad.flatten() for parameter in policy.parameters()])


@pytest.mark.parametrize("off_policy", [False, True])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_micro_batches_add_up_to_the_plain_step(policy: Policy, name: str, off_policy: bool) -> None:
    algorithm, rows = PRESETS[name], make_rows(off_policy=off_policy)
    want = plain_loss(policy, algorithm, rows, algorithm.kl_coef)
    want_gradient = gradient(policy, want)
    objective = Objective(algorithm, rows, max_new_tokens=16, kl_coef=algorithm.kl_coef)
    for token_budget in (20, 10_000):
        got, got_gradient = our_step(policy, objective, token_budget=token_budget)
        assert got == pytest.approx(float(want.detach()), rel=1e-6, abs=1e-9)
        torch.testing.assert_close(got_gradient, want_gradient, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ["dapo", "gspo"])
def test_sharing_the_prompt_changes_nothing(
    policy: Policy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = Objective(PRESETS[name], make_rows(off_policy=True), max_new_tokens=16)
    found = []
    for threshold in (-1.0, 1e9):  # always, never
        monkeypatch.setattr(sharing, "SHARE_ABOVE", threshold)
        found.append(our_step(policy, objective, token_budget=10_000))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-9)
    torch.testing.assert_close(
        found[0][1], found[1][1], rtol=1e-5, atol=1e-8
    )  # the attention kernel is float32 inside


def test_logprobs_are_those_of_a_plain_forward(policy: Policy) -> None:
    rows = make_rows()
    micros = cut(rows, token_budget=40, pad_id=0, device=CPU)
    found = logprobs(policy, micros, temperature=0.7)
    assert sorted(found) == list(range(len(rows)))
    for place, row in enumerate(rows):
        got = found[place]
        logp = torch.log_softmax(plain_logits(policy, row) / 0.7, -1)
        want = logp.gather(-1, torch.tensor(row.token_ids)[:, None])[:, 0].detach()
        torch.testing.assert_close(got.double(), want, rtol=0, atol=1e-5)


def test_correction_weighs_tokens_by_the_samplers_gap(policy: Policy) -> None:
    # exp(old - sampler) = exp(0.5) on every token: the loss and its gradient are multiplied by it.
    rows = [replace(row, sampler_logp=row.old_logp - 0.5) for row in make_rows(off_policy=True)]
    bare = Objective(PRESETS["dapo"], rows, max_new_tokens=16)
    corrected = replace(bare, correction=Correction("token", "truncate", None, 10.0))
    plain, scaled = (our_step(policy, objective, token_budget=100) for objective in (bare, corrected))
    factor = float(torch.exp(torch.tensor(0.5, dtype=torch.float64)))
    assert scaled[0] == pytest.approx(factor * plain[0], rel=1e-6)
    torch.testing.assert_close(scaled[1], factor * plain[1], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("measure", ["binary_kl", "tv"])
def test_tokens_on_which_sampler_and_trainer_disagree_are_dropped(policy: Policy, measure: str) -> None:
    # The second half of the rows was sampled at another probability by far, e^-4 against e^-0.1.
    rows = [replace(row, sampler_logp=row.old_logp) for row in make_rows(off_policy=True)]
    half = len(rows) // 2
    apart = [
        *rows[:half],
        *(replace(row, sampler_logp=torch.full_like(row.old_logp, -0.1)) for row in rows[half:]),
    ]
    silent = [*rows[:half], *(replace(row, advantages=0 * row.advantages) for row in rows[half:])]
    correction = Correction("token", measure, limit=0.02)
    gated = Objective(PRESETS["dapo"], apart, max_new_tokens=16, correction=correction)
    want = our_step(policy, Objective(PRESETS["dapo"], silent, max_new_tokens=16), token_budget=100)
    got = our_step(policy, gated, token_budget=100)
    assert got[0] == pytest.approx(want[0], rel=1e-6)
    torch.testing.assert_close(got[1], want[1], rtol=1e-5, atol=1e-8)


def test_an_off_policy_kl_is_weighed_by_the_ratio(policy: Policy) -> None:
    algorithm = replace(PRESETS["grpo"], kl_off_policy=True)
    rows = [replace(row, advantages=0 * row.advantages) for row in make_rows(off_policy=True)]
    want = torch.zeros((), dtype=torch.float64)
    for row in rows:  # by hand: the mean over rows of the mean over tokens of pi / pi_old * k3
        logp = torch.log_softmax(plain_logits(policy, row), -1).gather(
            -1, torch.tensor(row.token_ids)[:, None]
        )
        d = row.ref_logp - logp[:, 0]
        want = want + (torch.exp(logp[:, 0] - row.old_logp) * (d.exp() - d - 1)).mean() / len(rows)
    want_gradient = gradient(policy, 0.3 * want)
    objective = Objective(algorithm, rows, max_new_tokens=16, kl_coef=0.3)
    got, got_gradient = our_step(policy, objective, token_budget=100)
    assert got == pytest.approx(0.3 * float(want.detach()), rel=1e-6)
    torch.testing.assert_close(got_gradient, want_gradient, rtol=1e-5, atol=1e-8)


def test_clip_shares_are_counted_over_micro_batches_and_are_none_without_a_clip(policy: Policy) -> None:
    rows = make_rows(off_policy=True)

    def shares(algorithm: Algorithm, rows: list[Row], token_budget: int) -> tuple[float, float]:
        tally = Tally(objective := Objective(algorithm, rows, max_new_tokens=16))
        micros = cut(rows, token_budget=token_budget, pad_id=0, device=CPU)
        for loss, micro, logp, entropy in policy_losses(
            policy, objective, micros, temperature=1.0, entropy=False
        ):
            tally.add(loss, micro, logp, entropy)
        stats = tally.stats(0.0)
        return stats.clipped_low, stats.clipped_high

    for algorithm in (PRESETS["dapo"], PRESETS["gspo"]):
        assert shares(algorithm, rows, 20) == shares(algorithm, rows, 10_000)
        assert sum(shares(algorithm, rows, 20)) > 0.2  # the old policy is 0.3 nats away
        assert shares(algorithm, make_rows(), 20) == (0.0, 0.0)  # on-policy
    soft = replace(PRESETS["dapo"], loss="sapo", loss_options={})
    assert all(map(math.isnan, shares(soft, rows, 20)))
