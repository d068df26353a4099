"""Reward parts for the tests of the command line, given to it with --load."""

import re
import time

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.custom import part


@part(bounds=(0, 1), exam=True, columns=("answer",))
def cli_right(rollout: Rollout, slow: float = 0.0) -> Verdict:
    """Is the last number of the completion the answer?

    What it pays wrongly: a number that is last by chance.
    """
    time.sleep(slow)
    if "crash" in rollout.completion:
        raise RuntimeError("crash")
    last = re.findall(r"[-\d.]+", rollout.completion)[-1:]
    right = last == [rollout.answer]
    return Verdict(float(right), Status.CORRECT if right else Status.INCORRECT, {"last": last})


@part(bounds=(0, 1))
def cli_short(rollout: Rollout, limit: int = 200) -> float:
    """Is it short?"""
    return float(len(rollout.completion) < limit)


@part(bounds=(0, 1), per="group")
def cli_share(rollouts: list[Rollout]) -> list[float]:
    return [1 / len(rollouts)] * len(rollouts)
