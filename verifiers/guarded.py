"""Checks that hostile text can stretch, run over many texts in workers that are killed at their deadline.

A user's regular expression may backtrack for hours on the right text; so may one in a JSON schema, which can
also compare every pair of items. Many texts share a task, which makes one a matter of microseconds; where a
task fails, its texts are run again one by one, so that a bomb costs its own row and no other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from proctor.sandbox.workers import TaskResult, shared_pool

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

TEXTS_PER_TASK = 64
DEADLINE_S = 2.0  # of a task; an honest one takes milliseconds
_MAX_MESSAGE = 200


def check_texts(function: str, rule: str, texts: Sequence[str]) -> list[TaskResult]:
    """`function(rule, texts)` in the workers: one result per text, in order.

    Args:
        function: "package.module:name"; takes the rule and a list of texts, returns a list of plain data.
        rule: what the texts are checked against.
        texts: what is checked.
    """
    lots = [texts[start : start + TEXTS_PER_TASK] for start in range(0, len(texts), TEXTS_PER_TASK)]
    results: list[TaskResult] = []
    done = shared_pool().map(function, [(rule, list(lot)) for lot in lots], timeout_s=DEADLINE_S)
    for lot, result in zip(lots, done, strict=True):
        if result.failure is None:
            results += [TaskResult(value, seconds=result.seconds / len(lot)) for value in result.value]
        elif len(lot) == 1:
            results.append(result)
        else:
            alone = shared_pool().map(function, [(rule, [text]) for text in lot], timeout_s=DEADLINE_S)
            results += [
                each if each.failure else TaskResult(each.value[0], seconds=each.seconds) for each in alone
            ]
    return results


def match_all(pattern: str, texts: Sequence[str]) -> list[bool]:
    """Whether each text, white space around it left out, is matched from its first character to its last."""
    compiled = re.compile(pattern)
    return [compiled.fullmatch(text.strip()) is not None for text in texts]


def validate_all(schema: str, texts: Sequence[str]) -> list[str | None]:
    """What is wrong with each JSON text by the schema (JSON too); None where nothing is."""
    return [fault_by_schema(schema, json.loads(text)) for text in texts]


def fault_by_schema(schema: str, value: Any) -> str | None:
    """What is wrong with a value by a JSON schema; the first fault that is found."""
    try:
        error = next(validator_of(schema).iter_errors(value), None)
    except OverflowError:  # a whole number beyond every float, where the schema has a fraction
        return "a number too large to be compared"
    return f"{error.json_path}: {error.message}"[:_MAX_MESSAGE] if error else None


@lru_cache(maxsize=64)
def validator_of(schema: str) -> Validator:
    """The validator of a schema, of the draft that it names, else 2020-12.

    References outside of the schema are not followed: the text of a schema must not reach the network.
    Raises ValueError where it is no schema.
    """
    from jsonschema import Draft202012Validator, SchemaError, validators
    from referencing import Registry

    data = json.loads(schema)
    kind = validators.validator_for(data, default=Draft202012Validator)
    try:
        kind.check_schema(data)
    except SchemaError as error:
        raise ValueError(f"no JSON schema: {error.json_path}: {error.message}"[:_MAX_MESSAGE]) from error
    return kind(data, registry=Registry())


# Without these, validation takes time in proportion to the schema times the value.
_STRETCHABLE = re.compile(
    r'"(?:pattern|patternProperties|uniqueItems|\$ref|\$dynamicRef|\$recursiveRef)"\s*:'
)
_MAX_QUICK = 50_000


def is_quick(schema: str, text: str) -> bool:
    """Whether the text can be checked right here, without a worker."""
    return len(text) <= _MAX_QUICK and not _STRETCHABLE.search(schema)
