"""Whether two trees are the same answer: equations, sets, lists, tuples, matrices, and values inside of them.

Conventions: a bare list and a set are unordered, a tuple and a matrix are ordered; `x = 3` answers 3, and an
equation is the same equation up to a factor; an inequality is the interval that it describes; `f(n) = 2n` is
`f(m) = 2m`. Every verdict is True, False, or None where a value inside could not be settled here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from proctor.verifiers.maths import realsets, values
from proctor.verifiers.maths.normal import form
from proctor.verifiers.maths.polynomials import proportion
from proctor.verifiers.maths.rewriting import (
    Named,
    all_signs,
    both_signs,
    has_both_signs,
    mapped,
    named,
    renamed,
    unnamed,
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
    Sum,
    Symbol,
    Tree,
    Words,
    negative,
    symbols,
    walk,
)
from proctor.verifiers.maths.values import both, either
from proctor.verifiers.maths.vocabulary import word_set

TEN = Number(Fraction(10))
MAX_ITEMS = 100  # of a list that is compared item by item; every item may be compared with every other
_SET_OPERATIONS = frozenset({"union", "intersection", "setminus", "builder", "any_of", "all_of"})
_ORDERINGS = frozenset({"<", ">", "<=", ">=", "!="})
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
# Letters that stand for any integer or constant in a family of solutions: x = k pi, (3 + t, 2 - t), ... + C.
_PARAMETERS = word_set("k l m n r s t c j K C N M T")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rules of a comparison and what settles a value that exact arithmetic leaves open."""

    rules: Rules
    decide: values.Decide = values.undecided

    def same(self, gold: Tree, answer: Tree) -> bool | None:
        """Whether the answer is the gold."""
        if gold == answer:
            return True
        found = self._same(gold, answer)
        if found is False:
            mapping = _parameters(gold, answer, self.rules.ignore_case)
            if mapping:
                return self._same(gold, renamed(answer, mapping))
        return found

    def _same(self, gold: Tree, answer: Tree) -> bool | None:
        if isinstance(gold, Words) or isinstance(answer, Words):
            return gold == answer
        if _is_set(gold) or _is_set(answer):
            return self.same_set(gold, answer)
        if isinstance(gold, Relation) or isinstance(answer, Relation):
            return self.same_relation(gold, answer)
        if has_both_signs(gold) or has_both_signs(answer):
            return either(*(self._same(one, other) for one in signed(gold) for other in signed(answer)))
        gold, answer = self.listed(gold), self.listed(answer)
        if isinstance(gold, Bracket | Matrix) or isinstance(answer, Bracket | Matrix):
            return self.same_sequence(gold, answer)
        if isinstance(gold, Apply) and isinstance(answer, Apply) and gold.name == answer.name == "time":
            return gold.arguments == answer.arguments
        if _is_in_base(gold) or _is_in_base(answer):
            return same_in_base(gold, answer)
        if _is_ratio(gold) or _is_ratio(answer):
            return self.same_ratio(gold, answer)
        return values.same(gold, answer, self.rules, self.decide)

    def same_relation(self, gold: Tree, answer: Tree) -> bool | None:
        """Equations: by the value where a side is a name, up to a factor where it is not."""
        one, other = named(gold), named(answer, asked=None if isinstance(gold, Relation) else gold)
        if one is not None and other is not None:
            matched = _matched_names(one, other)
            if matched is not None:
                return self.same(one.value, renamed(other.value, matched))
        elif one is not None and not isinstance(answer, Relation):
            if (
                isinstance(answer, Bracket) and len(one.names) == len(answer.items) > 1
            ):  # x = y = 2 and (2, 2)
                return _all(self.same(one.value, item) for item in answer.items)
            return self.same(one.value, answer) or self.same_solved(gold, answer)
        elif other is not None and not isinstance(gold, Relation):
            return self.same(gold, other.value) or self.same_solved(answer, gold)
        if isinstance(gold, Relation) and isinstance(answer, Relation):
            if one is not None and not symbols(one.value):
                return False  # the reference is solved: 2x + 1 = 7 does not answer x = 3
            return either(self.same_sides(gold, answer), self.same_multiple(gold, answer))
        if not isinstance(gold, Relation):
            return self.same_solved(answer, gold)
        if values.same_number(gold.sides[0], gold.sides[-1]):  # an identity, which transforms its left side
            return self.same(gold.sides[-1], answer)
        return self.same_solved(gold, answer)

    def same_solved(self, equation: Tree, expression: Tree) -> bool | None:
        """Whether an equation, solved for the one variable that the expression does not have, gives it."""
        if not isinstance(equation, Relation) or equation.signs != ("=",) or not symbols(expression):
            return False
        missing = symbols(equation) - symbols(expression)
        difference = form(_difference(equation))
        if len(missing) != 1 or difference is None or not difference.is_linear_in(*missing):
            return False
        substituted = mapped(_difference(equation), {Symbol(*missing): expression})
        return values.same_number(substituted, ZERO, self.decide)

    def same_sides(self, gold: Relation, answer: Relation) -> bool | None:
        """Side by side, in either direction of reading."""
        found: bool | None = False
        turned = Relation(answer.sides[::-1], tuple(_FLIPPED.get(sign, sign) for sign in answer.signs[::-1]))
        for candidate in (answer, turned):
            if gold.signs == candidate.signs:
                pairs = zip(gold.sides, candidate.sides, strict=True)
                found = either(found, both(*(self.same(one, other) for one, other in pairs)))
        return found

    def same_multiple(self, gold: Relation, answer: Relation) -> bool | None:
        """Whether left minus right of one is a multiple of the other's: 2x - 2y = 4 and x = y + 2, -x > 1 and x < -1."""
        if len(gold.signs) != 1 or len(answer.signs) != 1:
            return False
        one, other = form(_difference(gold)), form(_difference(answer))
        if one is None or other is None:
            return None
        factor = proportion(one.numerator, other.numerator)
        sign = answer.signs[0]
        return bool(factor) and gold.signs[0] == (_FLIPPED.get(sign, sign) if factor and factor < 0 else sign)

    def same_set(self, gold: Tree, answer: Tree) -> bool | None:
        """Sets of real numbers, however described. An answer that still has to be solved is none."""
        if isinstance(answer, Relation) and isinstance(realsets.variable(answer), Apply):
            return False
        one, other = realsets.pieces(unnamed(gold)), realsets.pieces(unnamed(answer))
        if one is not None and other is not None:
            return realsets.same_pieces(one, other, self.same)
        if isinstance(gold, Relation) and isinstance(answer, Relation):
            return either(
                self.same_sides(gold, answer), not _is_to_solve(answer) and self.same_multiple(gold, answer)
            )
        if isinstance(gold, Apply) and isinstance(answer, Apply) and gold.name == answer.name:
            return self.same_items(gold.arguments, answer.arguments, ordered=False)
        if not _is_set(unnamed(gold)) and not _is_set(unnamed(answer)):
            return self.same(unnamed(gold), unnamed(answer))
        return False

    def same_sequence(self, gold: Tree, answer: Tree) -> bool | None:
        gold, answer = _as_brackets(gold), _as_brackets(answer)
        if not isinstance(gold, Bracket):
            return len(answer.items) == 1 and self.same(gold, answer.items[0])
        if not isinstance(answer, Bracket):
            return len(gold.items) == 1 and self.same(gold.items[0], answer)
        if _is_unordered(gold) and _is_unordered(answer):
            return self.same_list(gold, answer)
        if len(gold.items) != len(answer.items):
            return self.same_single(gold, answer)
        is_pair = len(gold.items) == 2 and gold.left in ("(", "[") and answer.left in ("(", "[")
        if is_pair and (gold.left, gold.right) != (answer.left, answer.right):
            return False
        if "\\{" in (gold.left, answer.left):
            return False
        ordered = self.rules.ordered is not False
        return self.same_items(_values(gold.items), _values(answer.items), ordered=ordered)

    def same_single(self, gold: Bracket, answer: Bracket) -> bool | None:
        """A list of one tuple against that tuple."""
        if len(gold.items) == 1 and _is_unordered(gold):
            return self.same(gold.items[0], answer)
        if len(answer.items) == 1 and _is_unordered(answer):
            return self.same(gold, answer.items[0])
        return False

    def same_list(self, gold: Bracket, answer: Bracket) -> bool | None:
        if self.rules.ordered:
            return self.same_items(_values(gold.items), _values(answer.items), ordered=True)
        labels, others = _labels(gold.items), _labels(answer.items)
        if labels and others and labels.keys() == others.keys() and len(labels) == len(gold.items):
            return both(*(self.same(labels[name], others[name]) for name in labels))
        wanted, given = _tupled(gold.items), _tupled(answer.items)
        if "\\{" in (gold.left, answer.left):
            wanted, given = self.distinct(wanted), self.distinct(given)
        return self.same_items(wanted, given, ordered=False)

    def same_items(self, gold: Sequence[Tree], answer: Sequence[Tree], *, ordered: bool) -> bool | None:
        if len(gold) != len(answer) or len(gold) > MAX_ITEMS:
            return False
        if ordered:
            return _all(self.same(one, other) for one, other in zip(gold, answer, strict=True))
        left = list(answer)
        open_items = []
        for wanted in gold:  # equality is transitive, so the first that matches will do
            index = next((i for i, given in enumerate(left) if self.same(wanted, given)), None)
            if index is None:
                open_items.append(wanted)
            else:
                del left[index]
        if all(any(self.same(wanted, given) is None for given in left) for wanted in open_items):
            return None if open_items else True
        return False

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
        one = gold.arguments if isinstance(gold, Apply) and _is_ratio(gold) else (gold, ONE)
        other = answer.arguments if isinstance(answer, Apply) and _is_ratio(answer) else (answer, ONE)
        if len(one) != len(other) or ZERO in (*one, *other):  # 12:00 is a time
            return False
        pairs = zip(one[1:], other[1:], strict=True)
        return _all(
            values.same_number(Product((one[0], b)), Product((other[0], a)), self.decide) for a, b in pairs
        )


def signed(tree: Tree) -> list[Tree]:
    r"""What a tree with \\pm in it may mean: a list of its values, signs read together or independently."""
    if not has_both_signs(tree):
        return [tree]
    if isinstance(tree, Bracket) and _is_unordered(tree):
        return [Bracket(tuple(part for item in tree.items for part in _spread(item)), tree.left, tree.right)]
    together: list[Tree] = [Bracket(both_signs(tree))]
    if isinstance(tree, Bracket):
        together.append(Bracket(tuple(all_signs(tree))))
    return together


def _spread(tree: Tree) -> Sequence[Tree]:
    if isinstance(tree, Apply) and tree.name == "alternatives":
        return tree.arguments
    return both_signs(tree) if has_both_signs(tree) else (tree,)


def same_in_base(gold: Tree, answer: Tree) -> bool:
    """The same digits in the same base. Where the reference is in base 7, an answer need not say so."""
    if isinstance(gold, Apply):
        return gold == answer or gold.arguments[2] == answer
    return isinstance(answer, Apply) and answer.arguments[0] == gold and answer.arguments[1] == TEN


def _is_in_base(tree: Tree) -> bool:
    return isinstance(tree, Apply) and tree.name == "base"


def _all(found: Iterable[bool | None]) -> bool | None:
    """`both` of many, which stops at the first False."""
    result: bool | None = True
    for one in found:
        if one is False:
            return False
        result = result and one
    return result


def _is_set(tree: Tree) -> bool:
    """Whether a tree can only be meant as a set of reals. (1, 2) and {1, 2} may be other things."""
    match unnamed(tree):
        case Relation(_, signs):
            return not _ORDERINGS.isdisjoint(signs) or signs == ("in",)
        case Apply(name):
            return name in _SET_OPERATIONS
        case Symbol(name):
            return name in ("R", "emptyset")
        case Bracket((Apply("builder"),)):
            return True
        case Bracket((low, high), "(" | "[" as left, right):
            return (left, right) in (("(", "]"), ("[", ")")) or any(_is_infinite(end) for end in (low, high))
        case _:
            return False


def _is_infinite(tree: Tree) -> bool:
    return any(node == Symbol("oo") for node in walk(tree))


def _is_ratio(tree: Tree) -> bool:
    return isinstance(tree, Apply) and tree.name == "ratio"


def _is_unordered(tree: Bracket) -> bool:
    return tree.left in ("", "\\{")


def _is_to_solve(relation: Relation) -> bool:
    """Whether constants and a variable are still mixed: 2x + 1 < 7."""
    return len(symbols(relation)) == 1 and any(
        isinstance(node, Sum) and symbols(node) for node in walk(relation)
    )


def _difference(relation: Relation) -> Tree:
    return Sum((relation.sides[0], negative(relation.sides[1])))


def _as_brackets(tree: Tree) -> Tree:
    """A vector as its entries, a matrix as its rows; `|` marks that round or square means nothing here."""
    if not isinstance(tree, Matrix):
        return tree
    if len(tree.rows) == 1 or all(len(row) == 1 for row in tree.rows):
        return Bracket(tuple(cell for row in tree.rows for cell in row), "|", "|")
    return Bracket(tuple(Bracket(row, "|", "|") for row in tree.rows), "|", "|")


def _values(items: Sequence[Tree]) -> list[Tree]:
    return [unnamed(item) for item in items]


def _labels(items: Sequence[Tree]) -> dict[Tree, Tree]:
    """Values by name, where every item has a name of its own; otherwise empty."""
    found = [named(item) for item in items]
    labels = {item.names[0]: item.value for item in found if item is not None}
    return labels if len(labels) == len(items) else {}


def _tupled(items: Sequence[Tree]) -> list[Tree]:
    """`p=5, q=2, p=7, q=2` as (5, 2), (7, 2); other items without their names."""
    names = [item.names[0] if (item := named(tree)) is not None else None for tree in items]
    period = names.index(names[0], 1) if names and names[0] is not None and names[0] in names[1:] else 0
    if period < 2 or len(names) % period or names != names[:period] * (len(names) // period):
        return _values(items)
    flat = _values(items)
    return [Bracket(tuple(flat[start : start + period]), "(", ")") for start in range(0, len(flat), period)]


def _matched_names(one: Named, other: Named) -> dict[str, str] | None:
    """How to rename the other's variables where both name the same thing; None where they name different things."""
    if not set(one.names).isdisjoint(other.names):
        return {}
    first, second = one.names[0], other.names[0]
    match first, second:
        case Symbol(name), Symbol(twin):
            bases = {name.partition("_")[0].lower(), twin.partition("_")[0].lower()}
            return {} if len(bases) == 1 and not ("_" in name and "_" in twin) else None
        case Product((Symbol(f), Symbol(x))), Product((Symbol(g), Symbol(y))):
            return {y: x} if f == g else None
        case (Product(), Symbol("y")) | (Symbol("y"), Product()):
            return {}
        case _:
            return None


def _parameters(gold: Tree, answer: Tree, ignore_case: bool) -> dict[str, str]:
    """How to rename the answer's variables so that it may equal the gold; empty where there is no good way.

    A letter in another case is the same letter. A family of solutions may call its parameter anything.
    """
    missing, extra = symbols(gold) - symbols(answer), symbols(answer) - symbols(gold)
    if not missing or len(missing) != len(extra):
        return {}
    by_case = {name.lower(): name for name in missing}
    if ignore_case and all(name.lower() in by_case for name in extra):
        return {name: by_case[name.lower()] for name in extra}
    if len(missing) > 1:
        return {}
    (wanted,), (given,) = missing, extra
    is_family = isinstance(gold, Bracket) and isinstance(answer, Bracket) and gold.left == "("
    is_periodic = {wanted, given} <= _PARAMETERS and any(node == Symbol("pi") for node in walk(gold))
    return {given: wanted} if is_family or is_periodic else {}
