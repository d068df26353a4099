"""A reward for verl, in the shapes of its `custom_reward_function`.

Without a line of code, in verl's configuration:

    custom_reward_function.path=pkg://proctor.verifiers.adapters.verl
    custom_reward_function.name=compute_score
    +custom_reward_function.reward_kwargs.reward="math + 0.1 * steps"

or, in a file of yours, `compute_score = verl.reward_function("math + 0.1 * steps")`. Both take the call of
verl's naive, dapo and reward-loop managers (one rollout) and of its batch manager (`solution_strs` ...).

verl knows no missing reward: it puts a number into a tensor, and reads the keys of the first dictionary of a
batch as the keys of all. So every dictionary has the same keys and no None, and nothing is ever raised. What
could not be scored gets `unscorable` as its score, and says so: `scorable` is 0.0, `blame` names who is at
fault, `scorable/PART` is 0.0 for the parts without a value. Means stay recoverable: mean(PART) of those that
have a value is mean(PART) / mean(scorable/PART).

Written to the signatures of verl's main branch of January 2026; verl itself is not run in the tests.
What is not covered: verl's prime manager, which takes a bare number; with one rollout in a call, parts that
compare within a prompt's group (they are then unscorable, blamed on the configuration: use the batch
manager).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from proctor.verifiers.core import Blame, Score
from proctor.verifiers.expression import Expression
from proctor.verifiers.expression import reward as parse_reward
from proctor.verifiers.files.rows import RowError, find_columns
from proctor.verifiers.files.scoring import Ready, Scored, rejoin, rollouts_of
from proctor.verifiers.files.sources import BadRow, InputError, Row
from proctor.verifiers.files.summary import culprit

Result = dict[str, "float | str"]

_LOG = logging.getLogger(__name__)
_OURS = frozenset(("score", "acc", "scorable", "blame", "reason"))  # keys beside the parts' own
_REASON = 300  # characters; verl keeps the strings of a batch in an array as wide as the longest


class RewardFunction:
    """What verl calls. Pickles, and may be called from many threads."""

    def __init__(self, expression: Expression, mapping: Mapping[str, str], unscorable: float) -> None:
        parts = expression.plan.parts
        taken = sorted(_OURS.intersection(parts))
        if taken:
            raise ValueError(
                f"verl is given a number under the name of each part, and '{taken[0]}' is a key of its own; "
                f"give the part another name (not {', '.join(sorted(_OURS))})"
            )
        self.expression = expression
        self.mapping = dict(mapping)
        self.unscorable = unscorable
        # `acc` is what verl validates by: a part that examines the answer, or any where none does.
        self.has_exam = bool(expression.exams)
        self.judges = expression.exams or tuple(parts)

    def __call__(
        self,
        data_source: str = "",
        solution_str: str = "",
        ground_truth: Any = None,
        extra_info: Mapping[str, Any] | None = None,
        **batch: Any,
    ) -> Result | list[Result]:
        """The result of one rollout; where `solution_strs` are given, of each of them, in order.

        Other keywords of verl's are ignored. Never raises.
        """
        if "solution_strs" in batch:
            return self._guarded(**batch)
        if self.expression.by_group:
            problem = "one rollout alone has no group; use verl's batch reward manager"
            return self._without(Blame.CONFIGURATION, problem)
        return self._guarded([solution_str], [data_source], [ground_truth], [extra_info])[0]

    def _guarded(self, solution_strs: Sequence[Any], *columns: Any, **named: Any) -> list[Result]:
        names = ("data_sources", "ground_truths", "extra_infos")
        none = [None] * len(solution_strs)
        try:
            given = columns or [none if named.get(name) is None else named[name] for name in names]
            return self._results(solution_strs, *given)
        except Exception as error:  # the border to verl, which would repeat the call or end the run
            _LOG.exception("no reward for a batch of %d rollouts", len(solution_strs))
            return [self._without(Blame.GRADER, f"{type(error).__name__}: {error}") for _ in solution_strs]

    def _results(self, *columns: Sequence[Any]) -> list[Result]:
        """columns: solutions, sources, truths and extra infos, each in the order of the rollouts."""
        calls = enumerate(zip(*columns, strict=True))
        items = [self._read(number, _row(*call)) for number, call in calls]
        scored = rejoin(items, self.expression.score(rollouts_of(items)))
        return [
            self._result(item.score)
            if isinstance(item, Scored)
            else self._without(Blame.CONFIGURATION, item.reason)
            for item in scored
        ]

    def _read(self, number: int, row: dict[str, Any]) -> Ready | BadRow:
        try:
            columns = find_columns([row], needed=self.expression.columns, given=self.mapping)
            rollout = columns.rollout(row)
        except (InputError, RowError) as error:
            return BadRow(number, str(error), None)
        if self.expression.by_group and rollout.group is None and not rollout.prompt:
            return BadRow(number, "extra_info has neither an index nor a prompt to know the group by", None)
        return Ready(Row(number, row), rollout)

    def _result(self, score: Score) -> Result:
        values = {name: verdict.value for name, verdict in score.verdicts.items()}
        if score.total is not None:
            return self._filled(score.total, values, None, "")
        blame = culprit(score)
        reasons = (str(v) for v in score.verdicts.values() if v.value is None and v.blame == blame)
        return self._filled(None, values, blame, next(reasons, ""))

    def _without(self, blame: Blame, reason: str) -> Result:
        return self._filled(None, {}, blame, reason)

    def _filled(
        self, total: float | None, values: Mapping[str, float | None], blame: Blame | None, reason: str
    ) -> Result:
        """The dictionary with all its keys, whatever is known."""
        # The first of them that was run on this rollout: in `code if task == "code" else math` each has its own. A
        # gate that kept the rollout from all exams was failed.
        known = (value for name in self.judges if (value := values.get(name)) is not None)
        accuracy = next(known, 0.0 if self.has_exam and total is not None else total)
        result: Result = {
            "score": self.unscorable if total is None else float(total),
            "acc": self.unscorable if accuracy is None else float(accuracy),
            "scorable": float(total is not None),
            "blame": blame.value if blame is not None else "",
            "reason": reason[:_REASON],
        }
        for name in self.expression.plan.parts:
            value = values.get(name)
            result[name] = self.unscorable if value is None else float(value)
            result[f"scorable/{name}"] = float(value is not None)
        return result


def reward_function(
    expression: str | Expression, *, mapping: Mapping[str, str] | None = None, unscorable: float = 0.0
) -> RewardFunction:
    """A reward in the shape that verl calls.

    Args:
        expression: the reward.
        mapping: which key of `extra_info` is which, beside those known by name; `answer` is `ground_truth`.
        unscorable: the number that stands where there is none.

    Raises, now and not in the middle of a run: ExpressionError where the expression cannot be read, ValueError
    where a part is called as a key that verl reads, "score" for one.
    """
    parsed = expression if isinstance(expression, Expression) else parse_reward(expression)
    return RewardFunction(parsed, mapping or {}, unscorable)


def compute_score(
    data_source: str = "",
    solution_str: str = "",
    ground_truth: Any = None,
    extra_info: Mapping[str, Any] | None = None,
    *,
    reward: str = "math",
    unscorable: float = 0.0,
    **batch: Any,
) -> Result | list[Result]:
    """`reward_function` for use from verl's configuration; `reward` comes from its `reward_kwargs`.

    Never raises. An expression that cannot be read makes every rollout unscorable, blamed on the
    configuration, and is logged as an error.
    """
    function = _cached(reward, unscorable)
    if isinstance(function, RewardFunction):
        return function(data_source, solution_str, ground_truth, extra_info, **batch)
    _LOG.error("no rewards: %s", function)
    result: Result = {
        "score": unscorable,
        "acc": unscorable,
        "scorable": 0.0,
        "blame": Blame.CONFIGURATION.value,
        "reason": function[:_REASON],
    }
    return [dict(result) for _ in batch["solution_strs"]] if "solution_strs" in batch else result


@lru_cache(maxsize=64)
def _cached(expression: str, unscorable: float) -> RewardFunction | str:
    """The reward of an expression, or what is wrong with it."""
    try:
        return reward_function(expression, unscorable=unscorable)
    except Exception as error:  # the border to verl: see compute_score
        return f"{type(error).__name__}: {error}"


def _row(solution: Any, source: Any, truth: Any, extra: Any) -> dict[str, Any]:
    """A call of verl's as a row with our column names; everything in `extra_info` stands beside."""
    given = {str(name): _plain(value) for name, value in extra.items()} if isinstance(extra, Mapping) else {}
    truth, source = _plain(truth), str(source or "")
    is_answer = truth is None or isinstance(truth, str | bool | int | float)
    row = {**given, "completion": solution, "data_source": source}
    row["answer"] = truth if is_answer and truth is not None else given.get("answer")
    row.setdefault("tests", truth)
    row.setdefault("task", source)
    if "index" in given:  # verl's preprocessing numbers the prompts of a split
        row.setdefault("group", f"{source}:{given.get('split', '')}:{given['index']}")
    return row


def _plain(value: Any) -> Any:
    """numpy's scalars and arrays, which verl's parquet reader makes of everything, as Python's own, also inside."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
