"""Whether two trees are the same answer: equations, sets, lists, tuples, matrices, and values inside of them.

Conventions: a bare list and a set are unordered, a tuple and a matrix are ordered; `x = 3` answers 3, and an
equation is the same equation up to a factor; an inequality is the interval that it describes; `f(n) = 2n` is
`f(m) = 2m`. Every verdict is True, False, or None where a value inside could not be settled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from proctor.verifiers.maths import realsets, values
from proctor.verifiers.maths.equations import antiderivative, is_to_solve, same_multiple, substituted, turned
from proctor.verifiers.maths.naming import (
    Named,
    are_unknowns,
    labels,
    matching,
    named,
    ordered_values,
    renaming,
    unlabelled,
    unnamed,
)
from proctor.verifiers.maths.rewriting import (
    entries,
    has_both_signs,
    in_unit_vectors,
    renamed,
    without_both_signs,
)
from proctor.verifiers.maths.rules import Rules
from proctor.verifiers.maths.trees import (
    ONE,
    ZERO,
    Apply,
    Bracket,
    Matrix,
    Number,
    Product,
    Relation,
    Symbol,
    Tree,
    Words,
    symbols,
)
from proctor.verifiers.maths.values import both, either

MAX_ITEMS = 100  # of a list that is compared item by item; every item may be compared with every other
_TEN = Number(Fraction(10))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rules of a comparison and what settles a value that exact arithmetic leaves open."""

    rules: Rules
    decide: values.Decide = values.undecided

    def same(self, gold: Tree, answer: Tree) -> bool | None:
        """Whether the answer is the gold."""
        if gold == answer:
            return True
        found = self.same_by_kind(gold, answer)
        if found is not False:
            return found
        new_names = renaming(gold, answer, ignore_case=self.rules.ignore_case)
        return self.same_by_kind(gold, renamed(answer, new_names)) if new_names else False

    def same_by_kind(self, gold: Tree, answer: Tree) -> bool | None:
        if isinstance(gold, Words) or isinstance(answer, Words):
            return gold == answer
        if realsets.is_set(unnamed(gold)) or realsets.is_set(unnamed(answer)):
            return self.same_set(gold, answer)
        if isinstance(gold, Relation) or isinstance(answer, Relation):
            return self.same_relation(gold, answer)
        if has_both_signs(gold) or has_both_signs(answer):
            others = without_both_signs(answer)
            return either(
                *(self.same_by_kind(one, other) for one in without_both_signs(gold) for other in others)
            )
        gold, answer = self.listed(gold), self.listed(answer)
        if isinstance(gold, Bracket | Matrix) or isinstance(answer, Bracket | Matrix):
            one, other = entries(gold), entries(answer)
            return either(self.same_sequence(one, other), self.same_vector(one, other))
        return self.same_written(gold, answer)

    def same_written(self, gold: Tree, answer: Tree) -> bool | None:
        """Values in a notation of their own: times, dates, numbers in a base, ratios; and all others."""
        notations = {tree.name for tree in (gold, answer) if isinstance(tree, Apply)}
        if notations == {"time"} or "remainder" in notations:
            return gold == answer
        if "date" in notations:
            return same_date(gold, answer)
        if "base" in notations:
            return same_in_base(gold, answer)
        if "ratio" in notations:
            return self.same_ratio(gold, answer)
        return either(
            values.same(gold, answer, self.rules, self.decide), self.same_antiderivative(gold, answer)
        )

    def same_vector(self, gold: Tree, answer: Tree) -> bool | None:
        """3i + 4j is (3, 4)."""
        wanted, given = in_unit_vectors(gold, answer), in_unit_vectors(answer, gold)
        is_written_so = (wanted, given) != (gold, answer)
        return values.same_number(wanted, given, self.decide) if is_written_so else False

    def same_antiderivative(self, gold: Tree, answer: Tree) -> bool | None:
        """sin^2 x + C is -cos(2x) / 2 + C: both have a constant of their own."""
        one, other = antiderivative(gold, "C"), antiderivative(answer, "CcKk")
        if one is None or other is None or symbols(one) != symbols(other):
            return False
        return values.same_number(one, other, self.decide)

    def same_relation(self, gold: Tree, answer: Tree) -> bool | None:
        """Equations: by the value where a side is a name, up to a factor where it is not."""
        if isinstance(gold, Relation) and isinstance(answer, Relation):
            return self.same_relations(gold, answer)
        if isinstance(gold, Relation):
            return self.same_as_named(gold, named(gold), answer)
        if isinstance(answer, Relation):
            found = named(answer, asked=gold)
            by_value = False if found is None else self.same(gold, found.value)
            # B = C answers C; solved for either it would answer both
            if by_value or isinstance(gold, Symbol):
                return by_value
            return self.same_solved(answer, gold)
        return False

    def same_relations(self, gold: Relation, answer: Relation) -> bool | None:
        one, other = named(gold), named(answer)
        new_names = matching(one, other) if one is not None and other is not None else None
        if one is not None and other is not None and new_names is not None:
            return self.same(one.value, renamed(other.value, new_names))
        if one is not None and not symbols(one.value):
            return False  # the reference is solved: 2x + 1 = 7 does not answer x = 3
        return either(self.same_sides(gold, answer), same_multiple(gold, answer))

    def same_as_named(self, gold: Relation, wanted: Named | None, answer: Tree) -> bool | None:
        """An expression against an equation: its value, its right side if it is an identity, or its solution."""
        if wanted is not None:
            if isinstance(answer, Bracket) and len(wanted.names) == len(answer.items) > 1:
                return both(*(self.same(wanted.value, item) for item in answer.items))  # x = y = 2 and (2, 2)
            return self.same(wanted.value, answer) or self.same_solved(gold, answer)
        if gold.signs[0] == "=" and values.same_number(gold.sides[0], gold.sides[-1]):
            return self.same(gold.sides[-1], answer)
        return self.same_solved(gold, answer)

    def same_solved(self, equation: Relation, expression: Tree) -> bool | None:
        """Whether an equation, solved for the one variable that the expression does not have, gives it."""
        difference = substituted(equation, expression)
        return False if difference is None else values.same_number(difference, ZERO, self.decide)

    def same_sides(self, gold: Relation, answer: Relation) -> bool | None:
        """Side by side, in either direction of reading."""
        found: bool | None = False
        for candidate in (answer, turned(answer)):
            if gold.signs == candidate.signs:
                found = either(found, self.same_items(gold.sides, candidate.sides, ordered=True))
        return found

    def same_set(self, gold: Tree, answer: Tree) -> bool | None:
        """Sets of real numbers, however described. An answer that still has to be solved is none."""
        if isinstance(answer, Relation) and isinstance(realsets.variable(answer), Apply):
            return False
        wanted, given = unnamed(gold), unnamed(answer)
        one, other = realsets.pieces(wanted), realsets.pieces(given)
        if one is not None and other is not None:
            return realsets.same_pieces(one, other, self.same)
        if isinstance(gold, Relation) and isinstance(answer, Relation):
            by_multiple = False if is_to_solve(answer) else same_multiple(gold, answer)
            return either(self.same_sides(gold, answer), by_multiple)
        if isinstance(gold, Apply) and isinstance(answer, Apply) and gold.name == answer.name:
            return self.same_items(gold.arguments, answer.arguments, ordered=False)
        return False

    def same_sequence(self, gold: Tree, answer: Tree) -> bool | None:
        if not isinstance(gold, Bracket) or not isinstance(answer, Bracket):
            return self.same_single(gold, answer)
        if gold.is_unordered and answer.is_unordered:
            return self.same_list(gold, answer)
        if len(gold.items) != len(answer.items):
            return self.same_single(gold, answer)
        are_pairs = len(gold.items) == 2 and {gold.left, answer.left} <= {"(", "["}
        if are_pairs and (gold.left, gold.right) != (answer.left, answer.right):
            return False
        if "\\{" in (gold.left, answer.left):
            return False
        ordered = self.rules.ordered is not False
        return self.same_items(ordered_values(gold.items), ordered_values(answer.items), ordered=ordered)

    def same_single(self, gold: Tree, answer: Tree) -> bool | None:
        """A bracket with one thing in it against that thing: {2} and 2, [2] and 2, {(1, 2)} and (1, 2)."""
        if isinstance(gold, Bracket) and _is_single(gold, answer):
            return self.same(gold.items[0], answer)
        if isinstance(answer, Bracket) and _is_single(answer, gold):
            return self.same(gold, answer.items[0])
        return False

    def same_list(self, gold: Bracket, answer: Bracket) -> bool | None:
        if self.rules.ordered:
            return self.same_items(_values(gold.items), _values(answer.items), ordered=True)
        wanted, given = labels(gold.items), labels(answer.items)
        if wanted and wanted.keys() == given.keys():
            return both(*(self.same(wanted[name], given[name]) for name in wanted))
        items, others = unlabelled(gold.items), unlabelled(answer.items)
        if are_unknowns(wanted) and not any(map(named, answer.items)):
            orders = (items, ordered_values(gold.items))
            return either(*(self.same_items(order, others, ordered=True) for order in orders))
        if "\\{" in (gold.left, answer.left):
            return both(self.holds_all(others, items), self.holds_all(items, others))
        return self.same_items(items, others, ordered=False)

    def holds_all(self, items: Sequence[Tree], wanted: Sequence[Tree]) -> bool | None:
        """Whether each of the wanted is among the items. Of two sets that hold all of each other, none has more."""
        if max(len(items), len(wanted)) > MAX_ITEMS:
            return False
        result: bool | None = True
        for one in dict.fromkeys(wanted):
            found = self.is_among(one, items)
            if found is False:
                return False
            result = both(result, found)
        return result

    def is_among(self, one: Tree, items: Sequence[Tree]) -> bool | None:
        result: bool | None = False
        for item in items:
            found = self.same(one, item)
            if found:
                return True
            result = either(result, found)
        return result

    def same_items(self, gold: Sequence[Tree], answer: Sequence[Tree], *, ordered: bool) -> bool | None:
        if len(gold) != len(answer) or len(gold) > MAX_ITEMS:
            return False
        if ordered:
            return self.same_in_order(gold, answer)
        left = list(answer)
        unmatched = []
        for wanted in gold:  # equality is transitive, so the first that matches will do
            index = next((i for i, given in enumerate(left) if self.same(wanted, given)), None)
            if index is None:
                unmatched.append(wanted)
            else:
                del left[index]
        if not unmatched:
            return True
        is_open = all(any(self.same(wanted, given) is None for given in left) for wanted in unmatched)
        return None if is_open else False

    def same_in_order(self, gold: Sequence[Tree], answer: Sequence[Tree]) -> bool | None:
        found: bool | None = True
        for wanted, given in zip(gold, answer, strict=True):
            found = both(found, self.same(wanted, given))
            if found is False:
                return False
        return found

    def listed(self, tree: Tree) -> Tree:
        """Alternatives as a list, and those of one value as that value."""
        if not (isinstance(tree, Apply) and tree.name == "alternatives"):
            return tree
        items = self.distinct(tree.arguments)
        return items[0] if len(items) == 1 else Bracket(tuple(items))

    def distinct(self, items: Sequence[Tree]) -> list[Tree]:
        found: list[Tree] = []
        for item in dict.fromkeys(items[:MAX_ITEMS]):
            if not any(self.same(item, other) for other in found):
                found.append(item)
        return found

    def same_ratio(self, gold: Tree, answer: Tree) -> bool | None:
        """2:1 is 4:2 and is 2; with three parts and more, all in proportion."""
        one, other = _parts_of_ratio(gold), _parts_of_ratio(answer)
        if len(one) != len(other) or ZERO in (*one, *other):  # 12:00 is a time
            return False
        pairs = zip(one[1:], other[1:], strict=True)
        products = ((Product((one[0], b)), Product((other[0], a))) for a, b in pairs)
        return both(*(values.same_number(left, right, self.decide) for left, right in products))


def same_date(gold: Tree, answer: Tree) -> bool:
    """The same day. Where the reference is 25, an answer may say of which month; that alone is no date, though."""
    return gold == answer or (
        isinstance(answer, Apply) and answer.name == "date" and answer.arguments[1:] == (gold, ZERO)
    )


def same_in_base(gold: Tree, answer: Tree) -> bool:
    """The same digits in the same base. Where the reference is in base 7, an answer need not say so."""
    if isinstance(gold, Apply) and gold.name == "base":
        return gold == answer or gold.arguments[2] == answer
    return isinstance(answer, Apply) and answer.arguments[:2] == (gold, _TEN)


def _is_single(bracket: Bracket, other: Tree) -> bool:
    return len(bracket.items) == 1 and (bracket.is_unordered or not isinstance(other, Bracket))


def _parts_of_ratio(tree: Tree) -> tuple[Tree, ...]:
    return tree.arguments if isinstance(tree, Apply) and tree.name == "ratio" else (tree, ONE)


def _values(items: Sequence[Tree]) -> list[Tree]:
    return [unnamed(item) for item in items]
