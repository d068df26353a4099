"""Short ways for tests to read mathematics."""

from __future__ import annotations

from collections.abc import Sequence

from proctor.verifiers.answers import Math
from proctor.verifiers.core import Rollout
from proctor.verifiers.maths.forms import Form
from proctor.verifiers.maths.grammar import parse
from proctor.verifiers.maths.latex import tidy
from proctor.verifiers.maths.lexer import tokens
from proctor.verifiers.maths.normal import normal
from proctor.verifiers.maths.trees import Tree


def tree(text: str) -> Tree:
    """The tree of one expression or relation without words."""
    return parse(tokens(tidy(text)))


def value(text: str) -> Form:
    """The normal form of an expression."""
    return normal(tree(text))


def boxed(answer: str) -> str:
    return f"\\boxed{{{answer}}}"


def statuses(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The status of each (reference, response). Importable, so that a spawned child can call it."""
    verdicts = Math().verify([Rollout(response, answer=gold) for gold, response in pairs])
    return [verdict.status.value for verdict in verdicts]
