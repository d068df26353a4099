"""Parts on length, against values worked out by hand and against what TRL and OpenRLHF compute."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.expression import reward
from proctor.verifiers.length import Cosine, Kimi, Overlong, Target
from proctor.verifiers.part import Bounds, Part
from proctor.verifiers.registry import find
from proctor.verifiers.words import words

# The cases of kind `overlong` of rl_reference.json: numbers from TRL 1.16.0 and OpenRLHF 0.11.2 (Apache-2.0).
REFERENCE = json.loads((Path(__file__).parent / "data" / "overlong.json").read_text("utf-8"))
LENGTHS = st.integers(0, 20_000)


def of_length(tokens: int | None, **columns: object) -> Rollout:
    return Rollout("two words", num_tokens=tokens, **columns)  # type: ignore[arg-type]


def value(part: Part, tokens: int | None, **columns: object) -> float | None:
    return verdict(part, tokens, **columns).value


def verdict(part: Part, tokens: int | None, **columns: object) -> Verdict:
    return part.verify([of_length(tokens, **columns)])[0]


@pytest.mark.parametrize("case", REFERENCE, ids=[case["id"] for case in REFERENCE])
def test_overlong_is_what_trl_and_openrlhf_compute(case: dict[str, dict[str, list[float]]]) -> None:
    settings = case["params"]
    part = Overlong(settings["max_len"], settings["cache"])  # type: ignore[arg-type]
    factor = settings.get("factor", 1.0)
    ours = [-factor * (value(part, int(length)) or 0.0) for length in case["inputs"]["lengths"]]
    assert ours == pytest.approx(case["expected"]["penalty"], abs=1e-11, rel=1e-9)


def test_overlong_at_its_corners() -> None:
    part = Overlong(max_tokens=4096, buffer=512)
    # 4096 - 512 = 3584; (3840 - 3584) / 512 = 0.5
    assert [value(part, n) for n in (0, 3584, 3840, 4096, 9999)] == [0, 0, 0.5, 1, 1]
    assert verdict(part, 3840).status is Status.MEASURED
    assert verdict(part, 3840).evidence == {"tokens": 3840}


def test_cosine_by_hand() -> None:
    part = Cosine(max_tokens=1000)  # short=2, long=1
    # 1 + (2 - 1) * (1 + cos(pi * t)) / 2: cos 0 = 1, cos pi/3 = 1/2, cos pi/2 = 0, cos pi = -1
    assert value(part, 0) == 2
    assert value(part, 500) == pytest.approx(1.5, abs=1e-12)
    assert value(Cosine(max_tokens=900), 300) == pytest.approx(1.75, abs=1e-12)
    assert [value(part, n) for n in (1000, 1500, 2000)] == [1, 1, 1]  # clamped: at 2000 the cosine is 2 again


def test_cosine_of_a_wrong_answer_and_past_the_limit() -> None:
    part = Cosine(max_tokens=1000, short=-10, long=0, exceed=-10)
    # 0 + (-10 - 0) * (1 + cos(pi / 2)) / 2 = -5
    assert value(part, 500) == pytest.approx(-5, abs=1e-12)
    assert [value(part, n) for n in (0, 1000, 5000)] == [-10, -10, -10]
    assert part.bounds == Bounds(-10, 0)


def test_kimi_compares_within_the_group_only() -> None:
    # Group a: lengths 100, 200, 300: 0.5 - 0/200, 0.5 - 100/200, 0.5 - 200/200. Group b is equally long.
    lengths = [(100, "a"), (5000, "b"), (200, "a"), (5000, "b"), (300, "a"), (7, "c")]
    rollouts = [of_length(tokens, group=group) for tokens, group in lengths]
    assert [verdict.value for verdict in Kimi().verify(rollouts)] == [0.5, 0, 0, 0, -0.5, 0]
    assert Kimi.by_group


def test_kimi_leaves_out_what_has_no_length() -> None:
    rollouts = [of_length(tokens, group="a") for tokens in (None, 10, 20)]
    verdicts = Kimi().verify(rollouts)
    assert [verdict.value for verdict in verdicts] == [None, 0.5, -0.5]
    assert verdicts[0].status is Status.MISCONFIGURED


def test_the_expressions_of_the_docstrings_compose() -> None:
    rollouts = [of_length(tokens, answer="4", group="a", truncated=right) for tokens, right in _ROWS]
    # Kimi: a right answer gets 0.5 - x, a wrong one at most 0; `truncated` stands in for the verdict here.
    kimi = reward("kimi if truncated else min(0, kimi)").score(rollouts)
    assert [score.total for score in kimi] == [0.5, 0, -0.5]
    cosine = reward("cosine(300) if truncated else cosine(300, short=-10, long=0)").score(rollouts)
    # t = 1/3, 2/3, 1: 1 + 0.75; -10 * 0.25; 0
    assert [score.total for score in cosine] == pytest.approx([1.75, -2.5, 0])
    overlong = reward("1 - overlong(max_tokens=300, buffer=200)").score(rollouts)
    assert [score.total for score in overlong] == pytest.approx([1, 0.5, 0])


_ROWS = [(100, True), (200, False), (300, False)]


def test_target_by_hand() -> None:
    # |1024 - 24| * 0.0003 = 0.3; 0.0003 * (1024 - 2024) + 0.5 = 0.2
    assert value(Target(1024), 24) == pytest.approx(0.3, abs=1e-12)
    assert value(Target(1024), 2024) == pytest.approx(0.3, abs=1e-12)
    budget = Target(1024, form="max")
    assert value(budget, 1024) == 0.5
    assert value(budget, 2024) == pytest.approx(0.2, abs=1e-12)
    assert [value(budget, n) for n in (9999, 0)] == [0, pytest.approx(0.8072, abs=1e-12)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(1000, 0.3), ("1000", 0.3), (None, None), ("many", None), (-5, None), ("nan", None)],
)
def test_target_of_the_row_itself(given: object, expected: float | None) -> None:
    found = verdict(Target(), 0, fields={"target_tokens": given})
    assert found.value == (pytest.approx(expected) if expected else None)
    assert found.status is (Status.MEASURED if expected else Status.MISCONFIGURED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("one two", 2),
        ("a snake_case, don't: 3.5", 4),
        ("café au lait", 3),
        ("小明有3个苹果", 7),
        ("x ＝ 3。", 2),
        ("答案是 42 apples", 5),
    ],
)
def test_words(text: str, expected: int) -> None:
    assert len(words(text)) == expected


PARTS = [Overlong(100, 20), Cosine(100), Kimi(), Target(100)]


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_without_a_token_count_there_is_no_reward(part: Part) -> None:
    assert part.columns == ("num_tokens",)
    found = verdict(part, None)
    assert (found.value, found.status) == (None, Status.MISCONFIGURED)
    assert 'unit="words"' in found.evidence["problem"]


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_is_registered_and_pickles(part: Part) -> None:
    assert find(part.name) is type(part)
    assert pickle.loads(pickle.dumps(part)) == part


def test_words_need_no_column() -> None:
    part = Overlong(3, 2, unit="words")
    assert part.columns == ()
    assert part.verify([Rollout("one two")])[0].value == 0.5  # (2 - (3 - 2)) / 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Overlong(100, 0), "0 < buffer <= max_tokens"),
        (lambda: Overlong(100, 101), "0 < buffer <= max_tokens"),
        (lambda: Cosine(0), "max_tokens must be positive"),
        (lambda: Cosine(10, short=math.inf), "must be finite"),
        (lambda: Target(0), "tokens must be positive"),
        (lambda: Target(scale=0), "scale must be positive"),
        (lambda: Target(offset=2), "offset must be from 0 to 1"),
    ],
)
def test_options_that_make_no_sense(make: type[Part], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@given(LENGTHS, st.integers(1, 9000), st.floats(-20, 20), st.floats(-20, 20), st.none() | st.floats(-20, 20))
def test_cosine_stays_within_its_bounds(
    n: int, most: int, short: float, long: float, exceed: float | None
) -> None:
    part = Cosine(most, short, long, exceed)
    found = value(part, n)
    assert found is not None
    assert part.bounds.low <= found <= part.bounds.high


@given(st.lists(st.tuples(LENGTHS, st.integers(0, 3)), max_size=12))
def test_kimi_stays_within_its_bounds(rows: list[tuple[int, int]]) -> None:
    verdicts = Kimi().verify([of_length(tokens, group=group) for tokens, group in rows])
    values = [found.value for found in verdicts]
    assert all(found is not None and -0.5 <= found <= 0.5 for found in values)
    for group in {group for _, group in rows}:  # the ends of every group cancel
        own = [found for found, (_, other) in zip(values, rows, strict=True) if other == group]
        assert max(own) + min(own) == pytest.approx(0, abs=1e-12)  # type: ignore[type-var, operator]


@given(LENGTHS, st.integers(1, 9000), st.sampled_from(["exact", "max"]))
def test_target_stays_within_its_bounds(n: int, wanted: int, form: str) -> None:
    part = Target(wanted, form)  # type: ignore[arg-type]
    found = value(part, n)
    assert found is not None
    assert part.bounds.low <= found <= part.bounds.high


def test_a_mistake_in_an_option_names_its_part_once() -> None:
    with pytest.raises(ValueError, match="column 1: cosine: max_tokens must be positive"):
        reward("cosine(max_tokens=0)")
