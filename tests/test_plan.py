"""The batched plan: what it computes, and whom it calls for what."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

import proctor
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.expression import reward
from proctor.verifiers.part import Bounds, Part
from tests.scripted_parts import CALLS, Blue, Exam, Rank, Red, registered


@pytest.fixture(scope="module", autouse=True)
def _parts() -> Iterator[None]:
    with registered():
        yield


def rows(*values: float | str | None, **columns: Any) -> list[Rollout]:
    """Rollouts "0", "1" ... whose column `red` holds the values."""
    return [
        Rollout(str(place), answer="1", fields={"red": value, **columns})
        for place, value in enumerate(values)
    ]


def called(text: str) -> list[list[str]]:
    return [completions for part, completions in CALLS if part == text]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    CALLS.clear()


def test_a_rejected_rollout_never_reaches_the_dear_part() -> None:
    scores = reward("red and exam").score(rows(1, 0, 0.5, "error", exam=1))
    assert called("exam") == [["0", "2"]]
    assert [score.total for score in scores] == [1, 0, 1, None]
    assert [score.verdicts["exam"].status.value for score in scores] == [
        "measured",
        "skipped",
        "measured",
        "skipped",
    ]


def test_rows_that_share_a_part_share_a_call() -> None:
    batch = [replace(row, task=task) for row, task in zip(rows(1, 1, 1, 1), "abca", strict=True)]
    reward('red if task == "a" else 0.5 * red if task == "b" else -red').score(batch)
    assert called("red") == [["0", "1", "2", "3"]]


def test_a_part_in_several_places_waits_for_all_its_gates() -> None:
    # blue stands behind red, behind nothing on odd rows, and behind exam: still one call.
    batch = [replace(row, num_tokens=place) for place, row in enumerate(rows(1, 0, 0, exam=1, blue=1))]
    reward("(red and blue) + (blue if num_tokens == 1 else 0) + (exam > 2 and blue)").score(batch)
    assert called("blue") == [["0", "1"]]


def test_two_parts_behind_each_other_are_both_decided() -> None:
    batch = [replace(row, task=task) for row, task in zip(rows(1, 1, blue=1), "ab", strict=True)]
    scores = reward('(red and blue) if task == "a" else (blue and red)').score(batch)
    assert [score.total for score in scores] == [1, 1]


def test_a_group_part_sees_whole_groups_behind_a_gate() -> None:
    batch = [replace(row, group=group) for row, group in zip(rows(0, 1, 0, 0), "aabb", strict=True)]
    scores = reward("red and rank").score(batch)
    assert called("rank") == [["0", "1"]]  # group b is not needed at all
    assert [score.total for score in scores] == [0, 1, 0, 0]
    assert scores[0].verdicts["rank"].status is Status.SKIPPED  # looked at for the sake of the other


@dataclass(frozen=True)
class Faulty(Part):
    """Returns what the test wants."""

    returns: ClassVar[Any] = None
    name: ClassVar[str] = "faulty"

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return self.returns(rollouts)  # type: ignore[no-any-return]


GOOD = Verdict(1.0, Status.CORRECT)


@pytest.mark.parametrize(
    ("returns", "why"),
    [
        (lambda batch: [GOOD, GOOD, GOOD], "ValueError: 3 verdicts for 1 rollouts"),
        (lambda batch: [1.0] * len(batch), "TypeError: a Verdict was expected, got 1.0"),
        (lambda batch: None, "TypeError: object of type 'NoneType' has no len()"),
        (
            lambda batch: [Verdict(math.nan, Status.CORRECT)],
            "ValueError: a verdict's value must be finite, got nan",
        ),
        (
            lambda batch: [Verdict(-math.inf, Status.CORRECT)],
            "ValueError: a verdict's value must be finite, got -inf",
        ),
        (
            lambda batch: [Verdict(0.0, Status.UNAVAILABLE)],
            "ValueError: a verdict of status 'unavailable' must",
        ),
    ],
)
def test_a_part_that_returns_rubbish_blames_the_grader(
    monkeypatch: pytest.MonkeyPatch, returns: Any, why: str
) -> None:
    monkeypatch.setattr(Faulty, "returns", staticmethod(returns))
    for score in reward(Faulty() * 0.5 + 0.25).score(rows(1, 1)):
        assert score.total is None
        assert score.verdicts["faulty"].blame is proctor.Blame.GRADER
        assert score.verdicts["faulty"].evidence["exception"].startswith(why)


def test_a_row_that_breaks_a_whole_call_costs_only_itself() -> None:
    scores = reward("red").score(rows(1, "raise", 0.5))
    assert [score.total for score in scores] == [1, None, 0.5]
    assert scores[1].verdicts["red"].evidence == {"exception": "ZeroDivisionError: scripted"}


def test_a_group_that_breaks_a_whole_call_costs_only_itself() -> None:
    batch = [replace(row, group=group) for row, group in zip(rows(0, 0, 0, 0), "abab", strict=True)]
    batch[1] = replace(batch[1], fields={"rank": "raise"})
    scores = reward("rank").score(batch)
    assert [score.total for score in scores] == [0.5, None, 1.0, None]
    assert called("rank") == [["0", "1", "2", "3"], ["0", "2"], ["1", "3"]]


def test_a_missing_column_is_named_and_never_reaches_the_part() -> None:
    batch = [Rollout("0", fields={"exam": 1}), Rollout("1", answer="1", fields={"exam": 1})]
    scores = reward("exam").score(batch)
    assert called("exam") == [["1"]]
    assert scores[0].verdicts["exam"].status is Status.MISCONFIGURED
    assert scores[0].verdicts["exam"].evidence["column"] == "answer"


@pytest.mark.parametrize("source", ["level > 3", "level != 3", "level in (1, 2)"])
def test_nan_takes_no_branch(source: str) -> None:
    (score,) = reward(f"1 if {source} else 2").score([Rollout("", fields={"level": math.nan})])
    assert score.total is None
    assert score.verdicts['field("level")'].status is Status.MISCONFIGURED
    (score,) = reward("1 if level == None else 2").score([Rollout("", fields={"level": math.nan})])
    assert score.total == 1


@pytest.mark.parametrize(
    ("value", "source", "total"),
    [
        ("3", "level in (3, 4)", None),
        ("3", "level not in (3, 4)", None),
        (3, 'level in ("3", "4")', None),
        ("3", 'level in (3, "3")', 1),
        (3.0, "level in (3, 4)", 1),
        ("x", 'level not in ("3", None)', 1),
        ("3", "level in (None,)", 2),
    ],
)
def test_text_is_not_looked_for_among_numbers(value: object, source: str, total: float | None) -> None:
    (score,) = reward(f"1 if {source} else 2").score([Rollout("", fields={"level": value})])
    assert score.total == total
    if total is None:
        (verdict,) = score.verdicts.values()
        assert verdict.evidence["problem"] == "these cannot be compared"


def test_a_missing_field_has_a_verdict_of_its_own() -> None:
    (score,) = reward('red if task == "a" else blue').score([Rollout("x")])
    assert score.total is None
    assert str(score.verdicts["task"]) == (
        "none (misconfigured, blame configuration): problem column 'task' is missing; column task"
    )


@pytest.mark.parametrize(
    "source", ["1 / (red - 1)", "red * 1e300 * 1e300", "field('text') + red", "field('text') > 2"]
)
def test_arithmetic_without_a_result_says_so(source: str) -> None:
    (score,) = reward(source).score([Rollout("x", fields={"red": 1.0, "text": "12"})])
    assert score.total is None
    assert Status.MISCONFIGURED in {verdict.status for verdict in score.verdicts.values()}


def test_a_part_of_weight_zero_is_reported_and_cannot_take_the_reward_away() -> None:
    made = reward("blue + schedule(1, 0, steps=10) * red")
    (batch,) = rows("error", blue=0.5)
    assert made.score([batch], step=9)[0].total is None
    (score,) = made.score([batch], step=10)
    assert score.total == 0.5
    assert score.verdicts["red"].status is Status.GRADER_ERROR


@pytest.mark.parametrize(("step", "weight"), [(0, 0.2), (125, 0.15), (250, 0.1), (500, 0.0), (10_000, 0.0)])
def test_schedule(step: int, weight: float) -> None:
    (score,) = reward("schedule(0.2, 0.0, steps=500)").score([Rollout("x")], step=step)
    assert score.total == pytest.approx(weight, abs=1e-15)


@pytest.mark.parametrize(
    ("source", "red", "total"),
    [
        ("red and 5", 0.5, 5),  # above 0 passes
        ("red and 5", 0, 0),
        ("-red and 5", 1, 0),  # below 0 does not, and a closed gate pays 0
        ("red or 5", 0.5, 0.5),
        ("red or 5", 0, 5),
        ("red or -1", 0, -1),  # right is 1, wrong is -1
        ("not red", 0.5, 0),
        ("not red", 0, 1),
        ("red > 0.5", 1, 1),
        ("0 < red < 1", 0.5, 1),
        ("0 < red < 1", 1, 0),
        ("when(red, 3)", 1, 3),
        ("when(red, 3)", 0, 0),
        ("when(red, 3, 4)", 0, 4),
        ("clip(2 * red - 1, -0.5, 0.5)", 0, -0.5),
        ("min(red, 2, 0.5)", 1, 0.5),
        ("abs(red - 3)", 1, 2),
        ("2 * -red / 4", 1, -0.5),
        ("red if red == None else 7", 1, 7),
        ("red != None", "error", 0),
        ("None", 1, None),
        ("None and red", 1, None),
        ("red and None", 0, 0),
    ],
)
def test_values_by_hand(source: str, red: float | str, total: float | None) -> None:
    (score,) = reward(source).score(rows(red))
    assert score.total == total


def test_the_seed_reward_word_for_word() -> None:
    made = reward("exam + 0.2 * red - max(0, len - 2000) * 0.0001")
    right, long = Rollout("x", answer="1", num_tokens=2000, fields={"exam": 1, "red": 1}), 4000
    assert made.score([right])[0].total == pytest.approx(1.2)
    # 2,000 tokens too many cost 0.2
    assert made.score([replace(right, num_tokens=long)])[0].total == pytest.approx(1.0)


@pytest.mark.parametrize("source", ["blue == 1", "blue in (1, 2)", "blue < 2"])
def test_an_array_in_a_column_costs_its_own_row_only(source: str) -> None:
    array, number = Rollout("", fields={"blue": np.array([1, 1])}), Rollout("", fields={"blue": 1})
    lost, kept = reward(source.replace("blue", 'field("blue")')).score([array, number])
    assert (lost.total, kept.total) == (None, 1.0)
    assert [verdict.status for verdict in lost.verdicts.values()] == [Status.MISCONFIGURED]


def test_nothing_to_score() -> None:
    assert reward("red and rank").score([]) == []
    assert asyncio.run(reward("red").ascore([])) == []


async def test_ascore_leaves_the_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    # The part waits until the event loop has run something: a blocked loop would make it time out.
    loop = asyncio.get_running_loop()

    def verify(batch: Sequence[Rollout]) -> list[Verdict]:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(timeout=10)
        return [GOOD] * len(batch)

    monkeypatch.setattr(Faulty, "returns", staticmethod(verify))
    (score,) = await reward(Faulty()).ascore(rows(1))
    assert score.total == 1


def test_expressions_of_the_greatest_depth_are_scored() -> None:
    source = "red" + " + red" * 98
    assert reward(source).score(rows(1))[0].total == 99


def test_python_objects_score_like_text() -> None:
    batch = rows(0.5, 1, "error", blue=0.25)
    made = reward(Red() * 0.9 + (Blue() & Exam()) - Rank())
    assert made.score(batch) == reward("red * 0.9 + (blue and exam) - rank").score(batch)
