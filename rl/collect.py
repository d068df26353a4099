"""Samples completions and scores them, the one while the other runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Thread

from transformers import PreTrainedTokenizerBase

from proctor.rl.experience import Experience
from proctor.rl.prompts import Problem
from proctor.rl.rollouts.core import Completion, RolloutEngine, Sampling
from proctor.rl.sharing import gather, share
from proctor.verifiers.core import Reward, Rollout, Score
from proctor.verifiers.expression import Expression


@dataclass(frozen=True, slots=True)
class Collector:
    """Turns problems into scored experiences."""

    engine: RolloutEngine
    reward: Expression
    tokenizer: PreTrainedTokenizerBase
    rank: int = 0
    num_processes: int = 1  # each samples and scores its share of the problems; all get the whole

    def __call__(
        self, problems: Sequence[Problem], sampling: Sampling, *, step: int, first_group: int = 0
    ) -> list[Experience]:
        """`sampling.num_samples` experiences per problem, problems in order, groups counted up.

        Whole prompts go to the reward together, so that parts which compare within a group can; the first to
        be sampled are scored while the others are still on their way. Collective.
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
        texts: dict[int, list[str]] = {}

        def ready(place: int, completions: list[Completion]) -> None:
            texts[place] = self._decode(completions, sampling)
            scoring.add(
                place,
                [
                    problems[place].with_completion(
                        text,
                        group=first_group + place,
                        num_tokens=len(completion.token_ids),
                        truncated=completion.is_truncated,
                    )
                    for completion, text in zip(completions, texts[place], strict=True)
                ],
            )

        with _Scoring(self.reward, step) as scoring:
            completions = self.engine.generate([problem.prompt_ids for problem in problems], sampling, ready)
            scores = scoring.results()
        experiences = []
        for index, completion in enumerate(completions):
            place, sample = divmod(index, sampling.num_samples)
            text, score = texts[place][sample], scores[place][sample]
            prompt = problems[place].text
            experiences.append(Experience(completion, text, first_group + place, score, prompt=prompt))
        return experiences

    def _decode(self, completions: Sequence[Completion], sampling: Sampling) -> list[str]:
        """Text without the end token. Other special tokens stay: a reward may look for them."""
        ends = set(sampling.end_ids)
        return [
            self.tokenizer.decode(
                [token for token in completion.token_ids if token not in ends], skip_special_tokens=False
            )
            for completion in completions
        ]


class _Scoring:
    """Scores groups in a thread of its own: each call of the reward takes all that is waiting by then.

    Nothing waits for the thread but `results`, and Ctrl-C ends that: a reward that hangs must not hold the process.
    """

    def __init__(self, reward: Reward, step: int) -> None:
        self._reward = reward
        self._step = step
        self._waiting: SimpleQueue[tuple[int, list[Rollout]] | None] = SimpleQueue()  # None: there is no more
        self._scores: dict[int, Sequence[Score]] = {}
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, name="scoring", daemon=True)

    def add(self, place: int, rollouts: list[Rollout]) -> None:
        """One prompt's rollouts."""
        self._waiting.put((place, rollouts))

    def results(self) -> dict[int, Sequence[Score]]:
        """All scores by prompt, in the order of its rollouts. Raises what the reward raised."""
        self._waiting.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._scores

    def _run(self) -> None:
        try:
            while groups := self._next():
                self._score(groups)
        except Exception as error:  # the border to the other thread, which raises it
            self._error = error

    def _next(self) -> list[tuple[int, list[Rollout]]]:
        """All groups that are waiting, one at least; none where there are no more to come."""
        groups = []
        while (group := self._waiting.get()) is not None:
            groups.append(group)
            if self._waiting.empty():
                return groups
        self._waiting.put(None)  # for the next call
        return groups

    def _score(self, groups: list[tuple[int, list[Rollout]]]) -> None:
        scores = self._reward.score([one for _, group in groups for one in group], step=self._step)
        for place, group in groups:
            self._scores[place], scores = scores[: len(group)], scores[len(group) :]

    def __enter__(self) -> _Scoring:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._waiting.put(None)
