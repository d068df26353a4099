"""Rewards, returns and advantages per token: where a reward lands, and how it flows back in time."""

from __future__ import annotations

import torch
from torch import Tensor

from proctor.rl.algorithms.masked import whiten


def token_rewards(
    rewards: Tensor,
    mask: Tensor,
    *,
    kl: Tensor | None = None,
    kl_coef: float = 0.0,
    clip: float | None = None,
) -> Tensor:
    """-kl_coef * kl on every sampled token, and the completion's reward on its last one.

    Args:
        rewards: (B,); `clip` bounds them to [-clip, clip].
        mask: (B, T). kl: (B, T), per token.
    Returns: (B, T); a row with no sampled token keeps no reward.
    Source: InstructGPT, arXiv:2203.02155.
    """
    bounded = rewards.clamp(-clip, clip) if clip is not None else rewards
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    last = torch.where(mask.bool(), positions, -1).amax(-1, keepdim=True)
    landed = torch.where((positions == last) & mask.bool(), bounded.unsqueeze(-1), 0.0)
    return landed if kl is None else landed - kl_coef * kl * mask


def discounted_returns(rewards: Tensor, mask: Tensor, *, gamma: float = 1.0) -> Tensor:
    """R_t = r_t + gamma R_(t+1) over sampled tokens; holes in the mask are stepped over. All (B, T).

    Whitened over the mask these are REINFORCE++'s advantages (arXiv:2501.03262).
    """
    returns = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        is_sampled = mask[:, t].bool()
        running = torch.where(is_sampled, rewards[:, t] + gamma * running, running)
        returns[:, t] = torch.where(is_sampled, running, 0.0)
    return returns


def gae(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
    whitened: bool = True,
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation; returns (advantages, returns), both (B, T), 0 outside the mask.

    delta_t = r_t + gamma V_(t+1) - V_t;  A_t = delta_t + gamma lam A_(t+1);  return_t = A_t + V_t.
    The value after the last token is 0; holes in the mask are stepped over. `whitened` normalises the
    advantages over the mask, never the returns.

    Source: arXiv:1506.02438, equation 16.
    """
    advantages = torch.zeros_like(rewards)
    next_value = torch.zeros_like(rewards[:, 0])
    running = torch.zeros_like(next_value)
    for t in reversed(range(rewards.shape[1])):
        is_sampled = mask[:, t].bool()
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        running = torch.where(is_sampled, delta + gamma * lam * running, running)
        next_value = torch.where(is_sampled, values[:, t], next_value)
        advantages[:, t] = torch.where(is_sampled, running, 0.0)
    returns = (advantages + values) * mask
    return (whiten(advantages, mask) * mask if whitened else advantages), returns
