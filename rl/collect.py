"""Samples completions and scores them, the one while the other runs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from proctor.rl.experience import Experience
from proctor.rl.prompts import Problem
from proctor.rl.rollouts.core import Completion, RolloutEngine, Sampling
from proctor.rl.sharing import gather, share
from proctor.verifiers.core import Reward, Score


@dataclass(frozen=True, slots=True)
class Collector:
    """Turns problems into scored experiences."""

    engine: RolloutEngine
    reward: Reward
    tokenizer: PreTrainedTokenizerBase
    exams: tuple[str, ...] = ()  # the reward's parts that verify answers, as scores name them
    chunks: int = 2  # a step is sampled in so many parts; a part is scored while the next is sampled
    rank: int = 0
    num_processes: int = 1  # each samples and scores its share of the problems; all get the whole

    def __call__(
        self, problems: Sequence[Problem], sampling: Sampling, *, step: int, first_group: int = 0
    ) -> list[Experience]:
        """`sampling.num_samples` experiences per problem, problems in order, groups counted up.

        Whole prompts go to the reward together, so that parts which compare within a group can. Collective.
        """
        own = share(len(problems), self.rank, self.num_processes)
        # Another seed for each process, or the same noise would fall on the prompts of all.
        seeded = replace(sampling, seed=sampling.seed * self.num_processes + self.rank)
        found = self._collect(
            [problems[place] for place in own], seeded, step=step, first_group=first_group + own.start
        )
        return [each for part in gather(found, self.num_processes) for each in part]

    def _collect(
        self, problems: Sequence[Problem], sampling: Sampling, *, step: int, first_group: int
    ) -> list[Experience]:
        size = max(1, -(-len(problems) // self.chunks))
        parts: list[tuple[list[Completion], list[str], Future[list[Score]]]] = []
        with ThreadPoolExecutor(1, thread_name_prefix="scoring") as scoring:
            for number, start in enumerate(range(0, len(problems), size)):
                chosen = problems[start : start + size]
                seeded = replace(sampling, seed=sampling.seed * 1009 + number)
                completions = self.engine.generate([problem.prompt_ids for problem in chosen], seeded)
                texts = self._decode(completions, sampling)
                rollouts = [
                    chosen[place // sampling.num_samples].with_completion(
                        text,
                        group=first_group + start + place // sampling.num_samples,
                        num_tokens=len(completion.token_ids),
                        truncated=completion.is_truncated,
                    )
                    for place, (completion, text) in enumerate(zip(completions, texts, strict=True))
                ]
                parts.append((completions, texts, scoring.submit(self.reward.score, rollouts, step=step)))
            joined = [
                (completion, text, score)
                for completions, texts, scores in parts
                for completion, text, score in zip(completions, texts, scores.result(), strict=True)
            ]
        return [
            Experience(
                completion,
                text,
                first_group + place // sampling.num_samples,
                score,
                prompt=problems[place // sampling.num_samples].text,
            )
            for place, (completion, text, score) in enumerate(joined)
        ]

    def _decode(self, completions: Sequence[Completion], sampling: Sampling) -> list[str]:
        """Text without the end token. Other special tokens stay: a reward may look for them."""
        ends = set(sampling.end_ids)
        return [
            self.tokenizer.decode(
                [token for token in completion.token_ids if token not in ends], skip_special_tokens=False
            )
            for completion in completions
        ]
