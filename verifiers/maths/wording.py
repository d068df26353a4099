"""Answers in plain language: choices, yes and no, stock phrases, and sentences that answer with one phrase."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from proctor.verifiers.maths.trees import INFINITY, Symbol, Tree
from proctor.verifiers.maths.vocabulary import word_set

MAX_LENGTH = 1_000  # of a text that is compared word by word
_MAX_NESTED = 8  # markup inside of markup
_CHOICE = re.compile(
    r"(?:(?:the )?(?:correct |final |right )?(?:option|choice|answer|answer is|option is)\s*:?\s*)?"
    r"[(\[]?\s?([A-Za-z])\s?(?:[)\]]\.?|[.:。：]|$|\s+(?:because|since|as)\b)(\s.*)?",
    re.IGNORECASE | re.DOTALL,
)
_OFFERS_MORE = re.compile(r"\s*(?:or|and|,|/)", re.IGNORECASE)
_RULED_OUT = re.compile(
    r"\s*(?:(?:is|was|are|would be)(?:n't| not| wrong| incorrect| false)|cannot|can't)\b", re.IGNORECASE
)
_OFFERS_ANOTHER = re.compile(r"\bor\s+\(?[A-J](?:[).:,]|$)")
_OPTIONS = frozenset("ABCDEFGHIJ")  # letters that options with something after them have: `x: 5` is none
_PART = re.compile(r"(?<![A-Za-z0-9\\])\(?([A-Za-z]{1,3})\s?[).:](?=\s|\\|\$|\d|-)")
_PART_NAMES = ("ABCDEFGHIJ", ("I", "II", "III", "IV", "V", "VI", "VII"))
_AFTER_CHOICE = re.compile(r"[(\[]?\s?[A-Za-z]\s?(?:[)\]]\.?|\.|:)\s*(.+)", re.DOTALL)
_AFTER_NAME = re.compile(r"\s*[A-Za-z]\s?:([^:]+)")
_WRAPPED = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|cal)|mbox|boxed|boldsymbol|bm)\s?\{([^{}]*)\}"
)
_COMMAND = re.compile(r"\\[a-zA-Z]+|\\.")
_JOINING = re.compile(r"\s*[,;&]\s*")
_NOT_WORD = re.compile(r"[^\w\s.+\-*/^=<>%?]|(?<![\d.])\.(?!\.)|(?<!\.)\.(?![\d.])|_")
_LEADING = word_set("on in at by it its is are to only and")
_ARTICLES = word_set("a an the")
_SYNONYMS = {
    "dne": "does not exist", "limit does not exist": "does not exist", "not defined": "undefined",
    "no solution": "none", "no solutions": "none", "no real solution": "none", "no real solutions": "none",
    "there is no solution": "none", "there are no solutions": "none", "none exist": "none",
    "no solution exists": "none", "no solutions exist": "none", "no real solutions exist": "none",
    "equation has no solution": "none", "equation has no solutions": "none", "empty set": "none", "null set": "none",
    "infinitely many": "infinite", "infinitely many solutions": "infinite", "infinite solutions": "infinite",
    "infinite number of solutions": "infinite", "infinity": "infinite",
    "true": "yes", "correct": "yes", "false": "no", "incorrect": "no",
    "not possible": "impossible", "it is impossible": "impossible", "cannot be done": "impossible",
    "all reals": "all real numbers", "real numbers": "all real numbers", "every real number": "all real numbers",
    "set of all real numbers": "all real numbers",
}  # fmt: skip
_MEANINGS: dict[str, Tree] = {
    "all real numbers": Symbol("R"),
    "none": Symbol("emptyset"),
    "infinite": INFINITY,
}
_VERDICT = re.compile(
    r"(?:this |that )?(?:statement|claim|assertion|proposition|conjecture|it) is (true|false|correct|incorrect)"
)
_OPPOSITE = {"yes": "no", "no": "yes"}
_MOST_WORDS = 3  # of an answer that is a phrase of the reference, or the other way round
_SENTENCE = 5  # words from which on a reference is a sentence
_TWO_SIDED = word_set(
    "not no never neither nor cannot isn't or and but than unless except without versus both"
)
_SMALL = word_set("the and for are was were has have had with from that this than then its will can")
# Nouns that half of all sentences about mathematics have: they name no answer.
_GENERIC = word_set(
    """number numbers integer integers function functions triangle triangles point points line lines interval value
    values set sets equation solution solutions answer sequence series such must whole each every any"""
)
_LINKING = word_set("is are was were be remains equals becomes called")
_FOLLOWING = word_set(
    """will is are was were has have wins won can function functions number numbers triangle polygon angle series
    sequence day"""
)


def normalised(text: str) -> str:
    """Plain language in lower case, without markup, punctuation and articles; empty where it is too long."""
    if len(text) > MAX_LENGTH:
        return ""
    text = _COMMAND.sub(lambda command: f" {command[0][1:]} ", _unwrapped(text, " "))
    text = _NOT_WORD.sub(" ", _JOINING.sub(" and ", text.casefold().replace("'", "")))
    words = [word for word in text.split() if word not in _ARTICLES]
    while len(words) > 1 and words[0] in _LEADING:
        del words[0]
    plain = " ".join(words).replace("and and", "and")
    return _SYNONYMS.get(plain, plain)


def _unwrapped(text: str, space: str = "") -> str:
    """Without the commands that only say how a text is set."""
    for _ in range(_MAX_NESTED):
        bare = _WRAPPED.sub(rf"{space}\1{space}", text)
        if bare == text:
            break
        text = bare
    return text


def choice(text: str) -> str | None:
    """The letter of an answer such as `C`, `(C)`, `C. 42`, `option C`, in upper case.

    `(a) 5 (b) 6` answers the parts of a question and chooses nothing.
    """
    found = _CHOICE.fullmatch(_unwrapped(text).strip()) if len(text) <= MAX_LENGTH else None
    if found is None:
        return None
    letter, rest = found[1].upper(), found[2] or ""
    if (
        _OFFERS_MORE.match(rest)
        or _RULED_OUT.match(rest)
        or _OFFERS_ANOTHER.search(rest)
        or (rest.strip(" .") and letter not in _OPTIONS)
    ):
        return None
    return None if parts(text) else letter


def parts(text: str) -> list[str]:
    """The answers to the parts of a question, `5` and `6` of `(a) 5, (b) 6`; empty where there are no two."""
    text = _unwrapped(text).strip() if len(text) <= MAX_LENGTH else ""
    found = list(_PART.finditer(text))
    names = tuple(part[1].upper() for part in found)
    if (
        len(found) < 2
        or found[0].start()
        or not any(names == tuple(row[: len(names)]) for row in _PART_NAMES)
    ):
        return []
    ends = [part.start() for part in found[1:]] + [len(text)]
    return [text[part.end() : end].strip(" ,;.") for part, end in zip(found, ends, strict=True)]


def after_choice(text: str) -> str:
    """What follows the letter of a choice: `12` of `(C) 12`."""
    found = _AFTER_CHOICE.match(_unwrapped(text).strip())
    return found[1].strip() if found else ""


def after_name(text: str) -> str:
    """What follows a name and a colon: `5` of `x: 5`."""
    found = _AFTER_NAME.fullmatch(text) if ":" in text else None
    return found[1].strip() if found else ""


def meaning(text: str) -> Tree | None:
    """The mathematics that a stock phrase stands for."""
    return _MEANINGS.get(normalised(text))


def same_words(gold: str, answer: str) -> bool:
    """Whether two normalised texts answer the same.

    Besides equal texts: a sentence whose subject or last word is the answer (`Petya will win` and `Petya`,
    `the function is odd` and `odd`), as long as nothing in it negates or joins. An answer that has both
    says its last word: `odd is even` would otherwise answer odd and even.
    """
    if sorted(gold.split(" and ")) == sorted(answer.split(" and ")):
        return bool(gold)
    if gold in _OPPOSITE and answer.startswith(f"{gold} and "):  # "No, it is not"
        return _OPPOSITE[gold] not in answer.split()
    if gold in _OPPOSITE and (said := _VERDICT.fullmatch(answer)):  # "the statement is true"
        return _SYNONYMS[said[1]] == gold
    longer, shorter = (gold, answer) if len(gold) > len(answer) else (answer, gold)
    sentence, words = longer.split(), shorter.split()
    if not 0 < len(words) <= min(_MOST_WORDS, len(sentence) - 1) or not _TWO_SIDED.isdisjoint(sentence):
        return False
    if not _names_something(words):
        return False
    may_be_subject = longer == gold or _LINKING.isdisjoint(sentence[-1 - _MOST_WORDS : -1])
    return _is_predicate(words, sentence) or (may_be_subject and _is_subject(words, sentence))


def is_prose(text: str) -> bool:
    r"""Whether a text holds no commands but those of type: \frac and \cdot are no words that a formula says."""
    return "\\" not in _unwrapped(text) if len(text) <= MAX_LENGTH else False


def is_named_in(answer: str, gold: str) -> bool:
    """Whether a sentence answers with one phrase of it: `stopped` of `a stopped clock shows the right time`.

    Not where it compares, joins or negates: a sentence that names both sides is answered by one of them.
    """
    words, sentence = answer.split(), gold.split()
    if len(sentence) < _SENTENCE or len(words) > _MOST_WORDS or not _TWO_SIDED.isdisjoint(sentence):
        return False
    return _names_something(set(words) - _GENERIC) and f" {answer} " in f" {gold} "


def _names_something(words: Iterable[str]) -> bool:
    return any(len(word) > 2 and word.isalpha() and word not in _SMALL for word in words)


def _is_subject(words: Sequence[str], sentence: Sequence[str]) -> bool:
    verb = sentence[len(words)]
    return sentence[: len(words)] == words and (verb in _FOLLOWING or verb.endswith("ed"))


def _is_predicate(words: Sequence[str], sentence: Sequence[str]) -> bool:
    return sentence[-len(words) :] == words and sentence[-len(words) - 1] in _LINKING
