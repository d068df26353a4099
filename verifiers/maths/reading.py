"""Reads an answer: a string becomes the trees that it may mean, and plain words where it means none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from proctor.verifiers.maths import wording
from proctor.verifiers.maths.comparison import Comparison
from proctor.verifiers.maths.grammar import parse
from proctor.verifiers.maths.latex import tidy
from proctor.verifiers.maths.lexer import UnreadableError, tokens
from proctor.verifiers.maths.naming import is_name, unnamed
from proctor.verifiers.maths.phrases import Item, QualifiedError, items, numbers_in_prose
from proctor.verifiers.maths.quantities import quantity
from proctor.verifiers.maths.rewriting import computed
from proctor.verifiers.maths.rules import Rules
from proctor.verifiers.maths.sampling import real
from proctor.verifiers.maths.trees import Apply, Bracket, Number, Relation, Sum, Tree, Unit, symbols
from proctor.verifiers.maths.units import MEASURES

_ORDINAL = re.compile(
    r"(?<=\d)\s?\^?\s?\{?\s?(?:\\(?:text|mathrm|textrm|mbox|textsuperscript|rm)\s?)?\{?\s?(?:st|nd|rd|th)\s?\}?\}?(?![a-zA-Z])"
)
_TIME = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?\s*(?:([ap])\.?\s?m\.?|o'?clock)", re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textrm|mbox)\s?\{([^{}]*)\}")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_DOTTED_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+,\d+")
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
    ] = ()  # less likely meanings: what stands after an approximation sign, 1,22 as 1.22
    choice: str | None = None  # as the letter of a multiple-choice question
    is_qualified: bool = False  # words such as `not` change what it says
    operation: bool = False  # a sum, integral or limit that is written out and not read any further
    sentence: tuple[Tree, ...] = ()  # the numbers that a sentence names, where the reference is a sentence
    problem: str = ""  # why there is no tree


def read(answer: str) -> Reading:
    """All that an answer may mean. Never raises."""
    tidied = _FULL_STOP.sub("", tidy(answer))
    plain = _SPACE.sub("", tidied)
    words = wording.normalised(tidied)
    choice = wording.choice(tidied)
    try:
        meanings = _meanings(tidied)
    except UnreadableError as error:
        is_qualified = isinstance(error, QualifiedError)
        operation = _OPERATION.search(tidied) is not None
        return Reading(
            plain, words, choice=choice, is_qualified=is_qualified, operation=operation, problem=str(error)
        )
    rest = read(wording.after_choice(tidied)).trees if choice else ()
    return Reading(plain, words, (*meanings[:1], *rest), meanings[1:], choice)


def prose_values(text: str) -> tuple[Tree, ...]:
    """The numbers that a sentence names, as a list or as one value; empty where words change their meaning."""
    try:
        numbers = [parse([token]) for token in numbers_in_prose(tokens(tidy(text)))]
    except UnreadableError:
        return ()
    return (numbers[0] if len(numbers) == 1 else Bracket(tuple(numbers), "(", ")"),) if numbers else ()


def _meanings(text: str) -> tuple[Tree, ...]:
    """What a text means as mathematics, the likeliest first. Raises UnreadableError where it is none."""
    settled = wording.meaning(text) or _time(text) or _result(text)
    if settled is not None:
        return (settled,)
    if _DOTTED_THOUSANDS.fullmatch(text):
        return (_tree(text.replace(".", "").replace(",", ".")),)
    tree = _tree(_ORDINAL.sub("", text))
    if isinstance(tree, Relation) and "~" in tree.signs:
        return _approximated(tree)
    if _DECIMAL_COMMA.fullmatch(text):
        return (tree, _tree(text.replace(",", ".")))
    clock = _CLOCK.fullmatch(text)
    if clock and int(clock[1]) < 25 and int(clock[2]) < 60:
        return tree, _clock(*clock.groups())
    return (tree,)


def _result(text: str) -> Tree | None:
    """What an operation that is written out comes to: 6 in `\\sum_{i=1}^{3} i = 6`."""
    left, equals, right = text.rpartition("=")
    if not equals or not _OPERATION.search(left):
        return None
    tree = _tree(right)
    return None if symbols(tree) else tree


def _tree(text: str) -> Tree:
    parts = items(tokens(text))
    trees = [_checked(_item_tree(part)) for part in parts]
    if len(parts) == 1:
        return trees[0]
    total = _compound(trees)
    if total is not None:
        return total
    separators = {part.separator for part in parts[1:]}
    if any(_is_condition(tree) for tree in trees):
        return Apply("all_of" if separators <= {",", "and", ";"} else "any_of", tuple(trees))
    if separators == {"or"}:
        return Apply("alternatives", tuple(trees))
    return Bracket(tuple(trees))


def _item_tree(item: Item) -> Tree:
    tree = computed(parse(list(item.tokens)))
    if item.said_more and not _has_number(tree):
        raise UnreadableError("words that may matter, and no number")
    return tree


def _has_number(tree: Tree) -> bool:
    return not symbols(tree) or isinstance(tree, Relation | Bracket)


def _checked(tree: Tree) -> Tree:
    """A chain of computation as its result. Raises UnreadableError where it contradicts itself (41 = 42)."""
    if not isinstance(tree, Relation) or set(tree.signs) != {"="}:
        return tree
    grounded = [side for side in tree.sides if not symbols(side)]
    for one, other in pairwise(grounded):
        if _EXACTLY.same(one, other) is False:
            raise UnreadableError("a chain of equalities that does not hold")
    return grounded[-1] if len(grounded) == len(tree.sides) else tree


def _compound(trees: list[Tree]) -> Tree | None:
    """`5 dollars and 50 cents`, `1 hour, 30 minutes` as one quantity."""
    found = [quantity(tree) for tree in trees]
    names = [part.units[0].name for part in found if len(part.units) == 1 and isinstance(part.units[0], Unit)]
    if len(names) < len(trees) or len(set(names)) < len(names) or "percent" in names:
        return None
    dimensions = {MEASURES[name].dimensions for name in names}
    return Sum(tuple(trees)) if len(dimensions) == 1 and dimensions != {()} else None


def _is_condition(tree: Tree) -> bool:
    match tree:
        case Relation(_, signs):
            return not {"<", ">", "<=", ">=", "!=", "in"}.isdisjoint(signs)
        case Apply(name):
            return name in ("union", "intersection", "setminus", "builder")
        case _:
            return False


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
    return exact, near


def _time(text: str) -> Tree | None:
    found = _TIME.fullmatch(_TEXT_COMMAND.sub(r"\1", text).replace("\\", " ").strip())
    if found is None:
        return None
    hours, minutes, seconds, half = found.groups()
    hour = int(hours)
    if half:
        hour = (0 if hour == 12 else hour) + (12 if half.lower() == "p" and hour <= 12 else 0)
    return _clock(str(hour), minutes or "0", seconds)


def _clock(hours: str, minutes: str, seconds: str | None) -> Tree:
    if int(hours) > 24 or int(minutes) > 59 or int(seconds or "0") > 59:
        raise UnreadableError("no time of the day")
    total = int(hours) * 3600 + int(minutes) * 60 + int(seconds or "0")
    return Apply("time", (Number(Fraction(total)),))
