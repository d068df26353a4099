"""Where parts and columns of an expression stand: behind which gates, and so in which round parts are due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proctor.verifiers.nodes import And, Compare, Constant, Field, Node, Or, When, children, walk
from proctor.verifiers.part import Part


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition in front of a part, and which way it has to go for the part to be run."""

    condition: Node
    passes: bool

    def __str__(self) -> str:
        return f"{self.condition} {'passes' if self.passes else 'does not pass'}"


def occurrences(node: Node, gates: tuple[Gate, ...] = ()) -> Iterator[tuple[Part, tuple[Gate, ...]]]:
    """Every place of every part, in the order of the source, with the gates in front of it."""
    if isinstance(node, Part):
        yield node, gates
        return
    under = list(children(node))
    opened = [gates] * len(under)
    match node:
        case And(left):
            opened[1] = (*gates, Gate(left, True))
        case Or(left):
            opened[1] = (*gates, Gate(left, False))
        case When(condition):
            opened[1:] = [(*gates, Gate(condition, True)), (*gates, Gate(condition, False))]
    for child, before in zip(under, opened, strict=True):
        yield from occurrences(child, before)


def rounds(node: Node) -> dict[str, int]:
    """In which round each part is due: after all parts of the gates in front of it, wherever it stands."""
    before: dict[str, set[str]] = {}
    for part, gates in occurrences(node):
        deciding = {str(found) for gate in gates for found in walk(gate.condition) if isinstance(found, Part)}
        before.setdefault(str(part), set()).update(deciding - {str(part)})
    due: dict[str, int] = {}
    number = 0
    while len(due) < len(before):
        rest = [text for text in before if text not in due]
        # Two parts may each stand behind the other, in different branches; then the first goes first.
        ready = [text for text in rest if before[text] <= due.keys()] or rest[:1]
        due |= dict.fromkeys(ready, number)
        number += 1
    return due


def needed_columns(node: Node) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Every part and column of the expression, with the columns without which it has no value.

    A column that is only asked for (`task == None`) may be absent.
    """
    if isinstance(node, Part):
        yield node, node.columns
    elif isinstance(node, Field):
        yield node, (node.column,)
    elif not (isinstance(node, Compare) and Constant(None) in (node.left, node.right)):
        for child in children(node):
            yield from needed_columns(child)
