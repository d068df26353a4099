"""Which column of a file or trainer is which field of a Rollout, and the Rollout made from a row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from proctor.verifiers.core import Rollout
from proctor.verifiers.files.sources import InputError
from proctor.verifiers.spelling import did_you_mean

# What people call these columns, best first. `prompt_id` and the like are trusted to mean the prompt;
# plain `id` is not: in most files it is another one for every row.
ALIASES: dict[str, tuple[str, ...]] = {
    "completion": (
        "response", "output", "generation", "generated_text", "model_output", "model_response",
        "solution_str", "prediction", "pred", "completions", "text",
    ),
    "prompt": ("question", "problem", "query", "instruction", "input", "messages", "prompts"),
    "answer": (
        "gold", "ground_truth", "gold_answer", "reference_answer", "correct_answer", "expected_answer",
        "final_answer", "target", "reference", "label", "reward_model.ground_truth", "solution",
    ),
    "tests": ("test_cases", "unit_tests", "test_list", "test"),
    "task": ("task_type", "data_source"),
    "group": ("group_id", "prompt_id", "problem_id", "question_id", "uid"),
    "num_tokens": ("completion_tokens", "response_tokens", "num_generated_tokens", "token_count"),
    "truncated": ("is_truncated", "finish_reason", "stop_reason"),
}  # fmt: skip


class RowError(ValueError):
    """This row cannot be scored; others may be."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each field of a Rollout comes from."""

    sources: Mapping[str, str]  # our name -> theirs; `a.b` reaches into an object
    required: frozenset[str] = frozenset()  # ours that every row must have
    guessed: frozenset[str] = field(default=frozenset(), compare=False)  # theirs, found by ALIASES
    unseen: frozenset[str] = field(default=frozenset(), compare=False)  # ours that only later rows may have
    unread: frozenset[str] = field(
        default=frozenset(), compare=False
    )  # given, but nothing is known to read them
    ours: ClassVar[tuple[str, ...]] = tuple(ALIASES)

    def rollout(self, row: Mapping[str, Any]) -> Rollout:
        """The Rollout of a row; `fields` is the row itself. Raises RowError naming the column."""
        ours: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for name, source in self.sources.items():
            value = row[source] if source in row else _reach(row, source)
            if value is _ABSENT:
                if name in self.required:
                    raise RowError(f"field '{source}' is missing; the row has {_listed(row)}")
                continue
            convert = _CONVERT.get(name)
            if convert is None:
                extra[name] = value
                continue
            if isinstance(value, float) and math.isnan(value):  # how tables mark what is missing
                value = None
            try:
                ours[name] = convert(value)
            except (TypeError, ValueError, OverflowError) as error:
                raise RowError(f"field '{source}' cannot be the {name}: {error}") from error
        return Rollout(**ours, fields={**row, **extra} if extra else row)

    def __str__(self) -> str:
        seen = [pair for pair in self.sources.items() if pair[0] not in self.unseen]
        pairs = sorted(seen, key=lambda pair: pair[0] not in self.required)
        return ", ".join(ours if ours == theirs else f"{ours} = {theirs}" for ours, theirs in pairs)


def find_columns(
    rows: Sequence[Mapping[str, Any]],
    *,
    needed: Collection[str] = (),
    always: Collection[str] | None = None,
    given: Mapping[str, str] | None = None,
) -> Columns:
    """Decides which column is which: as `given`, else of the same name, else by ALIASES.

    Args:
        rows: the first rows; a column exists where one of them has it. A needed one that none has is looked
            for in each row under its own name: rows of another kind may follow.
        needed: ours that the reward looks at, beside the completion.
        always: those of `needed` that each row must have; None: all. Where code and maths are mixed in a
            file, each row has the columns of its own kind.
        given: ours -> theirs.

    Raises InputError, naming what exists and what is nearest, where a given column does not exist or one
    that each row must have cannot be found.
    """
    known = list(dict.fromkeys(name for row in rows for name in row))
    given = dict(given or {})
    for ours, theirs in given.items():
        if not _exists(rows, theirs):
            raise InputError(f"no column '{theirs}' to take the {ours} from{_nearest(theirs, known)}")
    sources = dict(given)
    guessed: set[str] = set()
    for ours, aliases in ALIASES.items():
        if ours in sources:
            continue
        found = next((name for name in (ours, *aliases) if _exists(rows, name)), None)
        if found == ours or (found is not None and _may_guess(ours, found, needed, sources)):
            sources[ours] = found
            guessed |= {found} - {ours}
    in_each = needed if always is None else always
    required = {"completion", *(name for name in in_each if name in ALIASES)}
    for ours in sorted(required - set(sources)):
        raise InputError(
            f"no column for the {ours}{_nearest(ours, known)}; say which it is with --map {ours}=COLUMN "
            f'(in Python: mapping={{"{ours}": "COLUMN"}})'
        )
    unseen = {name for name in needed if name in ALIASES} - set(sources)
    sources.update((name, name) for name in sorted(unseen))
    unread = given.keys() - {*ALIASES, *needed}
    return Columns(sources, frozenset(required), frozenset(guessed), frozenset(unseen), frozenset(unread))


def _may_guess(ours: str, theirs: str, needed: Collection[str], taken: Mapping[str, str]) -> bool:
    """A column serves one field; what only routes or judges is guessed only where the reward asks for it."""
    if theirs in taken.values():
        return False
    return ours not in ("answer", "tests", "task") or ours in needed


_ABSENT = object()


def _reach(row: Mapping[str, Any], path: str) -> Any:
    """What stands at `a.b.0` in nested objects and lists, or _ABSENT."""
    if "." not in path:
        return _ABSENT
    value: Any = row
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.lstrip("-").isdigit() and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return _ABSENT
    return value


def _exists(rows: Iterable[Mapping[str, Any]], name: str) -> bool:
    return any(name in row or _reach(row, name) is not _ABSENT for row in rows)


def _nearest(name: str, known: Sequence[str]) -> str:
    return f"{did_you_mean(name, known)}; the columns are {_listed(known)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(str(name) for name in names) or "none"


def text_of(value: object) -> str:
    """A completion as text: itself, or what the assistant says in chat messages. Raises TypeError."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return text_of(value.get("content") or "")
    if isinstance(value, Sequence) and all(isinstance(item, Mapping) for item in value) and value:
        if "role" not in value[0]:  # content in pieces, as of models that see images
            return "".join(piece.get("text") or "" for piece in value)
        return "\n".join(text_of(message) for message in value if message.get("role") == "assistant")
    raise TypeError(f"expected text or chat messages, found {_shown(value)}")


def _prompt(value: object) -> Any:
    if value is None:
        return ""
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        return value
    raise TypeError(f"expected text or chat messages, found {_shown(value)}")


def _reference(value: Any) -> str | None:
    value = _plain(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Decimal):  # of a Parquet file
        return f"{value:f}"
    raise TypeError(f"expected text or a number, found {_shown(value)}")


def _plain(value: Any) -> Any:
    """A number of numpy's, which a dataset may hold, as Python's own; 0.1 of 32 bits is 0.1, as it prints."""
    if getattr(value, "shape", None) != ():
        return value
    number = value.item()
    return float(str(value)) if isinstance(number, float) else number


def _label(value: object) -> str | None:
    return None if value is None else str(value)


def _group(value: object) -> str | int | None:
    if value is None or isinstance(value, str | int):
        return None if value == "" else value  # an empty cell of a table, as for a count
    return repr(value)


def _count(value: Any) -> int | None:
    value = _plain(value)
    if value is None or value == "":
        return None
    if isinstance(value, str):  # 7.0 is how tables write a count in a column where others are missing
        value = float(value) if "." in value else int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value) >= 0:
        return int(value)
    raise TypeError(f"expected a whole number, found {_shown(value)}")


def _truncated(value: object) -> bool | None:
    """True, False, or a finish reason, of which only "length" means truncated."""
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("", "none", "null"):
        return None
    return word in ("length", "max_tokens", "true", "1")


def _shown(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:59] + '…'}"


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "completion": text_of,
    "prompt": _prompt,
    "answer": _reference,
    "tests": lambda value: value,
    "task": _label,
    "group": _group,
    "num_tokens": _count,
    "truncated": _truncated,
}
