"""What the words around mathematics mean: labels, qualifiers, remarks, conditions.

An answer such as `Area: 5 square feet, where x > 0` is one item with a label, a value, a unit and a
qualifier. Only the value and the unit are the answer. Words that could change the value (not, at least,
except) make the item unreadable as mathematics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from proctor.verifiers.maths.lexer import Token, UnreadableError
from proctor.verifiers.maths.spelled import closes_at, with_numerals, with_units
from proctor.verifiers.maths.vocabulary import word_set

# What follows one of these tells where the answer holds or where it comes from.
QUALIFIERS = word_set(
    """for where with when whenever such assuming given provided as because since so which in at on if from by
    respectively approximately about exactly only rounded using after during"""
)
# Words that say nothing about a value.
NEUTRAL = word_set(
    """only exactly just precisely the a an is are was be equals equal to of all both total answer value values
    solution solutions result final so thus hence therefore then we get have has approximately about roughly around
    integer integers number numbers real any each"""
)
# Words that turn a number into something else than itself.
CHANGING = word_set(
    """not no never neither nor without except excluding less fewer more greater larger smaller than least most over
    under above below outside between almost nearly unless cannot isn't aren't wrong incorrect false minus infinitely
    anything everything than close near exceeds exceed exceeding"""
)
# Operations in words: `twice 5`, `the square root of 5`, `5 squared`. Not `the root is 5`, which names a value.
_BEFORE_OPERAND = word_set("twice thrice double triple until but")
OF_OPERAND = word_set(
    """root reciprocal opposite negative complement inverse square cube factorial multiple multiples power powers
    logarithm divisor divisors divisible digits up quarter"""
)
_AFTER_OPERAND = word_set("squared cubed factorial")
# After a value, and without `than`, they say what it counts: 5 more dollars, 5 fewer apples.
_FURTHER = word_set("more less fewer")
# Words that a table of cases says between a value and its condition.
_CONDITIONING = word_set("if for when where otherwise")
_CONNECTIVES = {Token("op", "union"): Token("sep", "or"), Token("op", "intersection"): Token("sep", "and")}
_ORDERINGS = tuple(Token("rel", sign) for sign in ("<", ">", "<=", ">=", "!="))
_NAMING_SIGNS = (Token("rel", "="), Token("rel", ":"), Token("rel", "~"))


class QualifiedError(UnreadableError):
    """Words such as `not` or `at least` make the mathematics something else than it says."""


@dataclass(frozen=True, slots=True)
class Item:
    """One of the things that an answer lists."""

    tokens: tuple[Token, ...]  # the mathematics of it
    separator: str = ""  # what stands before it: "" (first), ",", ";", "and", "or"
    said_more: bool = False  # words were left out that are not known to be empty


def items(found: list[Token]) -> list[Item]:
    """Splits at the separators outside of brackets and takes the words off every item.

    Raises UnreadableError where what is left would not be the answer.
    """
    found = with_numerals(with_units(_without_conditioning(_without_stray_stops(_with_alternatives(found)))))
    found = _with_connectives(found)
    parts = _split(_with_ratio(_without_predicate(_unwrapped(found))))
    kept = [item for part, separator in parts if (item := _item(part, separator)) is not None]
    if not kept:
        raise UnreadableError("words only")
    return kept


def numbers_in_prose(found: Sequence[Token]) -> list[Token]:
    """The numbers that a sentence names. Raises UnreadableError where words change them."""
    _check_unchanged(found)
    return [token for token in found if token.kind == "number"]


def _with_alternatives(found: list[Token]) -> list[Token]:
    """`5/2 (or 2.5)` without its brackets."""
    for start in range(1, len(found) - 1):
        if found[start] == ("open", "(") and found[start + 1] == ("sep", "or"):
            end = closes_at(found, start)
            return [*found[:start], *found[start + 1 : end], *found[end + 1 :]] if end > 0 else found
    return found


def _with_connectives(found: list[Token]) -> list[Token]:
    r"""`x < 1 \lor x > 4`: between inequalities a union is an `or`, and an intersection an `and`."""
    joints = [place for place in _outside_brackets(found) if found[place] in _CONNECTIVES]
    edges = [-1, *joints, len(found)]
    parts = [found[start + 1 : end] for start, end in pairwise(edges)]
    if not joints or not all(any(token in _ORDERINGS for token in part) for part in parts):
        return found
    return [_CONNECTIVES[token] if place in joints else token for place, token in enumerate(found)]


def _outside_brackets(found: Sequence[Token]) -> list[int]:
    """The places of the tokens that no bracket holds."""
    depth = 0
    places = []
    for place, token in enumerate(found):
        depth += (token.kind in ("open", "begin")) - (token.kind in ("close", "end"))
        if not depth:
            places.append(place)
    return places


def _without_stray_stops(found: list[Token]) -> list[Token]:
    """Without a full stop that was left before a closing bracket: (1, 2.]"""
    return [
        token
        for place, token in enumerate(found)
        if not (token.text == "." and found[place + 1 : place + 2] and found[place + 1].kind == "close")
    ]


def _without_conditioning(found: list[Token]) -> list[Token]:
    r"""Without the words and stops inside of a table: \begin{cases} x & \text{if } x > 0, \\ 0 & x < 0. \end{cases}"""
    if not any(token.kind == "begin" for token in found):
        return found
    kept: list[Token] = []
    depth = 0
    for token in found:
        depth += (token.kind == "begin") - (token.kind == "end")
        is_empty = token == ("stop", ".") or (token.kind == "word" and token.text in _CONDITIONING)
        if not (depth and is_empty):
            kept.append(token)
    return kept


def _unwrapped(found: list[Token]) -> list[Token]:
    """Without a TeX group or stops around the whole."""
    found = _without_stops(found)
    while len(found) > 1 and found[0] == ("open", "{") and closes_at(found, 0) == len(found) - 1:
        found = found[1:-1]
    return found


def _without_stops(found: list[Token]) -> list[Token]:
    while found and found[-1].kind == "stop" and found[-1].text != "?":
        found = found[:-1]
    while found and found[0].kind == "stop" and found[0].text != "?":
        found = found[1:]
    return found


def _without_predicate(found: list[Token]) -> list[Token]:
    """Of `R = 1 is necessary and sufficient for A_1 and B_1 ...` the equation."""
    for index, token in enumerate(found):
        if token == ("word", "is") and ("rel", "=") in found[:index]:
            _check_unchanged(found[index:])
            return found[:index]
    return found


def _with_ratio(found: list[Token]) -> list[Token]:
    """`2 to 1`, and nothing else, as 2:1."""
    is_ratio = [token.kind for token in found] == ["number", "word", "number"] and found[1].text == "to"
    return [found[0], Token("rel", ":"), found[2]] if is_ratio else found


def _split(found: list[Token]) -> list[tuple[list[Token], str]]:
    """The parts between separators outside of brackets, each with the separator before it."""
    parts: list[tuple[list[Token], str]] = [([], "")]
    depth = 0
    for token in found:
        depth += (token.kind in ("open", "begin")) - (token.kind in ("close", "end"))
        if depth or token.kind not in ("sep", "row"):
            parts[-1][0].append(token)
            continue
        separator = token.text if token.kind == "sep" else ";"
        if parts[-1][0]:
            parts.append(([], separator))
        elif separator in ("and", "or"):  # of `, and` the word counts
            parts[-1] = ([], separator)
    return [part for part in parts if part[0]]


def _item(found: list[Token], separator: str) -> Item | None:
    """The item without its words; None where it has nothing but words or only says where another holds."""
    if separator and found[0].kind == "word" and found[0].text in QUALIFIERS:
        return None
    found = _without_label(_without_modulus(_without_remarks(_without_stops(found))))
    found, led_more = _without_lead(found)
    found, tailed_more = _without_tail(found)
    if not found or _is_membership(found):
        return None
    if any(map(_is_spoken, found)):
        raise UnreadableError("words inside of mathematics")
    return Item(tuple(found), separator, led_more or tailed_more)


def _is_spoken(token: Token) -> bool:
    return token.kind in ("word", "label")


def _without_remarks(found: list[Token]) -> list[Token]:
    """Without brackets that hold words: `42 (rounded up)`, `240 yuan (A)`; but `42 (or 43)` is no remark."""
    result: list[Token] = []
    index = 0
    while index < len(found):
        end = closes_at(found, index) if found[index] == ("open", "(") and result else -1
        if end > 0 and _is_remark(found[index + 1 : end], result[-1]):
            index = end
        else:
            result.append(found[index])
        index += 1
    return result


def _is_remark(inner: Sequence[Token], before: Token) -> bool:
    if ("sep", "or") in inner:
        return False
    is_mark = before.kind in ("word", "unit") and len(inner) == 1 and inner[0].kind == "symbol"
    return is_mark or any(token.kind == "word" or token == ("rel", "!=") for token in inner)


def _without_modulus(found: list[Token]) -> list[Token]:
    r"""Without \pmod{7}, (mod 7) or = 3 mod 7: a residue answers with or without it. 42 mod 5 is 2, though."""
    for index, token in enumerate(found):
        is_bracketed = bool(index) and found[index - 1] == ("open", "(")
        is_residue = token == ("word", "mod") and (is_bracketed or ("rel", "=") in found[:index])
        if index and (is_residue or token == ("structure", "pmod")):
            return found[: index - is_bracketed]
    return found


def _is_membership(found: Sequence[Token]) -> bool:
    r"""Whether an item only says of what kind a parameter is: k \in \mathbb{Z}."""
    sets = [token.text for token in found[2:] if token.kind == "symbol"]
    is_member = len(found) > 2 and found[0].kind == "symbol" and found[1] == ("rel", "in")
    return is_member and sets[:1] in (["Z"], ["N"], ["Q"], ["C"])


def _without_label(found: list[Token]) -> list[Token]:
    """`Minimum: 1`, `the area of ABC = 5`, `\\angle ABC = 74`: what stands before the sign is a name."""
    depth = 0
    for index, token in enumerate(found):
        depth += (token.kind == "open") - (token.kind == "close")
        if depth == 0 and token in _NAMING_SIGNS:
            label = found[:index]
            if not any(map(_is_spoken, label)):
                return found
            _check_unchanged(label)
            return found[index + 1 :]
    return found


def _without_lead(found: list[Token]) -> tuple[list[Token], bool]:
    """Without the words at the start, and whether they may have meant something."""
    index = 0
    while index < len(found) and (_is_spoken(found[index]) or (index and found[index].kind == "stop")):
        index += 1
    lead = found[:index]
    _check_unchanged(lead)
    _check_no_operation(lead, found[index:])
    return found[index:], any(token.kind == "word" and token.text not in NEUTRAL for token in lead)


def _without_tail(found: list[Token]) -> tuple[list[Token], bool]:
    """Without the words at the end or a qualifier, and whether they may have meant something."""
    depth = 0
    for index, token in enumerate(found):
        depth += (token.kind == "open") - (token.kind == "close")
        if depth or not _is_spoken(token):
            continue
        tail = found[index:]
        _check_unchanged(tail[token.text in _FURTHER :])
        if token.text in _AFTER_OPERAND:
            raise QualifiedError(f"'{token.text}' changes the value")
        if token.text in QUALIFIERS:
            return found[:index], False
        if not all(_is_spoken(part) or part.kind == "stop" for part in tail):
            raise UnreadableError("words inside of mathematics")
        return found[:index], any(
            part.kind == "word" and part.text not in NEUTRAL | QUALIFIERS for part in tail
        )
    return found, False


def _check_unchanged(found: Sequence[Token]) -> None:
    changing = next((token.text for token in found if token.kind == "word" and token.text in CHANGING), None)
    if changing:
        raise QualifiedError(f"'{changing}' changes the value")


def _check_no_operation(lead: Sequence[Token], operand: Sequence[Token]) -> None:
    last, before = ([token.text for token in reversed(lead)] + ["", ""])[:2]
    if operand and (last in _BEFORE_OPERAND or (last in ("of", "to", "by") and before in OF_OPERAND)):
        raise QualifiedError(f"'{before} {last}' changes the value")
