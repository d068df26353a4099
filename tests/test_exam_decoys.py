"""Values among which a class's `==` with a plain value is asked: nobody can tell which of them was meant."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proctor.sandbox.exam import decoys
from proctor.verifiers.core import Rollout
from proctor.verifiers.programs.part import Code

VALUES = st.recursive(
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=6,
)
TESTS = """
def test_one():
    assert Money(5) == 5
def test_two():
    assert Money(7) != 5
def test_three():
    assert Tag("abc") == "abc"
def test_four():
    assert Bag([1, 2]) == [1, 2]
def test_five():
    assert Bag([]) == []
"""
CLASS = """
class {name}:
    def __init__(self, value): self.value = value
    def __eq__(self, other): {body}
"""


def program(body: str) -> str:
    return "".join(CLASS.format(name=name, body=body) for name in ("Money", "Tag", "Bag"))


@given(VALUES)
def test_decoys_are_of_the_values_kind_and_unequal_to_it(value: Any) -> None:
    found = decoys._values_like(value)
    assert found
    assert all(type(each) is type(value) and each != value for each in found)


@given(st.text(min_size=1))
def test_a_text_and_its_decoys_are_eight_that_make_each_other(text: str) -> None:
    found = [text, *decoys._texts_like(text)]
    assert len(set(found)) == 8
    assert {len(each) for each in found} == {len(text)}


def rewards(*bodies: str) -> list[float | None]:
    part = Code(extraction="raw", credit="partial")
    return [
        verdict.value for verdict in part.verify([Rollout(program(body), tests=TESTS) for body in bodies])
    ]


def test_a_class_that_compares_is_paid_and_one_that_agrees_is_not() -> None:
    honest, agreeing, refusing = rewards(
        "return self.value == getattr(other, 'value', other)", "return True", "return False"
    )
    assert honest == 1.0
    assert agreeing <= 0.2  # Money(7) != 5 holds for both
    assert refusing <= 0.2
