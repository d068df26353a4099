"""The words everything here is said in: Rollout, Verdict, Score, and who is to blame.

All are plain data: they pickle, compare equal and go through JSON and back without loss.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol, TypeAlias

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
Message: TypeAlias = "Mapping[str, Any]"


class Blame(str, Enum):
    """Who is responsible when a rollout is not simply right. Only the candidate is ever paid zero for it."""

    CANDIDATE = "candidate"  # an honest zero (or a part of the full value)
    REFERENCE = "reference"  # the gold answer or the tests are unusable
    GRADER = "grader"  # our own code failed or ran out of time
    INFRASTRUCTURE = "infrastructure"  # a worker, container or server was lost
    CONFIGURATION = "configuration"  # a column, tool or option is missing


class Status(str, Enum):
    """What a verifier found. A closed vocabulary: each member settles blame and whether there is a value."""

    blame: Blame | None  # None where there is nothing to blame anyone for
    has_value: bool  # whether the verdict carries a number; without one it is *no reward*, never zero

    def __new__(cls, text: str, blame: Blame | None = None, has_value: bool = True) -> Status:
        # Set once per member: a look-up by member costs an enum hash per verdict, as much as the verdict.
        member = str.__new__(cls, text)
        member._value_ = text
        member.blame = blame
        member.has_value = has_value
        return member

    CORRECT = "correct"  # verified right (AC)
    INCORRECT = "incorrect", Blame.CANDIDATE  # verified wrong (WA)
    PARTIAL = "partial", Blame.CANDIDATE  # part of it is right: some tests, some steps
    MEASURED = "measured"  # a quantity, not an exam: a length, a share of repeated n-grams
    NO_ANSWER = "no_answer", Blame.CANDIDATE  # the response commits to no answer that could be judged
    PRESENTATION_ERROR = "presentation_error", Blame.CANDIDATE  # PE: right but for white space
    TIME_LIMIT = "time_limit", Blame.CANDIDATE  # TLE
    MEMORY_LIMIT = "memory_limit", Blame.CANDIDATE  # MLE
    OUTPUT_LIMIT = "output_limit", Blame.CANDIDATE  # OLE
    RUNTIME_ERROR = "runtime_error", Blame.CANDIDATE  # RE
    COMPILE_ERROR = "compile_error", Blame.CANDIDATE  # CE
    SECURITY_VIOLATION = "security_violation", Blame.CANDIDATE  # SV: tried what the jail forbids
    SKIPPED = "skipped", None, False  # a gate was closed, or another branch was taken: never evaluated
    ABSTAINED = "abstained", None, False  # the part has nothing to say on this rollout, as chosen
    BAD_REFERENCE = "bad_reference", Blame.REFERENCE, False  # the gold cannot be read, or fails its own tests
    GRADER_ERROR = "grader_error", Blame.GRADER, False  # IE: an exception or a time-out of ours
    UNAVAILABLE = "unavailable", Blame.INFRASTRUCTURE, False  # IE: worker, container or server did not answer
    MISCONFIGURED = "misconfigured", Blame.CONFIGURATION, False  # a column, tool or option is missing


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled completion, with what is needed to judge it and what the trainer knows of it.

    Raises TypeError where the completion is no text: parts that look at its shape would find a candidate's fault.
    """

    completion: str  # the sampled text, without the prompt
    prompt: str | Sequence[Message] = ""  # text, or chat messages
    answer: str | None = None  # the reference answer
    tests: Any = None  # the reference tests: plain data, shape as the `code` part documents
    task: str | None = None  # kind of problem ("math", "code" ...), for routing
    group: str | int | None = None  # rollouts of one prompt share it; None: equal prompts are one group
    num_tokens: int | None = None  # completion tokens as the trainer counted them
    truncated: bool | None = None  # stopped by the length limit; None: the trainer did not say
    fields: Mapping[str, Any] = field(default_factory=dict)  # every other column of the row

    def __post_init__(self) -> None:
        if not isinstance(self.completion, str):
            raise TypeError(
                f"a rollout's completion must be text, got {type(self.completion).__name__}; of chat messages "
                "take the content of the last"
            )

    def get(self, column: str) -> Any:
        """The value of a column by name, one of ours or one of `fields`; None where it is absent."""
        return getattr(self, column) if column in COLUMNS else self.fields.get(column)

    @property
    def group_key(self) -> Hashable:
        """What rollouts of the same prompt have in common."""
        if self.group is not None:
            return self.group
        # In a tuple, since a prompt may read like another rollout's group.
        return (self.prompt if isinstance(self.prompt, str) else repr(self.prompt),)

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; `from_json` reads it back."""
        return {name: getattr(self, name) for name in COLUMNS} | {"fields": dict(self.fields)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rollout:
        return cls(**data)


# Columns that every rollout has, filled or not; the others are in `fields`.
COLUMNS = ("completion", "prompt", "answer", "tests", "task", "group", "num_tokens", "truncated")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one verifier found about one rollout.

    `value` is a finite float, and None exactly where the status has none (`Status.has_value`): a failure
    of ours is never a zero. Raises ValueError where the two disagree or the value is NaN or infinite.
    """

    value: float | None
    status: Status
    evidence: Mapping[str, Any] = field(default_factory=dict)  # JSON data: what was looked at, and why
    seconds: float = 0.0  # time spent on this rollout

    def __post_init__(self) -> None:
        value = self.value
        if (value is None) is self.status.has_value:
            raise ValueError(
                f"a verdict of status '{self.status.value}' must "
                f"{'carry a value' if value is None else 'have value None'}, got {value!r}"
            )
        if value is None:
            return
        if type(value) is not float:  # an int, a bool or a number of numpy
            object.__setattr__(self, "value", float(value))
        if not math.isfinite(value):
            raise ValueError(f"a verdict's value must be finite, got {value!r}")

    @property
    def blame(self) -> Blame | None:
        return self.status.blame

    def __str__(self) -> str:
        shown = "none" if self.value is None else f"{self.value + 0.0:g}"
        blame = f", blame {self.blame.value}" if self.blame else ""
        why = "; ".join(f"{name} {_short(value)}" for name, value in self.evidence.items())
        return f"{shown} ({self.status.value}{blame})" + (f": {why}" if why else "")

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; blame is for readers, and derived from status on the way back."""
        return {
            "value": self.value,
            "status": self.status.value,
            "blame": self.blame.value if self.blame else None,
            "evidence": dict(self.evidence),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        return cls(data["value"], Status(data["status"]), data["evidence"], data["seconds"])


@dataclass(frozen=True, slots=True)
class Score:
    """What a whole reward expression gives one rollout."""

    total: float | None  # None: no reward; the rollout leaves its group before the baseline is computed
    verdicts: Mapping[str, Verdict]  # by part, under the source text that names it in the expression
    reward: str = ""  # hash of the expression that made it

    def __str__(self) -> str:
        total = "no reward" if self.total is None else f"reward {self.total + 0.0:g}"
        return "\n".join([total, *(f"  {name}: {verdict}" for name, verdict in self.verdicts.items())])

    def to_json(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "verdicts": {name: verdict.to_json() for name, verdict in self.verdicts.items()},
            "reward": self.reward,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Score:
        verdicts = {name: Verdict.from_json(verdict) for name, verdict in data["verdicts"].items()}
        return cls(data["total"], verdicts, data["reward"])


def is_correct(score: Score, exams: Sequence[str]) -> bool | None:
    """Whether every exam that had a verdict says correct; None where none had. `exams`: names of those parts.

    An exam that a closed gate or another branch skipped says nothing, but with all of them skipped a score
    that exists means that the gate's test was failed.
    """
    verdicts = [score.verdicts[name] for name in exams if name in score.verdicts]
    judged = [verdict for verdict in verdicts if verdict.value is not None]
    if judged:
        return all(verdict.status is Status.CORRECT for verdict in judged)
    skipped = bool(verdicts) and all(verdict.status is Status.SKIPPED for verdict in verdicts)
    return False if skipped and score.total is not None else None


class Reward(Protocol):
    """Anything that maps a batch of rollouts to scores, in order, one each."""

    def score(self, rollouts: Sequence[Rollout], *, step: int = 0) -> list[Score]: ...


def _short(value: object, limit: int = 60) -> str:
    """Evidence on one line; what a terminal's encoding refuses (half a surrogate pair) is escaped."""
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return text.replace("\n", "\\n").encode("utf-8", "backslashreplace").decode("utf-8")
