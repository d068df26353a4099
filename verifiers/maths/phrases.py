"""What the words around mathematics mean: units, number words, labels, qualifiers, remarks.

An answer such as `Area: 5 square feet, where x > 0` is one item with a label, a value, a unit and a
qualifier. Only the value and the unit are the answer. Words that could change the value (not, at least,
except) make the item unreadable as mathematics.
"""

from __future__ import annotations

from dataclasses import dataclass

from proctor.verifiers.maths import units
from proctor.verifiers.maths.lexer import Token, UnreadableError
from proctor.verifiers.maths.numerals import NUMERALS, SCALES, number_in_words
from proctor.verifiers.maths.vocabulary import word_set

# What follows one of these tells where the answer holds or where it comes from.
QUALIFIERS = word_set("for where with when whenever such assuming given provided as because since so which in at on if from by respectively "
    "approximately about exactly only rounded using after during")
# Words that say nothing about a value.
NEUTRAL = word_set("only exactly just precisely the a an is are was be equals equal to of all both total answer value values solution "
    "solutions result final so thus hence therefore then we get have has approximately about roughly around "
    "integer integers number numbers real any each")
# Words that turn a number into something else than itself.
CHANGING = word_set("not no never neither nor without except excluding less fewer more greater larger smaller than least most over "
    "under above below between almost nearly unless cannot isn't aren't wrong incorrect false minus infinitely")
_GENERIC = frozenset({"unit", "units"})


class QualifiedError(UnreadableError):
    """Words such as `not` or `at least` make the mathematics something else than it says."""


@dataclass(frozen=True, slots=True)
class Item:
    """One of the things that an answer lists."""

    tokens: tuple[Token, ...]  # the mathematics of it
    separator: str = ""  # what stands before it: "", ",", ";", "and", "or"
    is_labelled: bool = False  # words such as `Area:` stood before it
    said: bool = False  # words were left out that are not known to be empty


def items(found: list[Token]) -> list[Item]:
    """Splits at the separators outside of brackets and takes the words off every item.

    Raises UnreadableError where what is left would not be the answer.
    """
    parts = _split(_without_predicate(_unwrapped(_with_numerals(_with_units(_without_stray_stops(found))))))
    cleaned = [_item(part, separator) for part, separator in parts]
    kept = [item for item in cleaned if item is not None]
    if not kept:
        raise UnreadableError("words only")
    return kept


def _without_stray_stops(found: list[Token]) -> list[Token]:
    """Without a full stop that was left before a closing bracket: (1, 2.]"""
    return [
        token
        for place, token in enumerate(found)
        if not (token.text == "." and found[place + 1 : place + 2] and found[place + 1].kind == "close")
    ]


def _without_predicate(found: list[Token]) -> list[Token]:
    """Of `R = 1 is necessary and sufficient for A_1 and B_1 ...` the equation."""
    for index, token in enumerate(found):
        if token == ("word", "is") and ("rel", "=") in found[:index]:
            _check_unchanged(found[index:])
            return found[:index]
    return found


def _split(found: list[Token]) -> list[tuple[list[Token], str]]:
    parts: list[tuple[list[Token], str]] = [([], "")]
    depth = 0
    for token in found:
        if token.kind in ("open", "begin"):
            depth += 1
        elif token.kind in ("close", "end"):
            depth -= 1
        if depth == 0 and (token.kind in ("sep", "row")):
            word = token.text if token.kind == "sep" else ";"
            if parts[-1][0]:
                parts.append(([], word))
            elif word in ("and", "or"):
                parts[-1] = ([], word)
        else:
            parts[-1][0].append(token)
    return [part for part in parts if part[0]]


def _unwrapped(found: list[Token]) -> list[Token]:
    """Without a TeX group or stray stops around the whole."""
    while found and found[-1].kind == "stop" and found[-1].text != "?":
        found = found[:-1]
    while len(found) > 1 and found[0] == ("open", "{") and _closes_at(found, 0) == len(found) - 1:
        found = found[1:-1]
    return found


def _closes_at(found: list[Token], start: int) -> int:
    depth = 0
    for index in range(start, len(found)):
        depth += (found[index].kind == "open") - (found[index].kind == "close")
        if depth == 0:
            return index
    return -1


def _with_units(found: list[Token]) -> list[Token]:
    """Units in words become unit tokens: `square feet` is foot^2, `metres per second` is metre / second."""
    result: list[Token] = []
    index = 0
    while index < len(found):
        token = found[index]
        following = found[index + 1] if index + 1 < len(found) else None
        raised = units.RAISING.get(token.text) if token.kind == "word" else None
        if raised and following and following.kind == "stop" and index + 2 < len(found):
            following, index = found[index + 2], index + 1
        if raised and following and (name := _unit_name(following)):
            result += [Token("unit", name), Token("op", "^"), Token("number", str(raised))]
            index += 2
        elif raised and following and following.text in _GENERIC:
            index += 2
        elif raised and result and result[-1].kind == "unit":
            result += [Token("op", "^"), Token("number", str(raised))]
            index += 1
        elif token.kind in ("word", "symbol") and _follows_unit(result) and (name := _unit_name(token)):
            result.append(Token("unit", name))
            index += 1
        elif token.kind == "word" and token.text in _GENERIC and result:
            index += 2 if following == ("op", "^") else 1
            if following == ("op", "^"):
                index = _skip_exponent(found, index)
        else:
            result.append(token)
            index += 1
    return result


def _skip_exponent(found: list[Token], index: int) -> int:
    if index < len(found) and found[index] == ("open", "{"):
        return _closes_at(found, index) + 1
    return index + 1


def _unit_name(token: Token) -> str | None:
    return token.text if token.kind == "unit" else units.NAMES.get(token.text)


def _follows_unit(before: list[Token]) -> bool:
    """Whether a unit may stand here: after another unit, or after `unit /`."""
    if not before:
        return False
    last = before[-2] if before[-1] in (("op", "/"), ("op", "*")) and len(before) > 1 else before[-1]
    return last.kind == "unit"


def _with_numerals(found: list[Token]) -> list[Token]:
    """Number words become number tokens; `3 million` becomes 3 * 1000000."""
    result: list[Token] = []
    index = 0
    while index < len(found):
        token = found[index]
        if token.kind == "word" and token.text in SCALES and result and result[-1].kind == "number":
            result += [Token("op", "*"), Token("number", str(SCALES[token.text]))]
            index += 1
            continue
        end = index
        while end < len(found) and (found[end].kind == "word" or (found[end] == ("op", "-") and end > index)):
            end += 1
        words = [word.text for word in found[index:end] if word.kind == "word"]
        length, value = _longest_numeral(words)
        if value is None:
            result.append(token)
            index += 1
            continue
        result.append(Token("open", "("))
        result += [Token("number", str(value.numerator))]
        if value.denominator > 1:
            result += [Token("op", "/"), Token("number", str(value.denominator))]
        result.append(Token("close", ")"))
        while length:
            length -= found[index].kind == "word"
            index += 1
    return result


def _longest_numeral(words: list[str]) -> tuple[int, object]:
    if not words or (words[0] not in NUMERALS and words[0] not in ("a", "half")):
        return 0, None
    for length in range(len(words), 0, -1):
        value = number_in_words(words[:length])
        if value is not None:
            return length, value
    return 0, None


def _item(found: list[Token], separator: str) -> Item | None:
    if separator and found[0].kind == "word" and found[0].text in QUALIFIERS:
        return None
    found = _without_modulus(_without_remarks(_without_stops(found)))
    found, is_labelled, said = _without_label(found)
    found, also_said = _without_lead(found)
    found, finally_said = _without_tail(found)
    if not found or _is_membership(found):
        return None
    if any(token.kind in ("word", "label") for token in found):
        raise UnreadableError("words inside of mathematics")
    return Item(tuple(found), separator, is_labelled, said or also_said or finally_said)


def _without_stops(found: list[Token]) -> list[Token]:
    while found and found[-1].kind == "stop" and found[-1].text != "?":
        found = found[:-1]
    while found and found[0].kind == "stop" and found[0].text != "?":
        found = found[1:]
    return found


def _without_remarks(found: list[Token]) -> list[Token]:
    """Without brackets that hold words: `42 (rounded up)`, `240 yuan (A)`."""
    result: list[Token] = []
    index = 0
    while index < len(found):
        if found[index] == ("open", "(") and result:
            end = _closes_at(found, index)
            inner = found[index + 1 : end] if end > 0 else []
            after_words = (
                result[-1].kind in ("word", "unit") and len(inner) == 1 and inner[0].kind == "symbol"
            )
            is_hedge = any(token == ("sep", "or") for token in inner)
            if not is_hedge and (any(token.kind == "word" for token in inner) or after_words):
                index = end + 1
                continue
        result.append(found[index])
        index += 1
    return result


def _without_modulus(found: list[Token]) -> list[Token]:
    r"""Without \pmod{7} or (mod 7): a residue answers with or without it."""
    for index, token in enumerate(found):
        if token == ("structure", "pmod") or token.text == "mod":
            return found[: index - (found[index - 1] == ("open", "("))] if index else found
    return found


def _is_membership(found: list[Token]) -> bool:
    r"""Whether an item only says of what kind a parameter is: k \in \mathbb{Z}."""
    kinds = [token.kind for token in found[:2]]
    sets = [token.text for token in found[2:] if token.kind == "symbol"]
    return kinds == ["symbol", "rel"] and found[1].text == "in" and sets[:1] in (["Z"], ["N"], ["Q"], ["C"])


def _without_label(found: list[Token]) -> tuple[list[Token], bool, bool]:
    """`Minimum: 1`, `the area of ABC = 5`, `\\angle ABC = 74`: what stands before the sign is a name."""
    depth = 0
    for index, token in enumerate(found):
        depth += (token.kind == "open") - (token.kind == "close")
        if depth == 0 and token.kind == "rel" and token.text in ("=", ":", "~"):
            before = found[:index]
            if not any(part.kind in ("word", "label") for part in before):
                return found, False, False
            _check_unchanged(before)
            return found[index + 1 :], True, False
    return found, False, False


def _without_lead(found: list[Token]) -> tuple[list[Token], bool]:
    index = 0
    while index < len(found) and (
        found[index].kind in ("word", "label") or (index and found[index].kind == "stop")
    ):
        index += 1
    lead = found[:index]
    _check_unchanged(lead)
    if lead and index < len(found) and found[index].kind == "rel" and found[index].text in ("=", ":", "~"):
        index += 1
    said = any(token.kind == "word" and token.text not in NEUTRAL for token in lead)
    return found[index:], said


def _without_tail(found: list[Token]) -> tuple[list[Token], bool]:
    depth = 0
    for index, token in enumerate(found):
        depth += (token.kind == "open") - (token.kind == "close")
        if depth == 0 and token.kind in ("word", "label"):
            tail = found[index:]
            _check_unchanged(tail)
            if token.text in QUALIFIERS or all(part.kind in ("word", "label", "stop") for part in tail):
                said = any(part.kind == "word" and part.text not in NEUTRAL | QUALIFIERS for part in tail)
                return found[:index], said and token.text not in QUALIFIERS
            raise UnreadableError("words inside of mathematics")
    return found, False


def numbers_in_prose(found: list[Token]) -> list[Token]:
    """The numbers of a sentence that says nothing else of mathematics. Raises UnreadableError where words change them."""
    _check_unchanged(found)
    return [token for token in found if token.kind == "number"]


def _check_unchanged(words: list[Token]) -> None:
    changing = [word.text for word in words if word.kind == "word" and word.text in CHANGING]
    if changing:
        raise QualifiedError(f"'{changing[0]}' changes the value")
