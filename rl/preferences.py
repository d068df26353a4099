"""Preference pairs as tokens: read from files, a row that cannot be used reported and left out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proctor.rl.prompts import Skipped
from proctor.rl.reward_model import RewardModel
from proctor.verifiers.files.rows import Columns, RowError, text_of
from proctor.verifiers.files.sources import BadRow, InputError, Row, Source

_PROMPT = Columns({"completion": "completion", "prompt": "prompt"})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to a prompt as tokens, the better one first."""

    chosen: tuple[int, ...]
    rejected: tuple[int, ...]
    margin: float = 0.0  # how much better, in score


def read_pairs(paths: Sequence[str], model: RewardModel) -> tuple[list[Pair], list[Skipped]]:
    """All pairs in order, and the rows that could not be used. Raises InputError where none could."""
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    for path, row in ((name, row) for name in paths for row in Source(name)):
        try:
            pairs.append(_pair(row, model))
        except RowError as error:
            skipped.append(Skipped(path, row.number, str(error)))
    if not pairs:
        raise InputError(f"no usable pair in {', '.join(paths)}: {skipped[0] if skipped else 'no rows'}")
    return pairs, skipped


def fingerprint(pairs: Sequence[Pair]) -> str:
    """Of pairs in order: a run goes on only with those it began with."""
    found = hashlib.sha256()
    for pair in pairs:
        found.update(repr((pair.chosen, pair.rejected, pair.margin)).encode())
    return found.hexdigest()[:16]


def _pair(given: Row | BadRow, model: RewardModel) -> Pair:
    if isinstance(given, BadRow):
        raise RowError(given.reason)
    row = given.data
    missing = [name for name in ("prompt", "chosen", "rejected") if not row.get(name)]
    if missing:
        raise RowError(f"no {' and no '.join(missing)}; a pair has prompt, chosen and rejected")
    prompt = _PROMPT.rollout({"completion": "", **row}).prompt
    chosen, rejected = (model.token_ids(prompt, _text(row[name])) for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise RowError("chosen and rejected are the same")
    return Pair(chosen, rejected, _margin(row.get("margin")))


def _margin(given: Any) -> float:
    """A number, or text that is one; 0 where there is none."""
    try:
        margin = float(0.0 if given is None else given)
    except (TypeError, ValueError) as error:
        raise RowError(f"margin is no number: {given!r}") from error
    if not math.isfinite(margin):
        raise RowError(f"margin is no finite number: {given!r}")
    return margin


def _text(answer: Any) -> str:
    """An answer as text, or as messages, of which the last is the answer."""
    try:
        text = text_of(answer[-1] if isinstance(answer, list) and answer else answer)
    except TypeError as error:
        raise RowError("chosen and rejected are text, or messages that end with the answer") from error
    if not text:
        raise RowError("chosen and rejected must not be empty")
    return text
