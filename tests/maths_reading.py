"""Short ways for tests to read mathematics."""

from __future__ import annotations

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
