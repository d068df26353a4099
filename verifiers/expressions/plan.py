"""Lazy, batched evaluation: a batch of rollouts in, one Score each out, in order.

An expression is evaluated for the whole batch at once, by generators that stop where they need verdicts
of a part. When all of them stand still, the parts asked for are run, each once, on every row that asked,
and the generators go on. So rows share a call wherever they share a part, and a row that a gate left out
never reaches the part behind it. Parts behind a gate wait until every gate before them has been decided
(`occurrences.rounds`), so that a part which stands in several places is still called once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Generator, Iterator, Sequence
from itertools import repeat
from typing import Any, TypeAlias

from proctor.verifiers import nodes
from proctor.verifiers.core import Rollout, Score, Status, Verdict
from proctor.verifiers.expressions.occurrences import rounds
from proctor.verifiers.expressions.operators import ARITHMETIC, COMPARISONS, function_of, weight_at
from proctor.verifiers.leaf import arun_part, run_part
from proctor.verifiers.nodes import Node, walk
from proctor.verifiers.part import Part

Rows: TypeAlias = Sequence[int]  # positions in the batch
Values: TypeAlias = "list[float | None]"  # for each of the rows
Asking: TypeAlias = "Generator[None, None, Values]"  # yields when it waits for verdicts

SKIPPED = Verdict(None, Status.SKIPPED)


class Plan:
    """What to run for an expression; holds no rollouts and may be used from many threads."""

    def __init__(self, node: Node, reward: str) -> None:
        self.node = node
        self.reward = reward
        self.parts = {str(part): part for part in walk(node) if isinstance(part, Part)}
        self.due = rounds(node)

    def score(self, rollouts: Sequence[Rollout], step: int) -> list[Score]:
        run = _Run(self, rollouts, step)
        for asked in run.rounds():
            for text, rows in asked.items():
                run.learn(text, rows, run_part(self.parts[text], [rollouts[row] for row in rows]))
        return run.scores()

    async def ascore(self, rollouts: Sequence[Rollout], step: int) -> list[Score]:
        """`score` with the parts of one round side by side, and none of them on the event loop's thread."""
        run = _Run(self, rollouts, step)
        for asked in run.rounds():
            batches = [[rollouts[row] for row in rows] for rows in asked.values()]
            parts = [self.parts[text] for text in asked]
            found = await asyncio.gather(*map(arun_part, parts, batches))
            for (text, rows), verdicts in zip(asked.items(), found, strict=True):
                run.learn(text, rows, verdicts)
        return run.scores()


class _Run:
    """One evaluation of one batch: the verdicts so far, and what is waited for."""

    def __init__(self, plan: Plan, rollouts: Sequence[Rollout], step: int) -> None:
        self.plan = plan
        self.rollouts = rollouts
        self.step = step
        self.known: dict[str, list[Verdict | None]] = {text: [None] * len(rollouts) for text in plan.parts}
        self.wanted: dict[str, list[Rows]] = {}
        self.needed: dict[str, set[int]] = {text: set() for text, part in plan.parts.items() if part.by_group}
        self.problems: dict[int, dict[str, Verdict]] = {}  # of columns and arithmetic, by row
        self.totals: Values = []

    def rounds(self) -> Iterator[dict[str, Rows]]:
        """Rows to run for each part that is due. `learn` must be told of all before the next round."""
        asking = self.values(self.plan.node, range(len(self.rollouts)))
        while True:
            try:
                next(asking)
            except StopIteration as done:
                self.totals = done.value
                return
            first = min(self.plan.due[text] for text in self.wanted)
            due = [text for text in self.wanted if self.plan.due[text] == first]
            asked = {text: self.rows_to_run(text) for text in due}
            yield {text: rows for text, rows in asked.items() if rows}
            for text in due:
                del self.wanted[text]

    def rows_to_run(self, text: str) -> Rows:
        """Rows asked for and not yet known; whole groups for a part that compares within them."""
        part, known = self.plan.parts[text], self.known[text]
        rows: Rows = sorted({row for rows in self.wanted[text] for row in rows if known[row] is None})
        if part.by_group:
            groups = {self.rollouts[row].group_key for row in rows}
            keys = [rollout.group_key for rollout in self.rollouts]
            rows = [row for row, key in enumerate(keys) if key in groups and known[row] is None]
        for column in part.columns:
            missing = [row for row in rows if self.rollouts[row].get(column) is None]
            for row in missing:
                known[row] = _misconfigured(f"column '{column}' is missing", column=column)
            if missing:
                rows = [row for row in rows if known[row] is None]
        return rows

    def learn(self, text: str, rows: Rows, verdicts: Sequence[Verdict]) -> None:
        known = self.known[text]
        for row, verdict in zip(rows, verdicts, strict=True):
            known[row] = verdict

    def scores(self) -> list[Score]:
        columns = []
        for text, known in self.known.items():
            needed = self.needed.get(text, range(len(known)))
            columns.append(
                [
                    verdict if verdict is not None and row in needed else SKIPPED
                    for row, verdict in enumerate(known)
                ]
            )
        rows = zip(*columns, strict=True) if columns else repeat((), len(self.rollouts))
        names, reward = list(self.known), self.plan.reward
        scores = [
            Score(total, dict(zip(names, verdicts, strict=True)), reward)
            for total, verdicts in zip(self.totals, rows, strict=True)
        ]
        for row, found in self.problems.items():
            scores[row] = Score(scores[row].total, {**scores[row].verdicts, **found}, reward)
        return scores

    def values(self, node: Node, rows: Rows) -> Asking:
        """The node's value on each row. A generator: it yields while it waits for verdicts."""
        match node:
            case Part():
                return (yield from self.part(node, rows))
            case nodes.Number(value):
                return [value] * len(rows)
            case nodes.Schedule():
                return [node.at(self.step)] * len(rows)
            case nodes.Constant():
                return [None] * len(rows)
            case nodes.Field():
                return self.numbers(node, rows)
            case nodes.Arithmetic():
                return (yield from self.arithmetic(node, rows))
            case nodes.Compare():
                return (yield from self.compare(node, rows))
            case nodes.And() | nodes.Or():
                return (yield from self.gate(node, rows))
            case nodes.When():
                return (yield from self.branch(node, rows))
        return (yield from self.function(node, rows))

    def part(self, part: Part, rows: Rows) -> Asking:
        text = str(part)
        known = self.known[text]
        if part.by_group:
            self.needed[text].update(rows)
        if any(known[row] is None for row in rows):
            self.wanted.setdefault(text, []).append(rows)
            while text in self.wanted:
                yield
        return [verdict.value if (verdict := known[row]) else None for row in rows]

    def numbers(self, node: nodes.Field, rows: Rows) -> Values:
        return [
            self.number(node, row, value) for row, value in zip(rows, self.column(node, rows), strict=True)
        ]

    def number(self, node: nodes.Field, row: int, value: Any) -> float | None:
        if value is None:
            return None
        try:
            number = float(value) if not isinstance(value, str) else math.nan
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
        self.problem(row, str(node), f"column '{node.column}' holds no number", value=repr(value)[:80])
        return None

    def column(self, node: nodes.Field, rows: Rows) -> list[Any]:
        """The column as it is; a row without it, or with NaN there, has no value, and says so."""
        values = [_known(self.rollouts[row].get(node.column)) for row in rows]
        for row, value in zip(rows, values, strict=True):
            if value is None:
                self.problem(row, str(node), f"column '{node.column}' is missing", column=node.column)
        return values

    def problem(self, row: int, text: str, what: str, **evidence: Any) -> None:
        self.problems.setdefault(row, {})[text] = _misconfigured(what, **evidence)

    def arithmetic(self, node: nodes.Arithmetic, rows: Rows) -> Asking:
        left, right = yield from _together(self.values(node.left, rows), self.values(node.right, rows))
        if node.symbol == "*" and 0 in (weight_at(node.left, self.step), weight_at(node.right, self.step)):
            return [0.0] * len(rows)
        apply = ARITHMETIC[node.symbol]
        values = [None if a is None or b is None else apply(a, b) for a, b in zip(left, right, strict=True)]
        # One sum is finite only if all are; the search for the culprit is for the rare case.
        if not math.isfinite(sum(filter(None, values))):
            for place, value in enumerate(values):
                if value is not None and not math.isfinite(value):
                    a, b = left[place], right[place]
                    self.problem(rows[place], str(node), "the result is not a finite number", left=a, right=b)
                    values[place] = None
        return values

    def compare(self, node: nodes.Compare, rows: Rows) -> Asking:
        if nodes.Constant(None) in (node.left, node.right):
            return (yield from self.compare_none(node, rows))
        left, right = yield from _together(self.raw(node.left, rows), self.raw(node.right, rows))
        holds = COMPARISONS[node.symbol]
        values: Values = []
        for row, a, b in zip(rows, left, right, strict=True):
            if a is None or b is None:
                values.append(None)
                continue
            try:
                values.append(1.0 if holds(a, b) else 0.0)
            except (TypeError, ValueError):  # the latter from an array of numpy, which has no truth value
                shown = {"left": repr(a)[:80], "right": repr(b)[:80]}
                self.problem(row, str(node), "these cannot be compared", **shown)
                values.append(None)
        return values

    def compare_none(self, node: nodes.Compare, rows: Rows) -> Asking:
        """`column == None`: whether there is none; the one question that None answers."""
        other = node.left if node.right == nodes.Constant(None) else node.right
        if isinstance(other, nodes.Field):
            values = [_known(self.rollouts[row].get(other.column)) for row in rows]
        else:
            values = yield from self.values(other, rows)
        return [float((value is None) is (node.symbol == "==")) for value in values]

    def raw(self, node: Node, rows: Rows) -> Generator[None, None, list[Any]]:
        """A side of a comparison: columns and constants as they are, everything else as numbers."""
        if isinstance(node, nodes.Constant):
            return [node.value] * len(rows)
        if isinstance(node, nodes.Field):
            return self.column(node, rows)
        return (yield from self.values(node, rows))

    def gate(self, node: nodes.And | nodes.Or, rows: Rows) -> Asking:
        left = yield from self.values(node.left, rows)
        is_and = isinstance(node, nodes.And)
        goes_on = [value is not None and (value > 0) is is_and for value in left]
        right = iter((yield from self.values(node.right, _where(rows, goes_on))))
        closed = 0.0 if is_and else None
        return [
            next(right) if on else value if value is None or not is_and else closed
            for value, on in zip(left, goes_on, strict=True)
        ]

    def branch(self, node: nodes.When, rows: Rows) -> Asking:
        condition = yield from self.values(node.condition, rows)
        passes = [value is not None and value > 0 for value in condition]
        fails = [value is not None and value <= 0 for value in condition]
        then, otherwise = yield from _together(
            self.values(node.then, _where(rows, passes)), self.values(node.otherwise, _where(rows, fails))
        )
        taken, left = iter(then), iter(otherwise)
        return [
            next(taken) if yes else next(left) if no else None for yes, no in zip(passes, fails, strict=True)
        ]

    def function(self, node: Node, rows: Rows) -> Asking:
        """Nodes whose value is a plain function of their operands' values."""
        columns = yield from _together(*(self.values(child, rows) for child in nodes.children(node)))
        apply = function_of(node)
        return [None if None in values else apply(*values) for values in zip(*columns, strict=True)]


def _together(*asking: Generator[None, None, list[Any]]) -> Generator[None, None, list[list[Any]]]:
    """Results of all, which wait side by side, so that what they ask for can be run in one go."""
    results: list[list[Any]] = [[]] * len(asking)
    waiting = dict(enumerate(asking))
    while waiting:
        for place, one in list(waiting.items()):
            try:
                next(one)
            except StopIteration as done:
                results[place] = done.value
                del waiting[place]
        if waiting:
            yield
    return results


def _known(value: Any) -> Any:
    """None for NaN, which is how tables mark a missing value: any comparison with it would be False unseen."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _where(rows: Rows, chosen: Sequence[bool]) -> Rows:
    return rows if all(chosen) else [row for row, yes in zip(rows, chosen, strict=True) if yes]


def _misconfigured(what: str, **evidence: Any) -> Verdict:
    return Verdict(None, Status.MISCONFIGURED, {"problem": what, **evidence})
