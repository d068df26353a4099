"""Reads an answer: a string becomes the trees that it may mean, and plain words where it means none."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from proctor.verifiers.maths import wording
from proctor.verifiers.maths.clock import digital_time, spoken_date, spoken_time
from proctor.verifiers.maths.comparison import Comparison
from proctor.verifiers.maths.exclusions import all_but
from proctor.verifiers.maths.grammar import parse
from proctor.verifiers.maths.latex import tidy
from proctor.verifiers.maths.lexer import UnreadableError, tokens
from proctor.verifiers.maths.naming import is_name, unnamed
from proctor.verifiers.maths.phrases import Item, QualifiedError, items, numbers_in_prose
from proctor.verifiers.maths.quantities import quantity
from proctor.verifiers.maths.realsets import is_set
from proctor.verifiers.maths.remainders import division
from proctor.verifiers.maths.rewriting import computed
from proctor.verifiers.maths.rules import Rules
from proctor.verifiers.maths.sampling import real
from proctor.verifiers.maths.trees import Apply, Bracket, Number, Relation, Sum, Symbol, Tree, Unit, symbols
from proctor.verifiers.maths.units import MEASURES

_ORDINAL = re.compile(
    r"(?<=\d)\s?\^?\s?(?P<group>\{\s?)?(?:\\(?:text|mathrm|textrm|mbox|textsuperscript|rm)\s?)?"
    r"(?P<inner>\{\s?)?(?:st|nd|rd|th)(?![a-zA-Z])(?(inner)\s?\})(?(group)\s?\})"
)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_MODULUS = re.compile(r"mod(?![a-z])[\s{}\\]{0,9}(\w+)")
# 1.234,50 € and 12 345,67; 1.234.567, which cannot be a decimal
_CONTINENTAL = re.compile(
    r"(?P<number>[-+]?(?:\d{1,3}(?:(?:\.\d{3})+|(?:\s\d{3})+),\d+|\d{1,3}(?:\.\d{3}){2,}))(?P<unit>(?![.,])[^\d,()\[\]]{0,40})"
)
_OPERATION = re.compile(r"\\(?:sum|prod|i+nt|oint|lim|frac\s?\{d\}\s?\{d|det)(?![a-zA-Z])")
_FULL_STOP = re.compile(r"(?<![.\s])\s*[.。]\s*\Z")
_SPACE = re.compile(r"(?<![0-9A-Za-z.])\s+|\s+(?![0-9A-Za-z.])")
_APPROXIMATE = 0.02  # relative: 1.4 for the root of 2
_EXACTLY = Comparison(Rules())


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer may mean."""

    plain: str  # the answer as a string without white space and markup: equal strings are equal answers
    words: str  # the answer as plain language
    trees: tuple[Tree, ...] = ()  # as mathematics
    others: tuple[
        Tree, ...
    ] = ()  # less likely meanings: the decimal after an approximation sign, 1,22 as 1.22
    choice: str | None = None  # as the letter of a multiple-choice question
    chosen: tuple[Tree, ...] = ()  # what stands after that letter, or after a name; among `trees` too
    is_qualified: bool = False  # words such as `not` change what it says
    operation: bool = False  # a sum, integral or limit that is written out and not read any further
    moduli: frozenset[str] = frozenset()  # what its residues are of: 7 in `3 \\pmod 7`
    sentence: tuple[Tree, ...] = ()  # the numbers that a sentence names, where the reference is a sentence
    problem: str = ""  # why there is no tree


def read(answer: str) -> Reading:
    """All that an answer may mean. Never raises."""
    text = _FULL_STOP.sub("", tidy(answer))
    plain, words, choice = _SPACE.sub("", text), wording.normalised(text), wording.choice(text)
    chosen = _read_rest(wording.after_choice(text) if choice else wording.after_name(text))
    try:
        first, *others = _meanings(text)
    except UnreadableError as error:
        return Reading(
            plain,
            words,
            chosen,
            choice=choice,
            chosen=chosen,
            is_qualified=isinstance(error, QualifiedError),
            operation=_OPERATION.search(text) is not None,
            problem=str(error),
        )
    moduli = frozenset(_MODULUS.findall(text)) if "mod" in text else frozenset()
    return Reading(plain, words, (first, *chosen), tuple(others), choice, chosen, moduli=moduli)


def prose_values(text: str) -> tuple[Tree, ...]:
    """The numbers that a sentence names, as a list or as one value; empty where words change their meaning."""
    try:
        numbers = [parse([token]) for token in numbers_in_prose(tokens(tidy(text)))]
    except UnreadableError:
        return ()
    if len(numbers) < 2:
        return tuple(numbers)
    return (Bracket(tuple(numbers), "(", ")"),)


def _read_rest(rest: str) -> tuple[Tree, ...]:
    """What stands after a letter: 12 in `(C) 12`, 5 in `x: 5`."""
    try:
        return _meanings(rest)[:1] if rest else ()
    except UnreadableError:
        return ()


def _meanings(text: str) -> tuple[Tree, ...]:
    """What a text means as mathematics, the likeliest first. Raises UnreadableError where it is none."""
    settled = (
        wording.meaning(text) or spoken_time(text) or spoken_date(text) or division(text) or _result(text)
    )
    if settled is not None:
        return (settled,)
    if described := all_but(text):
        return (_tree(described),)
    if parts := wording.parts(text):
        with suppress(UnreadableError):  # (a) \cdot (b) \cdot c has no parts
            return (Bracket(tuple(map(_tree, parts)), "(", ")"),)
    if found := _CONTINENTAL.fullmatch(text):
        whole, _, decimals = found["number"].replace(".", "").replace(" ", "").partition(",")
        return (_tree(f"{whole}.{decimals}{found['unit']}" if decimals else f"{whole}{found['unit']}"),)
    tree = _tree(_ORDINAL.sub("", text))
    if isinstance(tree, Relation) and "~" in tree.signs:
        return _approximated(tree)
    other = _tree(text.replace(",", ".")) if _DECIMAL_COMMA.fullmatch(text) else digital_time(text)
    return (tree,) if other is None else (tree, other)


def _result(text: str) -> Tree | None:
    r"""What an operation that is written out comes to: 6 in `\sum_{i=1}^{3} i = 6`."""
    left, equals, right = text.rpartition("=")
    if not equals or not _OPERATION.search(left):
        return None
    tree = _tree(right)
    return None if symbols(tree) else tree


def _tree(text: str) -> Tree:
    parts = items(tokens(text))
    trees = tuple(_checked(_item_tree(part)) for part in parts)
    if len(parts) == 1:
        return trees[0]
    if _are_one_quantity(trees):
        return Sum(trees)
    if all(_is_exception(tree, trees[0]) for tree in trees[1:]):
        return trees[0]
    separators = {part.separator for part in parts[1:]}
    if any(is_set(tree) and not isinstance(tree, Symbol | Bracket) for tree in trees):
        return Apply("any_of" if "or" in separators else "all_of", trees)
    return Apply("alternatives", trees) if separators == {"or"} else Bracket(trees)


def _item_tree(item: Item) -> Tree:
    tree = computed(parse(list(item.tokens)))
    if isinstance(tree, Unit):
        raise UnreadableError("a unit without a number")
    has_number = not symbols(tree) or isinstance(tree, Relation | Bracket)
    if item.said_more and not has_number:
        raise UnreadableError("words that may matter, and no number")
    return tree


def _checked(tree: Tree) -> Tree:
    """A chain of computation as its result. Raises UnreadableError where it contradicts itself (41 = 42)."""
    if not isinstance(tree, Relation) or set(tree.signs) != {"="}:
        return tree
    grounded = [side for side in tree.sides if not symbols(side)]
    if any(_EXACTLY.same(one, other) is False for one, other in pairwise(grounded)):
        raise UnreadableError("a chain of equalities that does not hold")
    return grounded[-1] if len(grounded) == len(tree.sides) else tree


def _is_exception(tree: Tree, expression: Tree) -> bool:
    r"""Whether an item only says where an expression is not defined: x \ne 1 after \frac{x + 1}{x - 1}."""
    is_unequal = isinstance(tree, Relation) and tree.signs == ("!=",)
    return is_unequal and not is_set(expression) and symbols(tree) <= symbols(unnamed(expression))


def _are_one_quantity(trees: tuple[Tree, ...]) -> bool:
    """`5 dollars and 50 cents`, `1 hour, 30 minutes`: different units of the same dimension."""
    units = [quantity(tree).units for tree in trees]
    names = [unit.name for found in units for unit in found if isinstance(unit, Unit)]
    dimensions = {MEASURES[name].dimensions for name in names}
    are_all_measured = len(names) == len(trees) and all(len(found) == 1 for found in units)
    return (
        are_all_measured and len(set(names)) == len(names) and len(dimensions) == 1 and () not in dimensions
    )


def _approximated(tree: Relation) -> tuple[Tree, ...]:
    """`exact ~ decimal`: the answer, and what may be given for it. Raises UnreadableError where they are far apart."""
    cut = tree.signs.index("~")
    exact = tree.sides[0] if cut == 0 else Relation(tree.sides[: cut + 1], tree.signs[:cut])
    near = tree.sides[-1]
    if is_name(exact):
        return (near,)
    one, other = real(unnamed(exact)), real(near)
    if one is not None and other is not None and abs(one - other) > _APPROXIMATE * max(abs(one), abs(other)):
        raise UnreadableError("an approximation that is none")
    if isinstance(near, Number) and near.places and one is not None and other is not None:
        is_rounded = abs(one - other) <= 10.0**-near.places
        return (exact, near) if is_rounded else (exact,)
    return exact, near
