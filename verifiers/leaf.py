"""One part on one batch: whatever the part does, each rollout gets a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.part import Part, grader_error

_PENDING = Verdict(None, Status.SKIPPED)


def run_part(part: Part, rollouts: Sequence[Rollout]) -> list[Verdict]:
    """The part's verdicts; where it fails as a whole, piece by piece, so that a bad row costs only itself."""
    try:
        return _checked(part.verify(rollouts), rollouts)
    except Exception as error:  # the leaf's border: a part's fault is a verdict, never a lost batch
        pieces = _pieces(part, rollouts)
        if len(pieces) < 2:
            return [grader_error(error)] * len(rollouts)
    verdicts = [_PENDING] * len(rollouts)
    for places in pieces:
        _put(verdicts, places, run_part(part, [rollouts[place] for place in places]))
    return verdicts


async def arun_part(part: Part, rollouts: Sequence[Rollout]) -> list[Verdict]:
    """`run_part` for the event loop."""
    try:
        return _checked(await part.averify(rollouts), rollouts)
    except Exception as error:  # the leaf's border, as above
        pieces = _pieces(part, rollouts)
        if len(pieces) < 2:
            return [grader_error(error)] * len(rollouts)
    verdicts = [_PENDING] * len(rollouts)
    for places in pieces:
        _put(verdicts, places, await arun_part(part, [rollouts[place] for place in places]))
    return verdicts


def _checked(verdicts: list[Verdict], rollouts: Sequence[Rollout]) -> list[Verdict]:
    if len(verdicts) != len(rollouts):
        raise ValueError(f"{len(verdicts)} verdicts for {len(rollouts)} rollouts")
    for verdict in verdicts:
        if not isinstance(verdict, Verdict):
            raise TypeError(f"a Verdict was expected, got {verdict!r}")
    return verdicts


def _pieces(part: Part, rollouts: Sequence[Rollout]) -> list[list[int]]:
    """The smallest lots that the part can judge apart: single rollouts, or groups."""
    return groups_of(rollouts) if part.by_group else [[place] for place in range(len(rollouts))]


def groups_of(rollouts: Sequence[Rollout]) -> list[list[int]]:
    """Places of the rollouts of each prompt, prompts in order of appearance."""
    groups: dict[object, list[int]] = {}
    for place, rollout in enumerate(rollouts):
        groups.setdefault(rollout.group_key, []).append(place)
    return list(groups.values())


def _put(verdicts: list[Verdict], places: Sequence[int], found: Sequence[Verdict]) -> None:
    for place, verdict in zip(places, found, strict=True):
        verdicts[place] = verdict
