"""A Python function of yours as a reward part, by a decorator.

    @proctor.part(bounds=(0, 1))
    def polite(rollout: Rollout, word: str = "please") -> float:
        return float(word in rollout.completion)

    proctor.reward('math + 0.1 * polite(word="thanks")')       # in text
    Math() + 0.1 * polite(word="thanks")                       # in Python

The first parameter takes a rollout (`per="rollout"`), all rollouts at hand (`per="batch"`), or all of one
prompt (`per="group"`); the others are options, checked against their annotations. The function may be
async. It returns, for each rollout, a number (True is 1), a Verdict, or None for no opinion (the status
is then `abstained`, and what needs the part has no value). What it raises, and a number outside the
bounds, blames the grader for the rollouts of that call.

It runs in this process and nothing ends it: what may loop belongs into `proctor.sandbox`. A synchronous
function is called from one thread at a time within `score`, and from a worker thread by `ascore`.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
import time
import typing
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import field, fields, make_dataclass
from typing import Any, ClassVar, Literal, cast, overload

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.leaf import groups_of
from proctor.verifiers.part import Bounds, Cost, Part, grader_error
from proctor.verifiers.registry import register

Per = Literal["rollout", "batch", "group"]
_AT_ONCE = 64  # calls of an async function in flight; more rarely helps a server that judges


@overload
def part(function: Callable[..., Any], /) -> Callable[..., Part]: ...
@overload
def part(
    *,
    bounds: tuple[float, float] = ...,
    per: Per = ...,
    exam: bool = ...,
    cost: Cost = ...,
    columns: tuple[str, ...] = ...,
) -> Callable[[Callable[..., Any]], Callable[..., Part]]: ...
def part(
    function: Callable[..., Any] | None = None,
    /,
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    per: Per = "rollout",
    exam: bool = False,
    cost: Cost = Cost.MICROSECONDS,
    columns: tuple[str, ...] = (),
) -> Any:
    """Makes a reward part of a function, under the function's name, and registers it.

    bounds: range of what it returns; without it the checker can say little. exam: it decides whether an
    answer is right, and is no matter of style. cost: order of magnitude per rollout. columns: what a
    rollout must have; one that lacks them never reaches the function, and its verdict says so.

    Raises ValueError where the name is taken, bounds or `per` make no sense, and TypeError where the parameters
    cannot be options, or columns are not a tuple.
    """
    low, high = map(float, bounds)
    if not low <= high:
        raise ValueError(f"bounds are (low, high) with low <= high, got {bounds}")
    if per not in typing.get_args(Per):
        raise ValueError(f"per is one of {', '.join(typing.get_args(Per))}, got {per!r}")
    given: object = columns
    if isinstance(given, str):  # each of its letters would be a column
        raise TypeError(f'columns are a tuple, got {columns!r}; write columns=("{columns}",)')

    def decorate(function: Callable[..., Any]) -> type[Part]:
        space: dict[str, Any] = {
            "name": function.__name__,
            "function": staticmethod(function),
            "declared": Bounds(low, high),
            "needs": tuple(columns),
            "per": per,
            "by_group": per == "group",
            "exam": exam,
            "cost": cost,
            "__doc__": function.__doc__,
            "__module__": function.__module__,
        }
        made = make_dataclass(
            function.__name__, _options(function), bases=(_Custom,), namespace=space, frozen=True
        )
        # Pickle finds the class where the function stood, since the decorator's result replaces it.
        made.__qualname__, made.__module__ = function.__qualname__, function.__module__
        return register(made)

    return decorate(function) if function is not None else decorate


def _options(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """Parameters after the first, as fields of a dataclass."""
    hints = typing.get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        raise TypeError(f"{function.__name__} needs a parameter for the rollout")
    options = []
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{function.__name__}: options have names, * and ** are none")
        if hasattr(_Custom, parameter.name):
            raise TypeError(f"{function.__name__}: an option cannot be called '{parameter.name}'")
        given = parameter.default is not parameter.empty
        if isinstance(parameter.default, (list, dict, set)):
            raise TypeError(
                f"{function.__name__}: the default of '{parameter.name}' can be changed; write a tuple or None"
            )
        default = field(default=parameter.default) if given else field()
        options.append((parameter.name, hints.get(parameter.name, Any), default))
    return options


class _Custom(Part):
    """A part that is a function; the decorator fills in what follows."""

    function: ClassVar[Callable[..., Any]]
    declared: ClassVar[Bounds]
    needs: ClassVar[tuple[str, ...]]
    per: ClassVar[Per]

    @property
    def bounds(self) -> Bounds:
        return self.declared

    @property
    def columns(self) -> tuple[str, ...]:
        return self.needs

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        if inspect.iscoroutinefunction(self.function):
            return _run(self.averify, rollouts)
        verdicts: list[Verdict] = [_ABSTAINED] * len(rollouts)
        for places in self._lots(rollouts):
            start = time.perf_counter()
            try:
                found = self.function(self._argument(rollouts, places), **self._given())
                self._put(verdicts, places, found, time.perf_counter() - start)
            except Exception as error:  # the leaf's border: it becomes the verdict of its own rollouts
                _blame(verdicts, places, error, time.perf_counter() - start)
        return verdicts

    async def averify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        if not inspect.iscoroutinefunction(self.function):
            return await asyncio.to_thread(self.verify, rollouts)
        verdicts: list[Verdict] = [_ABSTAINED] * len(rollouts)
        free = asyncio.Semaphore(_AT_ONCE)

        async def judge(places: Sequence[int]) -> None:
            async with free:
                start = time.perf_counter()
                try:
                    found = await self.function(self._argument(rollouts, places), **self._given())
                    self._put(verdicts, places, found, time.perf_counter() - start)
                except Exception as error:  # the leaf's border, as in `verify`
                    _blame(verdicts, places, error, time.perf_counter() - start)

        await asyncio.gather(*map(judge, self._lots(rollouts)))
        return verdicts

    def _lots(self, rollouts: Sequence[Rollout]) -> list[list[int]]:
        """Places of the rollouts that go into one call of the function."""
        if self.per == "batch":
            return [list(range(len(rollouts)))]
        return groups_of(rollouts) if self.per == "group" else [[place] for place in range(len(rollouts))]

    def _argument(self, rollouts: Sequence[Rollout], places: Sequence[int]) -> Rollout | list[Rollout]:
        if self.per == "rollout":
            return rollouts[places[0]]
        return [rollouts[place] for place in places]

    def _given(self) -> dict[str, Any]:
        return {option.name: getattr(self, option.name) for option in fields(cast(Any, self))}

    def _put(self, verdicts: list[Verdict], places: Sequence[int], found: Any, seconds: float) -> None:
        """Files what a call returned. Raises TypeError and ValueError for what no verdict can be made of."""
        if self.per != "rollout" and isinstance(found, (Mapping, Set, str)):  # its keys would be the values
            raise TypeError(f"{self.name} returned a {type(found).__name__}; a list, in order, is wanted")
        results = [found] if self.per == "rollout" else list(found)
        if len(results) != len(places):
            raise ValueError(f"{self.name} returned {len(results)} values for {len(places)} rollouts")
        made = [self._verdict(result, seconds / len(places)) for result in results]
        for place, verdict in zip(places, made, strict=True):
            verdicts[place] = verdict

    def _verdict(self, result: Any, seconds: float) -> Verdict:
        if result is None:
            return Verdict(None, Status.ABSTAINED, {}, seconds)
        if isinstance(result, Verdict):
            verdict = Verdict(result.value, result.status, result.evidence, result.seconds or seconds)
        elif hasattr(result, "__float__"):
            verdict = Verdict(float(result), Status.MEASURED, {}, seconds)
        else:
            raise TypeError(f"{self.name} returned {result!r}; a number, a Verdict or None is wanted")
        if verdict.value is not None and not self.declared.low <= verdict.value <= self.declared.high:
            raise ValueError(
                f"{self.name} returned {verdict.value:g}, outside its bounds "
                f"({self.declared.low:g}, {self.declared.high:g})"
            )
        return verdict


_ABSTAINED = Verdict(None, Status.ABSTAINED)


def _blame(verdicts: list[Verdict], places: Sequence[int], error: Exception, seconds: float) -> None:
    for place in places:
        verdicts[place] = grader_error(error, seconds / len(places))


def _run(averify: Callable[[Sequence[Rollout]], Any], rollouts: Sequence[Rollout]) -> list[Verdict]:
    """Runs a coroutine to its end from synchronous code, also where this thread has a running loop."""
    outcome: list[list[Verdict]] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(averify(rollouts)))
        except BaseException as error:  # handed to the caller's thread, where it is raised again
            failure.append(error)

    thread = threading.Thread(target=run, name="proctor-async-part")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
