"""The reward part `learned`: a trained reward model in any expression. Importing this registers it.

It lives here and not beside the other parts because it needs torch, which scoring must never load: torch is
loaded with the first rollout that is scored.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Cost, Part, grader_error
from proctor.verifiers.registry import register

if TYPE_CHECKING:
    from proctor.rl.reward_model import RewardModel

_LOADING = threading.Lock()  # two threads must not load the same model


@register
@dataclass(frozen=True)
class Learned(Part):
    """Score of a reward model, trained by `proctor rm` or any other with one label.

    What it measures: how much the completion looks like those that were preferred in the training pairs.

    Formula and range: the model's scalar at the last token, any real number; `squash=True` gives its sigmoid,
    in [0, 1], so that the checker can bound the total.

    What it pays wrongly: whatever pleased the raters and is not quality: length, flattery, confidence. A
    policy that trains on it for long finds what it overrates; add a KL, and a verified part beside it.

    Source: InstructGPT, arXiv:2203.02155; Learning to summarize, arXiv:2009.01325 (over-optimisation).
    """

    path: str
    squash: bool = False
    max_tokens: int = 4096

    name: ClassVar[str] = "learned"
    cost: ClassVar[Cost] = Cost.SECONDS

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0) if self.squash else Bounds(-math.inf, math.inf)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        start = time.perf_counter()
        with _LOADING:
            problem = _missing(self.path)
            if problem is not None:
                return [Verdict(None, Status.MISCONFIGURED, {"problem": problem}) for _ in rollouts]
            model = _load(self.path, self.max_tokens)
        verdicts: list[Verdict | None] = [None] * len(rollouts)
        rows: dict[int, tuple[int, ...]] = {}
        for index, rollout in enumerate(rollouts):
            try:
                rows[index] = model.token_ids(rollout.prompt, rollout.completion)
            except Exception as error:  # the leaf's border: one prompt that cannot be rendered
                verdicts[index] = grader_error(error)
        scores = model.scores(list(rows.values()))
        seconds = (time.perf_counter() - start) / max(1, len(rollouts))
        for index, score in zip(rows, scores, strict=True):
            verdicts[index] = self._verdict(score, seconds)
        return [verdict for verdict in verdicts if verdict is not None]

    def _verdict(self, score: float, seconds: float) -> Verdict:
        if not math.isfinite(score):
            return grader_error(ArithmeticError(f"the reward model's score is {score}"), seconds)
        # The sigmoid, in a form whose exp never overflows.
        value = math.exp(min(score, 0.0)) / (1.0 + math.exp(-abs(score))) if self.squash else score
        return Verdict(value, Status.MEASURED, {"score": score}, seconds)


def _missing(path: str) -> str | None:
    """What is wrong with a path that looks like a folder's; a hub name is left to transformers."""
    if Path(path).is_dir() or not path.startswith((".", "/", "~")):
        return None
    return f"there is no reward model at {path}"


@lru_cache(maxsize=4)
def _load(path: str, max_tokens: int) -> RewardModel:
    from proctor.rl.reward_model import RewardModel

    return RewardModel.load(path, max_tokens=max_tokens)
