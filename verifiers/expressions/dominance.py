"""Whether style can pay as much as being right: the total as a sum of terms that verify, and of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product

from proctor.verifiers import nodes
from proctor.verifiers.expressions.operators import weight_at
from proctor.verifiers.expressions.ranges import range_of, span_of
from proctor.verifiers.nodes import Node, walk
from proctor.verifiers.part import Part

_ROUTES = 64  # of an expression with branches inside branches; the rest would say the same again


@dataclass(frozen=True, slots=True)
class Term:
    """One addend of the total, times a weight."""

    node: Node
    weight: float

    def swing(self, step: int) -> float:
        """How far the term can move the total."""
        return abs(self.weight) * span_of(range_of(self.node, step=step)) if self.weight else 0.0


@dataclass(frozen=True, slots=True)
class Dominance:
    """At a step of training, style moves the total by as much as a term that verifies, or by more."""

    exam: Term
    style: tuple[Term, ...]  # largest first
    step: int

    @property
    def gap(self) -> float:
        return self.exam.swing(self.step)

    @property
    def swing(self) -> float:
        return sum(term.swing(self.step) for term in self.style)


def find_dominance(node: Node) -> Iterator[Dominance]:
    """For each verifying term the worst case: any branch, the first and the last step of any schedule."""
    worst: dict[int, Dominance] = {}
    for found in _cases(node):
        known = worst.get(id(found.exam.node))
        if known is None or found.swing > known.swing:
            worst[id(found.exam.node)] = found
    yield from worst.values()


def _cases(node: Node) -> Iterator[Dominance]:
    steps = {0, *(schedule.steps for schedule in walk(node) if isinstance(schedule, nodes.Schedule))}
    for step in sorted(steps):
        for route in islice(_routes(node, 1.0, step), _ROUTES):
            yield from _on_route(route, step)


def _on_route(route: tuple[Term, ...], step: int) -> Iterator[Dominance]:
    style = [term for term in route if not verifies(term.node) and term.swing(step) > 0]
    style.sort(key=lambda term: -term.swing(step))
    for term in route:
        found = Dominance(term, tuple(style), step)
        if style and verifies(term.node) and found.swing >= found.gap:
            yield found


def verifies(node: Node) -> bool:
    """Whether something in the expression decides if the answer is right."""
    return any(isinstance(part, Part) and part.exam for part in walk(node))


def _routes(node: Node, weight: float, step: int) -> Iterator[tuple[Term, ...]]:
    """The sums that the node can be: one for each choice of branches that verify."""
    match node:
        case nodes.Arithmetic("+" | "-" as symbol, left, right):
            sign = 1 if symbol == "+" else -1
            pairs = product(_routes(left, weight, step), _routes(right, sign * weight, step))
            return (first + second for first, second in pairs)
        case nodes.Negative(operand):
            return _routes(operand, -weight, step)
        case nodes.Clip(operand) if verifies(
            node
        ):  # can only bring values nearer; what dominates inside still does
            return _routes(operand, weight, step)
        case nodes.Arithmetic("*", left, right):
            for factor, rest in ((weight_at(left, step), right), (weight_at(right, step), left)):
                if factor is not None:
                    return _routes(rest, factor * weight, step)
        case nodes.Arithmetic("/", left, right):
            divisor = weight_at(right, step)
            if divisor:
                return _routes(left, weight / divisor, step)
        case nodes.When(_, then, otherwise) if verifies(node):
            return (route for branch in (then, otherwise) for route in _routes(branch, weight, step))
        case nodes.And(left, right) if not verifies(left):
            return _routes(right, weight, step)
    return iter([(Term(node, weight),)])
