"""Python functions as reward parts."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import pytest

from proctor.verifiers import registry
from proctor.verifiers.core import Blame, Rollout, Status, Verdict
from proctor.verifiers.custom import part
from proctor.verifiers.expression import ExpressionError, reward
from proctor.verifiers.part import Bounds, Cost

THREE = [Rollout(completion, prompt=completion[0]) for completion in ("please", "pass", "no")]


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    before = registry.parts()
    yield
    registry._PARTS.clear()
    registry._PARTS.update(before)


def totals(expression: Any, batch: Sequence[Rollout] = THREE) -> list[float | None]:
    made = reward(expression)
    scores = made.score(batch)
    again = asyncio.run(made.ascore(batch))
    assert [score.total for score in again] == [score.total for score in scores]
    return [score.total for score in scores]


def first(expression: Any) -> Verdict:
    (score,) = reward(expression).score(THREE[:1])
    (verdict,) = score.verdicts.values()
    return verdict


def test_a_function_of_one_rollout() -> None:
    @part(bounds=(0, 1))
    def polite(rollout: Rollout, word: str = "please") -> float:
        """How polite."""
        return float(word in rollout.completion)

    assert totals("2 * polite") == [2, 0, 0]
    assert totals(polite(word="pass")) == [0, 1, 0]
    assert reward('polite("pass")') == reward(polite(word="pass"))
    assert polite.__doc__ == "How polite."


def test_a_function_of_a_batch() -> None:
    @part(per="batch")
    def shortest(rollouts: list[Rollout]) -> list[bool]:
        least = min(len(rollout.completion) for rollout in rollouts)
        return [len(rollout.completion) == least for rollout in rollouts]

    assert totals("shortest") == [0, 0, 1]


def test_a_function_of_a_group() -> None:
    @part(per="group", bounds=(0, 1))
    def longest(rollouts: list[Rollout]) -> Iterator[float]:
        most = max(len(rollout.completion) for rollout in rollouts)
        return (float(len(rollout.completion) == most) for rollout in rollouts)

    assert totals("longest") == [1, 0, 1]
    assert reward("longest").by_group


def test_async_functions_run_side_by_side() -> None:
    waiting: list[str] = []

    @part
    async def together(rollout: Rollout) -> int:
        waiting.append(rollout.completion)
        while len(waiting) % 3:  # goes on only when all three wait
            await asyncio.sleep(0)
        return len(rollout.completion)

    assert totals("together") == [6, 4, 2]


@pytest.mark.parametrize("per", ["batch", "group"])
def test_async_functions_of_many(per: Any) -> None:
    @part(per=per)
    async def judged(rollouts: list[Rollout]) -> list[int]:
        await asyncio.sleep(0)
        return [len(rollouts)] * len(rollouts)

    assert totals("judged") == ([3, 3, 3] if per == "batch" else [2, 2, 1])


async def test_score_runs_async_functions_inside_a_running_loop() -> None:
    @part
    async def inside(rollout: Rollout) -> float:
        await asyncio.sleep(0)
        return 0.5

    assert [score.total for score in reward("inside").score(THREE)] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("returned", "value", "status"),
    [
        (0.5, 0.5, Status.MEASURED),
        (True, 1.0, Status.MEASURED),
        (None, None, Status.ABSTAINED),
        (Verdict(0.0, Status.INCORRECT, {"why": "no"}), 0.0, Status.INCORRECT),
        (Verdict(None, Status.BAD_REFERENCE), None, Status.BAD_REFERENCE),
        ("0.5", None, Status.GRADER_ERROR),
        (float("nan"), None, Status.GRADER_ERROR),
        (1.5, None, Status.GRADER_ERROR),
        (Verdict(-1.0, Status.MEASURED), None, Status.GRADER_ERROR),
        ([0.5], None, Status.GRADER_ERROR),
    ],
)
def test_what_a_function_may_return(returned: Any, value: float | None, status: Status) -> None:
    @part(bounds=(0, 1))
    def returns(rollout: Rollout) -> Any:
        return returned

    found = first("returns")
    assert (found.value, found.status) == (value, status)


def test_the_message_for_what_it_may_not() -> None:
    @part(bounds=(0, 1))
    def returns(rollout: Rollout) -> Any:
        return 2 if rollout.completion == "please" else "yes"

    verdicts = [score.verdicts["returns"] for score in reward("returns").score(THREE)]
    assert verdicts[0].evidence == {"exception": "ValueError: returns returned 2, outside its bounds (0, 1)"}
    assert verdicts[1].evidence == {
        "exception": "TypeError: returns returned 'yes'; a number, a Verdict or None is wanted"
    }


def test_an_exception_blames_the_grader_for_its_own_rollout() -> None:
    @part
    def picky(rollout: Rollout) -> float:
        if rollout.completion == "pass":
            raise KeyError("pass")
        return 1.0

    assert totals("picky") == [1, None, 1]
    assert reward("picky").score(THREE)[1].verdicts["picky"].blame is Blame.GRADER


@pytest.mark.parametrize("is_async", [False, True])
def test_a_batch_of_the_wrong_length_blames_the_grader(is_async: bool) -> None:
    def short(rollouts: list[Rollout]) -> list[float]:
        return [1.0] * 2

    async def ashort(rollouts: list[Rollout]) -> list[float]:
        return [1.0] * 2

    made = part(per="batch")(ashort if is_async else short)()
    assert totals(made) == [None, None, None]
    assert "returned 2 values for 1" in str(first(made))


def test_a_group_that_fails_costs_only_itself() -> None:
    @part(per="group")
    def grouped(rollouts: list[Rollout]) -> list[float]:
        if rollouts[0].completion == "no":
            raise RuntimeError("no")
        return [1.0] * len(rollouts)

    assert totals("grouped") == [1, 1, None]


def test_columns_bounds_cost_and_exam_are_declared() -> None:
    @part(bounds=(-1, 1), columns=("difficulty",), cost=Cost.SECONDS, exam=True)
    def judge(rollout: Rollout) -> float:
        return float(rollout.fields["difficulty"])

    assert reward("judge").bounds == Bounds(-1.0, 1.0)
    assert reward("judge").columns == ("difficulty",)
    assert [part["verifies"] for part in reward("judge").explain()["parts"]] == [True]
    assert totals("judge", [Rollout("a", fields={"difficulty": 1}), Rollout("b")]) == [1, None]
    (score,) = reward("judge").score([Rollout("b")])
    assert score.verdicts["judge"].blame is Blame.CONFIGURATION


def test_options_are_checked_like_any_part_s() -> None:
    @part
    def near(rollout: Rollout, to: float, how: Literal["log", "linear"] = "log") -> float:
        return to

    assert totals('near(2, how="linear")') == [2, 2, 2]
    for source in ("near", 'near("2")', 'near(2, how="square")', "near(2, of=3)"):
        with pytest.raises(ExpressionError):
            reward(source)


def test_functions_that_cannot_be_parts() -> None:
    with pytest.raises(TypeError, match="needs a parameter for the rollout"):
        part(lambda: 1)
    with pytest.raises(TypeError, match="options have names"):

        @part
        def stars(rollout: Rollout, *more: float) -> float:
            return 1.0

    with pytest.raises(TypeError, match="an option cannot be called 'bounds'"):

        @part
        def clash(rollout: Rollout, bounds: float = 1.0) -> float:
            return 1.0

    with pytest.raises(ValueError, match="a reward part cannot be called 'clip'"):

        @part
        def clip(rollout: Rollout) -> float:
            return 1.0

    with pytest.raises(ValueError, match="reward part 'len' is already defined by proctor"):

        @part
        def len(rollout: Rollout) -> float:  # noqa: A001
            return 1.0


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"per": "rolout"}, "per is one of rollout, batch, group, got 'rolout'"),
        ({"bounds": (1, 0)}, "low <= high, got"),
        ({"bounds": (0, float("nan"))}, "low <= high, got"),
        ({"columns": "level"}, r'write columns=\("level",\)'),
    ],
)
def test_what_is_declared_wrongly_is_told_at_once(given: Any, problem: str) -> None:
    with pytest.raises((ValueError, TypeError), match=problem):
        part(**given)


def test_a_default_that_can_be_changed_is_told_by_its_name() -> None:
    with pytest.raises(TypeError, match="listed: the default of 'words' can be changed"):

        @part
        def listed(rollout: Rollout, words: list[str] = ["a"]) -> float:  # noqa: B006
            return 1.0


@pytest.mark.parametrize("returned", [{0: 0.5, 1: 0.7, 2: 0.9}, {0.5, 0.7, 0.9}, "011"])
def test_what_has_no_order_is_no_list_of_values(returned: Any) -> None:
    @part(per="batch")
    def unordered(rollouts: Sequence[Rollout]) -> Any:
        return returned

    assert totals("unordered") == [None, None, None]


def test_a_cell_that_is_run_again_replaces_its_part() -> None:
    def define(value: float) -> None:
        @part
        def cell(rollout: Rollout) -> float:
            return value

    define(1.0)
    define(2.0)
    assert totals("cell") == [2, 2, 2]


@part(bounds=(0, 1))
def constant(rollout: Rollout, value: float = 1.0) -> float:
    return value


def test_parts_of_functions_pickle() -> None:
    made = reward(constant(value=0.5) * 2)
    assert pickle.loads(pickle.dumps(made)) == made
    assert pickle.loads(pickle.dumps(made)).score(THREE)[0].total == 1
