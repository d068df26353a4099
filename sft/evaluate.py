"""What a policy is worth: held-back loss, and generations scored by our own rewards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from proctor.sft.generate import Decoding, Generation, generate, questions_of
from proctor.sft.labels import Labelled
from proctor.sft.learner import Learner
from proctor.sft.scoring import Scored, score
from proctor.sft.settings import EvaluationSettings
from proctor.sft.step import Cutting, held_back_loss
from proctor.verifiers.expression import Expression, reward

Numbers = dict[str, float | int | str | None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation: the numbers, and the sampled generations for people to read."""

    numbers: Numbers
    generations: tuple[Generation, ...] = ()
    scored: Scored | None = None  # of the generations, in order; None where nothing scored them


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """How a run is evaluated."""

    held_back: Sequence[Labelled]
    cutting: Cutting
    decoding: Decoding
    num_questions: int = 0  # held-back prompts to generate for
    accuracy: Expression | None = None  # pays for right answers
    form: Expression | None = None  # pays for the format

    def evaluate(self, learner: Learner) -> Evaluation | None:
        """None where nothing was held back. Called on every process; only the first one's is whole."""
        if not self.held_back:
            return None
        held = held_back_loss(learner.workers, [row.example for row in self.held_back], self.cutting)
        numbers: Numbers = {
            "loss": held.loss,
            "perplexity": math.exp(min(held.loss, 700.0)),
            "top1": held.top1,
            "tokens": held.num_trained,
        }
        if not (self.num_questions and (self.accuracy or self.form)):
            return Evaluation(numbers)
        if not (learner.is_main or learner.workers.in_pieces):
            return Evaluation(numbers)
        return self._with_generations(numbers, learner)

    def _with_generations(self, numbers: Numbers, learner: Learner) -> Evaluation:
        """Sampled accuracy is what to watch: the greedy answer of a model with two habits is luck."""
        questions = questions_of(self.held_back, learner.tokenizer, limit=self.num_questions)
        greedy = replace(self.decoding, temperature=0.0, samples=1)
        generations: list[Generation] = []
        scored: Scored | None = None
        for name, decoding in (("greedy", greedy), ("sampled", self.decoding)):
            generations = generate(learner.policy, learner.tokenizer, questions, decoding)
            numbers[f"{name}_tokens"] = sum(each.num_tokens for each in generations) / len(generations)
            for what, expression in (("format", self.form), ("accuracy", self.accuracy)):
                if expression is None:
                    continue
                scored = score(generations, expression)
                numbers[f"{name}_{what}"] = scored.mean
                if scored.num_unscored:
                    numbers[f"{name}_{what}_unscored"] = scored.num_unscored
        return Evaluation(numbers, tuple(generations), scored)


def make_evaluator(
    settings: EvaluationSettings, held_back: Sequence[Labelled], cutting: Cutting, learner: Learner
) -> Evaluator:
    """Raises ExpressionError where a reward cannot be read."""
    decoding = Decoding(
        end_ids=learner.end_ids,
        max_new_tokens=settings.max_new_tokens,
        device=learner.workers.device,
        temperature=settings.temperature,
        samples=settings.samples,
        synced=learner.workers.in_pieces,
    )
    return Evaluator(
        held_back=held_back,
        cutting=cutting,
        decoding=decoding,
        num_questions=settings.prompts,
        accuracy=reward(settings.reward) if settings.reward else None,
        form=reward(settings.format) if settings.format else None,
    )
