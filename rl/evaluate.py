"""Accuracy and reward of a policy on problems that are not trained on, by the graders that trained it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from proctor.rl.collect import Collector
from proctor.rl.experience import Experience
from proctor.rl.prompts import Problem
from proctor.rl.rollouts.core import Sampling
from proctor.verifiers.core import is_correct


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Shares over the problems. Rollouts without a verdict are left out and counted."""

    greedy: float  # correct share of one greedy completion per problem
    sampled: float  # correct share of the sampled ones: what RL trains
    reward: float  # mean reward of the sampled ones
    length: float  # mean tokens of the sampled ones
    unscorable: int
    num_problems: int
    num_samples: int  # per problem

    def to_json(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in self.__slots__}


def evaluate(
    collector: Collector,
    problems: Sequence[Problem],
    sampling: Sampling,
    *,
    seed: int,
    step: int,
    read: Callable[[Sequence[Experience]], None] = lambda sampled: None,
) -> Evaluation:
    """Greedy and sampled completions of every problem; `seed` draws the same prompts' same samples again.

    `read` is given the sampled ones.
    """
    sampled = collector(problems, replace(sampling, seed=seed), step=step)
    read(sampled)
    greedy = collector(problems, replace(sampling, num_samples=1, temperature=0.0, seed=seed), step=step)
    scored = [experience for experience in sampled if experience.score.total is not None]
    return Evaluation(
        greedy=correct_share(greedy, collector.reward.exams),
        sampled=correct_share(sampled, collector.reward.exams),
        reward=fmean(experience.reward for experience in scored) if scored else float("nan"),
        length=fmean(len(experience.completion.token_ids) for experience in sampled),
        unscorable=len(sampled) - len(scored),
        num_problems=len(problems),
        num_samples=sampling.num_samples,
    )


def correct_share(experiences: Sequence[Experience], exams: Sequence[str]) -> float:
    """Share that the exams found right, of those with a verdict; NaN where there is none."""
    judged = [passed for each in experiences if (passed := is_correct(each.score, exams)) is not None]
    return fmean(judged) if judged else float("nan")
