"""Options of a part are held against its annotations, whether text or Python made it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

import pytest

from proctor.verifiers.answers import Math
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.expression import reward
from proctor.verifiers.form import Format
from proctor.verifiers.length import Overlong, Target
from proctor.verifiers.nodes import Node
from proctor.verifiers.part import Bounds, Part


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda: Format("boxd"), "'shape' of format must be one of .*'boxed'"),  # was scored as a code block
        (lambda: Math(policy="stricct"), "'policy' of math must be one of"),  # was lenient
        (lambda: Overlong(10, 5, unit="word"), "'unit' of overlong must be one of"),  # counted characters
        (lambda: 0.5 * Math() + Target(tokens=5, form="maximum"), "'form' of target must be one of"),
        (lambda: Math() & ~Format("boxd"), "'shape' of format must be one of"),
    ],
)
def test_a_wrong_option_of_a_part_made_in_python_is_told(made: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        reward(made())  # type: ignore[operator]


@pytest.mark.parametrize(
    "node", [Format("xml", tags=["a", "b"]), Format("json", schema={"type": "object"}), Overlong(10.0, 5)]
)
def test_what_text_takes_is_taken_from_python(node: Node) -> None:
    (score,) = reward(node).score([Rollout("<a>1</a><b>2</b>", num_tokens=7)])
    assert score.total is not None


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Coloured(Part):
    colour: Colour = Colour.RED
    word: str = None  # type: ignore[assignment]  # people write that, and mean str | None
    words: list[str] = field(default_factory=list)
    name: ClassVar[str] = "coloured"

    @property
    def bounds(self) -> Bounds:
        return Bounds(0, 1)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(float(self.colour is Colour.BLUE), Status.MEASURED) for _ in rollouts]


def test_members_of_an_enum_and_defaults_are_taken() -> None:
    (score,) = reward(Coloured(Colour.BLUE, words=["a"])).score([Rollout("")])
    assert score.total == 1
    with pytest.raises(ValueError, match="'colour' of coloured must be one of"):
        reward(Coloured("green"))  # type: ignore[arg-type]
