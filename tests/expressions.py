"""Random expressions and rollouts for property tests, over the parts of `scripted_parts`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from proctor.verifiers import nodes
from proctor.verifiers.core import Rollout
from proctor.verifiers.nodes import Node
from tests.scripted_parts import Blue, Exam, Rank, Red, Shape

# A busy machine is no failure of the code.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NUMBERS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 1e-3, 1e300])
SCALES = st.sampled_from([1.0, -1.0, 0.5, 2.0])
PARTS = st.one_of(
    st.builds(Red, SCALES),
    st.builds(Blue, SCALES),
    st.builds(Exam, SCALES),
    st.just(Rank()),
    st.just(Shape("boxed")),
    st.just(Shape("json", schema={"enum": ["a", 1, None, {"b": True}]})),
)
SCHEDULES = st.builds(nodes.Schedule, SCALES, st.sampled_from([0.0, 1.5]), st.integers(1, 4))
COLUMNS = st.sampled_from(["level", "num_tokens", "truncated", "odd name"]).map(nodes.Field)
LEAVES = st.one_of(
    PARTS, PARTS, PARTS, NUMBERS.map(nodes.Number), SCHEDULES, COLUMNS, st.just(nodes.Constant(None))
)
TEXTS = st.sampled_from(["code", "math", "q\"uo'te", "\\d\n", "日本"])
EQUALITY, MEMBERSHIP = st.sampled_from(["==", "!="]), st.sampled_from(["in", "not in"])
TASK, LEVEL = st.just(nodes.Field("task")), st.just(nodes.Field("level"))
LISTS = st.lists(TEXTS, max_size=2).map(tuple).map(nodes.Constant)
FIELD_COMPARISONS = st.one_of(
    st.builds(nodes.Compare, EQUALITY, TASK | LEVEL, TEXTS.map(nodes.Constant)),
    st.builds(nodes.Compare, EQUALITY, TASK, st.just(nodes.Constant(None))),
    st.builds(nodes.Compare, MEMBERSHIP, TASK | LEVEL, LISTS),
    st.builds(nodes.Compare, MEMBERSHIP, TEXTS.map(nodes.Constant), st.just(nodes.Field("completion"))),
)


def _grow(under: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    some = st.lists(under, min_size=2, max_size=3).map(tuple)
    limits = st.tuples(SCALES, SCALES).map(sorted)
    return st.one_of(
        st.builds(nodes.Arithmetic, st.sampled_from("++--**/"), under, under),
        st.builds(nodes.And, under, under),
        st.builds(nodes.Or, under, under),
        st.builds(nodes.When, under, under, under),
        st.builds(nodes.When, FIELD_COMPARISONS, under, under),
        st.builds(nodes.Compare, st.sampled_from(["==", "!="]), under, under),
        st.builds(nodes.Compare, st.sampled_from(["<", "<=", ">", ">="]), _valued(under), _valued(under)),
        st.builds(nodes.Not, under),
        st.builds(nodes.Negative, under),
        st.builds(nodes.Abs, under),
        st.builds(nodes.Min, some),
        st.builds(nodes.Max, some),
        st.builds(lambda node, both: nodes.Clip(node, *both), under, limits),
    )


def _valued(nodes_: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return nodes_.filter(lambda node: node != nodes.Constant(None))


EXPRESSIONS = st.recursive(st.one_of(LEAVES, FIELD_COMPARISONS), _grow, max_leaves=12)

FOUND = st.sampled_from([0.0, 0.0, 0.5, 1.0, 1.0, "error"])
ROLLOUTS = st.builds(
    lambda completion, answer, group, task, tokens, truncated, level, red, blue, exam: Rollout(
        completion,
        answer=answer,
        group=group,
        task=task,
        num_tokens=tokens,
        truncated=truncated,
        fields={"level": level, "odd name": 1, "red": red, "blue": blue, "exam": exam},
    ),
    completion=st.sampled_from(["a", "b boxed", "c json", "code"]),
    answer=st.sampled_from(["1", "1", None]),
    group=st.integers(0, 2),
    task=st.sampled_from(["code", "math", None]),
    tokens=st.sampled_from([0, 3, 5000, None]),
    truncated=st.sampled_from([True, False, None]),
    level=st.sampled_from([0, 2.5, -1, "3", None]),
    red=FOUND,
    blue=FOUND,
    exam=FOUND,
)
BATCHES = st.lists(ROLLOUTS, max_size=8)
