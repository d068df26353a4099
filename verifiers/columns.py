"""Which columns of a rollout an expression needs, and where in it."""

from __future__ import annotations

from collections.abc import Iterator

from proctor.verifiers.nodes import Compare, Constant, Field, Node, children
from proctor.verifiers.part import Part


def needed_columns(node: Node) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Every part and column of the expression with the columns without which it has no value.

    A column that is only asked for (`task == None`) may be absent.
    """
    if isinstance(node, Part):
        yield node, node.columns
    elif isinstance(node, Field):
        yield node, (node.column,)
    elif not (isinstance(node, Compare) and Constant(None) in (node.left, node.right)):
        for child in children(node):
            yield from needed_columns(child)
