"""From scored completions to rows that can be trained on: advantages, and the fate of what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from proctor.rl.algorithms import advantages as _advantages  # noqa: F401 - fills the table
from proctor.rl.algorithms.advantages import group_stats
from proctor.rl.algorithms.presets import Algorithm
from proctor.rl.algorithms.registry import ADVANTAGES, find
from proctor.rl.ledger import Fate
from proctor.rl.rollouts.core import Completion
from proctor.verifiers.core import Score


@dataclass(frozen=True, slots=True)
class Experience:
    """One completion with its verdicts, on its way into the loss."""

    completion: Completion
    text: str  # what the reward saw
    group: int  # completions of one prompt share it
    score: Score
    fate: Fate | None = None  # None: not settled yet
    advantage: float = 0.0  # of every token; 0 where each token gets its own instead
    prompt: str = ""  # as text, for those who read along
    ref_logp: tuple[float, ...] | None = None  # of its tokens under the reference, where the reward needs it

    @property
    def reward(self) -> float:
        """The total; NaN where there is none."""
        return float("nan") if self.score.total is None else self.score.total


def settle(
    experiences: Sequence[Experience], algorithm: Algorithm, *, penalties: Sequence[float] | None = None
) -> list[Experience]:
    """Gives every experience its advantage and its fate, in order.

    Unscorable ones leave their group before the baseline is taken. Truncated ones, where the algorithm masks
    them, keep their reward in the baseline and leave the loss. `penalties` are subtracted from the rewards
    first (a KL in the reward, summed over the sequence).
    """
    if not experiences:
        return []
    options = dict(algorithm.advantage_options)
    if algorithm.by_part:
        weights = options.pop("weights")
        rewards = torch.tensor([_by_part(each, weights) for each in experiences], dtype=torch.float64)
        options["weights_K"] = torch.tensor(list(weights.values()), dtype=torch.float64)
    else:
        rewards = torch.tensor([[each.reward] for each in experiences], dtype=torch.float64)
    groups = torch.tensor([experience.group for experience in experiences])
    # Variation is asked of the verdicts themselves: a KL penalty always varies and is not worth a step.
    varies = torch.stack([group_stats(column, groups).varies for column in rewards.T]).any(dim=0).tolist()
    if penalties is not None:
        rewards = rewards - torch.tensor(penalties, dtype=torch.float64)[:, None]
    if algorithm.by_token:
        values = torch.zeros(len(experiences))
    else:
        lengths = torch.tensor([len(experience.completion.token_ids) for experience in experiences])
        estimate = find(ADVANTAGES, algorithm.advantage)
        values = estimate(rewards if algorithm.by_part else rewards[:, 0], groups, lengths=lengths, **options)
    return [
        replace(experience, advantage=value, fate=_fate(experience, algorithm, varies=varied))
        for experience, value, varied in zip(experiences, values.tolist(), varies, strict=True)
    ]


def _by_part(experience: Experience, parts: Iterable[str]) -> list[float]:
    """The value of each part; NaN where it has none, and everywhere where there is no total."""
    verdicts = experience.score.verdicts if experience.score.total is not None else {}
    values = [verdicts[part].value if part in verdicts else None for part in parts]
    return [float("nan") if value is None else value for value in values]


def _fate(experience: Experience, algorithm: Algorithm, *, varies: bool) -> Fate:
    if experience.score.total is None:
        return Fate.UNSCORABLE
    if algorithm.within_groups and not varies:
        return Fate.ZERO_VARIANCE
    if algorithm.mask_truncated and experience.completion.is_truncated:
        return Fate.TRUNCATED_MASKED
    return Fate.TRAINED
