"""What a reward part is: a leaf of an expression that turns rollouts into verdicts."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from enum import IntEnum
from typing import Any, ClassVar, cast

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.expressions.literals import write_literal
from proctor.verifiers.nodes import Node


class Cost(IntEnum):
    """Order of magnitude per rollout; the checker warns where a gate runs the dear part first."""

    MICROSECONDS = 0  # looks at the text
    MILLISECONDS = 1  # may need a worker process
    SECONDS = 2  # runs programs or calls a model


@dataclass(frozen=True, slots=True)
class Bounds:
    """Closed range of the values that a part or expression can take; infinities where it has no bound."""

    low: float
    high: float


class Part(Node):
    """One reward part. Subclasses are frozen dataclasses whose fields are its options.

    An option without a default must be given; where it is text and comes first, it is printed without
    its name: `format("boxed")`, but `overlong(max_tokens=4096, buffer=512)`.
    In an expression an option is a literal: text, number, True, False, None, or a list, tuple or dict
    of them. What is given is checked against the annotation; a rule on the value (`ngram >= 1`)
    belongs in `__post_init__` and raises ValueError.

    Its docstring has the four headings: what it measures, formula and range, what it pays wrongly, source.
    """

    name: ClassVar[str]  # what it is called in expressions
    cost: ClassVar[Cost] = Cost.MICROSECONDS
    by_group: ClassVar[bool] = False  # True: `verify` must see all rollouts of a prompt together
    exam: ClassVar[bool] = False  # True: it verifies that the answer is right, and is no matter of style

    # How a shape with an argument reads: {"json": "schema"} makes `format(json({...}))` mean
    # `format("json", schema={...})`. The call's name goes to the first option.
    shapes: ClassVar[Mapping[str, str]] = {}

    @property
    @abstractmethod
    def bounds(self) -> Bounds:
        """Range of the values, known before anything runs."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a rollout, beyond prompt and completion, without which there can be no verdict."""
        return ()

    @abstractmethod
    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict for each rollout, in order. What goes wrong for one must not touch another."""

    async def averify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """`verify` without blocking the event loop; a part that awaits something defines its own."""
        return await asyncio.to_thread(self.verify, rollouts)

    def __str__(self) -> str:
        given: list[str] = []
        for option in fields(cast(Any, self)):
            value, default = getattr(self, option.name), option.default
            if option.default_factory is not MISSING:
                default = option.default_factory()
            if default is MISSING and isinstance(value, str) and not given:
                given.append(write_literal(value))
            elif value != default:
                given.append(f"{option.name}={write_literal(value)}")
        return f"{self.name}({', '.join(given)})" if given else self.name


def each(rollouts: Sequence[Rollout], judge: Callable[[Rollout], Verdict]) -> list[Verdict]:
    """Judges rollouts one by one; an exception becomes a verdict that blames the grader, for that one."""
    return [_guarded(judge, rollout) for rollout in rollouts]


def _guarded(judge: Callable[[Rollout], Verdict], rollout: Rollout) -> Verdict:
    start = time.perf_counter()
    try:
        verdict = judge(rollout)
    except Exception as error:  # the leaf's border: whatever a part does, the batch goes on
        return grader_error(error, time.perf_counter() - start)
    return Verdict(verdict.value, verdict.status, verdict.evidence, time.perf_counter() - start)


def grader_error(error: BaseException, seconds: float = 0.0) -> Verdict:
    """The verdict on a rollout for which a part raised."""
    return Verdict(None, Status.GRADER_ERROR, {"exception": f"{type(error).__name__}: {error}"}, seconds)
