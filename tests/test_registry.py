"""The table of parts, and options checked against their annotations."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal

import pytest

from proctor.verifiers import registry
from proctor.verifiers.core import Rollout, Verdict
from proctor.verifiers.expression import ExpressionError, reward
from proctor.verifiers.part import Bounds, Part
from proctor.verifiers.registry import find, parts, register


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    before = parts()
    yield
    registry._PARTS.clear()
    registry._PARTS.update(before)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Base(Part):
    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        raise NotImplementedError


@dataclass(frozen=True)
class Options(Base):
    number: float = 1.0
    whole: int = 1
    maybe: int | None = None
    choice: Literal["a", "b"] | None = None
    colour: Colour = Colour.RED
    names: tuple[str, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    table: Mapping[str, Any] | str | None = None
    yes: bool = False

    name: ClassVar[str] = "options"


@pytest.mark.parametrize(
    ("source", "option", "value"),
    [
        ("options(2)", "number", 2.0),
        ("options(number=-0.5)", "number", -0.5),
        ("options(whole=4e3)", "whole", 4000),
        ("options(maybe=None)", "maybe", None),
        ("options(maybe=3)", "maybe", 3),
        ("options(choice='b')", "choice", "b"),
        ("options(colour='blue')", "colour", Colour.BLUE),
        ("options(names=['x', 'y'])", "names", ("x", "y")),
        ("options(names=('x',))", "names", ("x",)),
        ("options(pair=(1, 2))", "pair", (1.0, 2.0)),
        ("options(table={'a': [1]})", "table", {"a": [1]}),
        ("options(table='text')", "table", "text"),
        ("options(yes=True)", "yes", True),
    ],
)
def test_options_are_read_and_printed(source: str, option: str, value: Any) -> None:
    register(Options)
    made = reward(source)
    assert getattr(made.node, option) == value
    assert type(getattr(made.node, option)) is type(value)
    assert reward(str(made)) == made


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("options(number='2')", "'number' of options must be a number, got \"2\""),
        ("options(whole=2.5)", "'whole' of options must be a whole number, got 2.5"),
        ("options(whole=True)", "'whole' of options must be a whole number, got True"),
        ("options(yes=1)", "'yes' of options must be True or False, got 1"),
        ("options(maybe='x')", "'maybe' of options must be a whole number or None"),
        ("options(choice='c')", '\'choice\' of options must be one of "a", "b" or None'),
        ("options(colour='blu')", 'must be one of "red", "blue", got "blu" (did you mean \'blue\'?)'),
        ("options(names='x')", "'names' of options must be a list, each text in quotes"),
        ("options(names=[1])", "'names' of options must be a list, each text in quotes"),
        ("options(pair=[1])", "'pair' of options must be (a number, a number), got [1]"),
        ("options(table=1)", "'table' of options must be a dict or text in quotes or None"),
        ("options(tabel={})", "has no option 'tabel' (did you mean 'table'?)"),
    ],
)
def test_options_that_do_not_fit(source: str, wanted: str) -> None:
    register(Options)
    with pytest.raises(ExpressionError) as caught:
        reward(source)
    assert wanted in caught.value.problem
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_unknown_part_answers_with_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"unknown part 'fromat' \(did you mean 'format'\?\)"):
        find("fromat")
    assert find("format") is parts()["format"]


@pytest.mark.parametrize("name", ["two words", "clip", "answer", "9lives"])
def test_names_that_the_language_needs_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
        register(dataclass(frozen=True)(type("Named", (Base,), {"name": name})))


def test_a_name_is_given_once() -> None:
    @dataclass(frozen=True)
    class Other(Base):
        name: ClassVar[str] = "math"

    with pytest.raises(ValueError, match="'math' is already defined by proctor"):
        register(Other)


def test_a_name_that_ships_is_taken_before_anything_was_scored() -> None:
    script = """
import proctor
try:
    @proctor.part
    def steps(rollout): return 1.0
except ValueError as error:
    print(error)
print(proctor.reward("steps"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "reward part 'steps' is already defined by proctor.verifiers.steps.part", "steps"
    ]  # fmt: skip


def test_a_part_is_a_frozen_dataclass() -> None:
    class Plain(Base):
        name: ClassVar[str] = "plain"

    @dataclass
    class Thawed(Base):
        name: ClassVar[str] = "thawed"

    for part in (Plain, Thawed):
        with pytest.raises(TypeError, match="write @dataclass"):
            register(part)
