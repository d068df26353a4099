"""Gives inputs that came through JSON back the types that it has no word for, after the model of some asserts.

EvalPlus keeps inputs as JSON: tuples have become lists there, complex numbers text. The asserts that come with
them show what a function takes: `assert f([5, 6], (9, 10)) == ...` says that the second argument is a tuple.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from proctor.sandbox.exam.trees import walk


def sample_arguments(asserts: str, entry: str) -> list[list[Any]]:
    """Arguments of the calls of `entry` in a text, as far as they are literals. Raises SyntaxError."""
    samples = []
    for node in walk(ast.parse(asserts)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == entry:
            try:
                samples.append([ast.literal_eval(arg) for arg in node.args])
            except ValueError:
                continue
    return samples


def typed_inputs(inputs: Sequence[Sequence[Any]], samples: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The inputs, each argument typed after the first sample with as many of them."""
    by_count = {len(sample): sample for sample in reversed(samples)}
    typed = []
    for args in inputs:
        sample = by_count.get(len(args))
        typed.append(list(args) if sample is None else list(map(_like, sample, args)))
    return typed


def _like(sample: Any, value: Any, depth: int = 0) -> Any:
    if isinstance(sample, int | float | complex) and isinstance(value, str):
        return _number(value)
    if isinstance(sample, set | frozenset) and isinstance(value, list):
        return type(sample)(value)
    if not (isinstance(sample, list | tuple) and isinstance(value, list)):
        return value
    nested = next((item for item in sample if isinstance(item, list | tuple)), sample if depth else None)
    scalar = next((item for item in sample if not isinstance(item, list | tuple)), None)
    items = [_like(nested if isinstance(item, list) else scalar, item, depth + 1) for item in value]
    return tuple(items) if isinstance(sample, tuple) else items


def _number(text: str) -> Any:
    for kind in (float, complex):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
