"""The reward part on the form of a response: `format`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from proctor.sandbox.workers import Failure, TaskResult
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.guarded import check_texts, fault_by_schema, is_quick, validator_of
from proctor.verifiers.part import Bounds, Cost, Part, each
from proctor.verifiers.registry import register
from proctor.verifiers.shapes import fault_of_box, fault_of_code, fault_of_sections, parse_json
from proctor.verifiers.thinking import opens_thinking, prompt_tail, split_thinking

_TAG = re.compile(r"[A-Za-z_][\w.-]*")
_THINK_ANSWER = ("think", "answer")
_OF_SHAPE = {"code_block": "language", "json": "schema", "xml": "tags", "regex": "pattern"}


@register
@dataclass(frozen=True)
class Format(Part):
    """Whether the response has the form that was asked for: one of six shapes.

    What it measures:
    - "think_answer": `<think>...</think> <answer>...</answer>`, each once and not empty, nothing else around
      them. Where the prompt ends with `<think>`, the response begins inside it. Of a prompt of chat messages it
      cannot be seen what the template adds: `format("think_answer", begun=True)` where it adds `<think>`.
    - "boxed": one `\\boxed{...}` with an answer in it, prose around it.
    - "code_block": one closed fence with code in it, prose around it; `code_block("python")` counts fences of
      that language only.
    - "json", `json({...})`: nothing but a JSON value (no fence, prose or key twice) that the schema allows.
    - `xml("reason", "answer")`: these sections in this order, each once and not empty, nothing around them.
    - `regex("...")`: the pattern matches the whole response, white space around it left out.
    Boxes, code and JSON are looked for outside of thinking sections; one that never ends is a fault.

    Formula and range: 1 where the form is right, 0 where not, with the first fault as evidence.

    What it pays wrongly: form without content. It is paid for any answer, so let it be a gate
    (`format("boxed") and math`) or a tenth of the reward, not a goal of its own.

    Source: own design; the shape of think_answer is DeepSeek-R1's, arXiv:2501.12948, table 1. A pattern, and
    a schema that hostile text could stretch, run in a worker that is killed after 2 s: status grader_error.
    """

    shape: Literal["think_answer", "boxed", "code_block", "json", "xml", "regex"]
    language: str | None = None  # of code_block; None: any
    schema: Mapping[str, Any] | str | None = None  # of json, as a dict or JSON text; None: any value
    tags: tuple[str, ...] = ()  # of xml: names of the sections, in order
    pattern: str | None = None  # of regex
    begun: bool | None = (
        None  # of think_answer and xml: the template opens the first section; None: see the prompt
    )

    name: ClassVar[str] = "format"
    cost: ClassVar[Cost] = Cost.MICROSECONDS
    shapes: ClassVar[Mapping[str, str]] = _OF_SHAPE

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", tuple(self.tags))
        given = {"language": self.language, "schema": self.schema, "tags": self.tags, "pattern": self.pattern}
        for shape, option in _OF_SHAPE.items():
            if shape == self.shape and shape in ("xml", "regex") and given[option] in (None, ()):
                raise ValueError(f"format: shape '{shape}' needs its {option}: {shape}(...)")
            if shape != self.shape and given[option] not in (None, ()):
                raise ValueError(f"format: {option} belongs to shape '{shape}', not to '{self.shape}'")
        if self.begun is not None and self.shape not in ("think_answer", "xml"):
            raise ValueError(f"format: begun belongs to shapes of sections, not to '{self.shape}'")
        if self.schema is not None:
            text = self.schema if isinstance(self.schema, str) else json.dumps(self.schema, sort_keys=True)
            object.__setattr__(self, "schema", text)
            validator_of(text)
        if self.pattern is not None:
            _compile(self.pattern)
        if len(set(self.tags)) < len(self.tags) or not all(map(_TAG.fullmatch, self.tags)):
            raise ValueError(f"format: tags must be different names, got {', '.join(self.tags)}")

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        if self.shape == "regex":
            texts = [rollout.completion for rollout in rollouts]
            results = check_texts(_MATCH, str(self.pattern), texts)
            return [_verdict_of(result, None if result.value else "no match") for result in results]
        if self.shape == "json":
            return self._verify_json(rollouts)
        return each(rollouts, lambda rollout: _verdict(self._fault(rollout)))

    def _fault(self, rollout: Rollout) -> str | None:
        if self.shape in ("think_answer", "xml"):
            tags = self.tags or _THINK_ANSWER
            opening = f"<{tags[0]}>"
            begun = self.begun
            if begun is None:
                begun = prompt_tail(rollout.prompt).endswith(opening)
            return fault_of_sections(opening * begun + rollout.completion, tags)
        text, fault = _said(rollout)
        if fault:
            return fault
        return fault_of_box(text) if self.shape == "boxed" else fault_of_code(text, self.language)

    def _verify_json(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """Parses here; checks here where that is quick, else in the workers, all at once."""
        schema = str(self.schema)
        late: dict[int, str] = {}

        def judge(place: int, rollout: Rollout) -> Verdict:
            text, fault = _said(rollout)
            value, fault = (None, fault) if fault else parse_json(text)
            if fault is None and self.schema is None:
                return _verdict(None)
            if fault is None and is_quick(schema, text):
                fault = fault_by_schema(schema, value)
            elif fault is None:
                late[place] = text
            return _verdict(fault)

        places = iter(range(len(rollouts)))
        verdicts = each(rollouts, lambda rollout: judge(next(places), rollout))
        for place, result in zip(late, check_texts(_VALIDATE, schema, list(late.values())), strict=True):
            verdicts[place] = _verdict_of(result, result.value)
        return verdicts


_MATCH = "proctor.verifiers.guarded:match_all"
_VALIDATE = "proctor.verifiers.guarded:validate_all"


def _said(rollout: Rollout) -> tuple[str, str | None]:
    """What the response says outside of thinking, and its fault where it never comes to that."""
    split = split_thinking(rollout.completion, is_open=opens_thinking(rollout.prompt))
    return split.rest, None if split.closed else "the thinking section never ends"


def _verdict(fault: str | None) -> Verdict:
    return Verdict(1.0, Status.CORRECT) if fault is None else Verdict(0.0, Status.INCORRECT, {"fault": fault})


def _verdict_of(result: TaskResult, fault: str | None) -> Verdict:
    """The verdict of a check that ran in a worker; a failure of the worker's is no fault of the text's."""
    if result.failure is None:
        verdict = _verdict(fault)
        return Verdict(verdict.value, verdict.status, verdict.evidence, result.seconds)
    status = Status.UNAVAILABLE if result.failure is Failure.POOL else Status.GRADER_ERROR
    return Verdict(None, status, {"problem": result.failure.value, "detail": result.detail}, result.seconds)


def _compile(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"format: no regular expression: {error}") from error
