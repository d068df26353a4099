"""A reward for prime-rl, as a hook of the tasks of `verifiers.v1` that it trains on.

    # rewards.py
    from proctor.verifiers.adapters import prime_rl

    proctor = prime_rl.reward_function("math + 0.1 * steps")

    # in the environment's configuration, for any taskset whose rows have an `answer`
    [env.taskset.task.rewards]
    proctor = { fn = "rewards.py:proctor" }

or in a task of one's own, `@vf.reward async def right(self, trace): return await proctor(self.data, trace)`.

What is scored is the last message of the model, its reasoning in <think> tags before it, against the fields of the
task's data. What each part is worth becomes a metric of the trace, and why stands in its `info["proctor"]`. What
could not be scored raises UnscorableError: the trace is then an error with the reason, and no sample of reward 0.

Tried with verifiers 0.4.0, which is not installed for the tests. It scores one rollout at a time: parts
that compare within a prompt's group are refused. Its older stack (`vf.Rubric`), which makes a reward of 0 of every
exception, is not covered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proctor.verifiers.core import Score
from proctor.verifiers.expression import Expression
from proctor.verifiers.expression import reward as parse_reward
from proctor.verifiers.files.rows import find_columns


class UnscorableError(RuntimeError):
    """There is no reward; the text says whose fault that is, and why."""


class RewardFunction:
    """What a task's reward hook is: awaited with the task's data and its trace, from one event loop or several."""

    __name__ = "proctor"  # hooks are sorted by theirs

    def __init__(self, expression: Expression, mapping: Mapping[str, str]) -> None:
        self.expression = expression
        self.mapping = dict(mapping)

    async def __call__(self, task: Any, trace: Any) -> float:
        """The reward. Raises UnscorableError, InputError or RowError where there is none."""
        row = _row(task, trace)
        columns = find_columns([row], needed=self.expression.columns, given=self.mapping)
        (score,) = await self.expression.ascore([columns.rollout(row)])
        trace.info["proctor"] = [str(verdict) for verdict in score.verdicts.values()]
        values = {name: verdict.value for name, verdict in score.verdicts.items()}
        trace.record_metrics({name: value for name, value in values.items() if value is not None})
        return _total(score)


def reward_function(
    expression: str | Expression, *, mapping: Mapping[str, str] | None = None
) -> RewardFunction:
    """A reward in the shape that tasks of `verifiers.v1` call.

    Args:
        expression: the reward.
        mapping: which field of the task's data is which, beside those known by name.

    Raises ExpressionError where the expression cannot be read, ValueError where a part compares the rollouts of a
    group.
    """
    parsed = expression if isinstance(expression, Expression) else parse_reward(expression)
    if parsed.by_group:
        raise ValueError(
            "a task is called with one rollout at a time, and a part of this reward compares a group's"
        )
    return RewardFunction(parsed, mapping or {})


def _total(score: Score) -> float:
    if score.total is not None:
        return score.total
    without = (f"{name}: {verdict}" for name, verdict in score.verdicts.items() if verdict.value is None)
    raise UnscorableError("; ".join(without) or "the expression itself is None")


def _row(task: Any, trace: Any) -> dict[str, Any]:
    """The task's data as columns, beside what the trace knows of the rollout."""
    return {
        **task.model_dump(),
        "completion": _completion(trace),
        "truncated": trace.is_truncated,
        "num_tokens": trace.num_output_tokens or None,  # 0: nobody has counted
    }


def _completion(trace: Any) -> str:
    """What the model says in the end; nothing where it has said nothing."""
    reply: str | None = getattr(trace, "root_reply", None)  # of an agent that had others work for it
    if reply is not None:
        return reply
    if not trace.assistant_messages:
        return ""
    last = trace.assistant_messages[-1]
    thinking = f"<think>\n{last.reasoning_content}\n</think>\n\n" if last.reasoning_content else ""
    return thinking + (last.content or "")
