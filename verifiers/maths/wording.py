"""Answers in plain language: choices, yes and no, stock phrases, and sentences that answer with one word."""

from __future__ import annotations

import re

from proctor.verifiers.maths.trees import INFINITY, Symbol, Tree

_CHOICE = re.compile(
    r"(?:(?:the )?(?:correct |final |right )?(?:option|choice|answer|answer is|option is)\s*:?\s*)?"
    r"[(\[]?\s?([A-Za-z])\s?(?:[)\]]\.?|[.:。：]|$|\s+(?:because|since|as)\b)(\s.*)?",
    re.IGNORECASE | re.DOTALL,
)
_OFFERS_MORE = re.compile(r"\s*(?:or|and|,|/)", re.IGNORECASE)
_AFTER_CHOICE = re.compile(r"[(\[]?\s?[A-Za-z]\s?(?:[)\]]\.?|\.|:)\s*(.+)", re.DOTALL)
_WRAPPED = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|cal)|mbox|boxed|boldsymbol|bm)\s?\{([^{}]*)\}"
)
_COMMAND = re.compile(r"\\[a-zA-Z]+|\\.")
_NOT_WORD = re.compile(r"[^\w\s.+\-*/^=<>%?]|(?<![\d.])\.(?!\.)|(?<!\.)\.(?![\d.])|_")
_JOINING = re.compile(r"\s*[,;&]\s*")
_LEADING = frozenset("on in at by it its is are to only and".split())
_ARTICLES = frozenset("a an the".split())
_SYNONYMS = {
    "dne": "does not exist", "undefined": "undefined", "not defined": "undefined", "no solution": "none",
    "no solutions": "none", "no real solutions": "none", "no real solution": "none", "there are no solutions": "none",
    "there is no solution": "none", "no such": "none", "empty set": "none", "null set": "none", "none exist": "none",
    "infinitely many": "infinite", "infinite": "infinite", "infinitely many solutions": "infinite",
    "infinite solutions": "infinite", "infinite number of solutions": "infinite", "true": "yes", "correct": "yes",
    "false": "no", "incorrect": "no", "not possible": "impossible", "it is impossible": "impossible",
    "cannot be done": "impossible",
}  # fmt: skip
_MEANINGS: dict[str, Tree] = {
    "all real numbers": Symbol("R"), "all reals": Symbol("R"), "real numbers": Symbol("R"), "every real number": Symbol("R"),
    "set of all real numbers": Symbol("R"), "empty set": Symbol("emptyset"), "null set": Symbol("emptyset"),
    "infinity": INFINITY, "infinite": INFINITY, "none": Symbol("emptyset"),
}  # fmt: skip
_NEGATING = frozenset("not no never neither nor cannot isn't except without and or but".split())


def normalised(text: str) -> str:
    """Plain language in lower case, without markup, punctuation and articles."""
    if len(text) > 1000:
        return ""
    while (bare := _WRAPPED.sub(r" \1 ", text)) != text:
        text = bare
    text = _JOINING.sub(
        " and ", _COMMAND.sub(lambda command: f" {command[0][1:]} ", text).casefold().replace("'", "")
    )
    words = [word for word in _NOT_WORD.sub(" ", text).split() if word not in _ARTICLES]
    while len(words) > 1 and words[0] in _LEADING:
        del words[0]
    plain = " ".join(words).replace("and and", "and")
    return _SYNONYMS.get(plain, plain)


def choice(text: str) -> str | None:
    """The letter of an answer such as `C`, `(C)`, `C. 42`, `option C`, in upper case."""
    found = _CHOICE.fullmatch(_unwrapped(text).strip())
    if found and _OFFERS_MORE.match(found[2] or ""):
        return None
    return found[1].upper() if found else None


def after_choice(text: str) -> str:
    """What follows the letter of a choice: `12` of `(C) 12`."""
    found = _AFTER_CHOICE.match(_unwrapped(text).strip())
    return found[1].strip() if found else ""


def _unwrapped(text: str) -> str:
    """Without the commands that only say how a text is set."""
    while (bare := _WRAPPED.sub(r"\1", text)) != text:
        text = bare
    return text


def meaning(text: str) -> Tree | None:
    """The mathematics that a stock phrase stands for."""
    return _MEANINGS.get(normalised(text))


def same_words(gold: str, answer: str) -> bool:
    """Whether two normalised texts answer the same.

    Besides equal texts: a sentence whose subject or last word is the answer (`Petya will win` and `Petya`,
    `the function is odd` and `odd`), as long as nothing in it negates or joins.
    """
    if sorted(gold.split(" and ")) == sorted(answer.split(" and ")):
        return bool(gold)
    if gold in _OPPOSITE and answer.startswith(f"{gold} and "):  # "No, it is not"
        return _OPPOSITE[gold] not in answer.split()
    longer, shorter = (gold, answer) if len(gold) > len(answer) else (answer, gold)
    long_words, short_words = longer.split(), shorter.split()
    if not short_words or len(short_words) > 3 or not _NEGATING.isdisjoint(long_words):
        return False
    if not any(word.isalpha() and len(word) > 2 for word in short_words):
        return False
    if long_words[-len(short_words) :] == short_words and " ".join(long_words[: -len(short_words)]).endswith(
        _LINKING
    ):
        return True
    verb = long_words[len(short_words)] if len(long_words) > len(short_words) else ""
    return long_words[: len(short_words)] == short_words and (verb in _FOLLOWING or verb.endswith("ed"))


def is_named_in(answer: str, gold: str) -> bool:
    """Whether a sentence answers with one phrase of it: `stopped` of `a stopped clock shows the right time`.

    Not where it compares, joins or negates: a sentence that names both sides is answered by one of them.
    """
    words, sentence = answer.split(), gold.split()
    if len(sentence) < _SENTENCE or len(words) > 3 or not _TWO_SIDED.isdisjoint(sentence):
        return False
    if not any(len(word) > 2 and word not in _SMALL for word in words):
        return False
    return f" {answer} " in f" {gold} "


_SENTENCE = 5  # words from which on a reference is a sentence
_TWO_SIDED = frozenset(
    "not no never neither nor cannot or and but than unless except without versus both".split()
)
_SMALL = frozenset("the and for are was were has have had with from that this than then its will can".split())
_OPPOSITE = {"yes": "no", "no": "yes"}
_LINKING = tuple(f" {verb}" for verb in "is are was were be remains equals becomes called".split())
_FOLLOWING = frozenset(
    "will is are was were has have wins won can function functions number numbers triangle polygon angle series sequence day".split()
)
