"""A reward for TRL's trainers: GRPOTrainer, RLOOTrainer and those that call rewards as they do.

    from proctor.verifiers.adapters import trl

    GRPOTrainer(..., reward_funcs=trl.reward_function("math + 0.1 * steps"))

TRL calls with keywords only: `prompts`, `completions`, `completion_ids`, `trainer_state`, `log_metric`,
`log_extra`, and each further column of the dataset as a list. A rollout without a verdict gets None, which
TRL (1.16, checked) leaves out of its group's baseline. The first call raises InputError where the dataset
lacks a column that the reward needs; from then on a bad row costs its own reward only.

What is not covered: where the rollouts of a prompt are split over several processes, parts that compare
within the group see those of their own process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proctor.verifiers.expression import Expression, reward
from proctor.verifiers.files.rows import find_columns
from proctor.verifiers.files.scoring import Ready, Scored, readable, rejoin, rollouts_of
from proctor.verifiers.files.sources import BadRow, Row

_NOT_COLUMNS = ("trainer_state", "log_metric", "log_extra", "environments")


@dataclass(frozen=True, slots=True)
class _Reader:
    """How a call of TRL becomes rollouts, and scores become what TRL wants."""

    expression: Expression
    name: str
    mapping: Mapping[str, str]
    max_completion_length: int | None
    eos_token_ids: frozenset[int]
    log_verdicts: bool

    def read(self, call: Mapping[str, Any]) -> list[Ready | BadRow]:
        size = len(call["completions"])
        names = {"prompts": "prompt", "completions": "completion"}
        columns = {
            names.get(name, name): values
            for name, values in call.items()
            if name not in _NOT_COLUMNS and isinstance(values, Sequence) and len(values) == size
        }
        token_ids = columns.pop("completion_ids", None)
        if token_ids is not None:
            columns["num_tokens"] = [len(ids) for ids in token_ids]
            columns["truncated"] = [self._is_truncated(ids) for ids in token_ids]
        rows = [{name: values[index] for name, values in columns.items()} for index in range(size)]
        if not rows:
            return []
        found = find_columns(rows[:1], needed=self.expression.columns, given=self.mapping)
        return list(readable((Row(index, row) for index, row in enumerate(rows)), found))

    def finish(
        self, items: list[Ready | BadRow], scores: Sequence[Any], call: Mapping[str, Any]
    ) -> list[float | None]:
        results = rejoin(items, scores)
        if call.get("log_metric") is not None:
            self._log_metrics(results, call["log_metric"])
        if self.log_verdicts and call.get("log_extra") is not None:
            call["log_extra"](f"{self.name}_verdicts", [_told(result) for result in results])
        return [result.score.total if isinstance(result, Scored) else None for result in results]

    def _is_truncated(self, ids: Sequence[int]) -> bool | None:
        if self.eos_token_ids:
            return bool(ids) and ids[-1] not in self.eos_token_ids
        if self.max_completion_length is not None:
            return len(ids) >= self.max_completion_length
        return None

    def _log_metrics(self, results: list[Scored | BadRow], log_metric: Any) -> None:
        scored = [result.score for result in results if isinstance(result, Scored)]
        unscorable = len(results) - sum(score.total is not None for score in scored)
        log_metric(f"{self.name}/unscorable", unscorable / max(1, len(results)))
        for part in self.expression.plan.parts:
            values = [score.verdicts[part].value for score in scored if part in score.verdicts]
            known = [value for value in values if value is not None]
            if known:
                log_metric(f"{self.name}/{part}", sum(known) / len(known))


class RewardFunction:
    """What TRL calls. Pickles, and has the `__name__` under which TRL logs it."""

    def __init__(self, reader: _Reader) -> None:
        self.__name__ = reader.name
        self._reader = reader

    def __call__(self, **call: Any) -> list[float | None]:
        """One reward for each completion, in order; None where there is no verdict."""
        items = self._reader.read(call)
        scores = self._reader.expression.score(rollouts_of(items), step=_step(call))
        return self._reader.finish(items, scores, call)


class AsyncRewardFunction:
    """The same for TRL's event loop: rewards of several functions are then computed side by side."""

    def __init__(self, reader: _Reader) -> None:
        self.__name__ = reader.name
        self._reader = reader

    async def __call__(self, **call: Any) -> list[float | None]:
        """One reward for each completion, in order; None where there is no verdict."""
        items = self._reader.read(call)
        scores = await self._reader.expression.ascore(rollouts_of(items), step=_step(call))
        return self._reader.finish(items, scores, call)

    # With these `inspect` takes it for the coroutine function that it is; TRL 1.16 asks `__call__` too, and those
    # that do not would iterate over the coroutine.
    __code__ = __call__.__code__
    __defaults__ = None
    __kwdefaults__ = None


def reward_function(
    expression: str | Expression,
    *,
    name: str = "proctor",
    mapping: Mapping[str, str] | None = None,
    max_completion_length: int | None = None,
    eos_token_ids: Sequence[int] = (),
    log_verdicts: bool = False,
    asynchronous: bool = False,
) -> RewardFunction | AsyncRewardFunction:
    """A reward in the shape that TRL calls.

    Args:
        expression: the reward.
        name: TRL logs `rewards/{name}/mean`, and, by us, `{name}/{part}` and `{name}/unscorable`.
        mapping: which column of the dataset is which, as in {"answer": "gold"}; else found by name.
        max_completion_length: as in the trainer's configuration; tells which completions are truncated,
            where `eos_token_ids` do not.
        eos_token_ids: a completion whose last token is none of them is truncated.
        log_verdicts: add the verdicts, as text, to TRL's table of completions.
        asynchronous: make it a coroutine function.
    """
    reader = _Reader(
        expression if isinstance(expression, Expression) else reward(expression),
        name,
        dict(mapping or {}),
        max_completion_length,
        frozenset(eos_token_ids),
        log_verdicts,
    )
    return AsyncRewardFunction(reader) if asynchronous else RewardFunction(reader)


def _step(call: Mapping[str, Any]) -> int:
    """Training step, for weights on a schedule."""
    return int(getattr(call.get("trainer_state"), "global_step", 0) or 0)


def _told(result: Scored | BadRow) -> str:
    return str(result.score) if isinstance(result, Scored) else f"no reward: {result.reason}"
