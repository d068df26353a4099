"""The answer inside a sentence: without explanations, with what it hedges; or the last number of a text."""

from __future__ import annotations

import re

from proctor.verifiers.maths import units
from proctor.verifiers.maths.phrases import CHANGING, OF_OPERAND
from proctor.verifiers.maths.vocabulary import NAMED, word_set

MAX_SENTENCE = 2_000  # characters of a statement that are looked at
FORMULA = re.compile(
    r"\$\$(?P<a>[^$]{1,2000})\$\$|(?<!\\)\$(?!\s)(?P<b>[^$\n]{1,600}?)(?<![\s\\])\$(?!\d)"
    r"|\\\((?P<c>(?:[^\\]|\\(?!\))){1,2000}?)\\\)|\\\[(?P<d>(?:[^\\]|\\(?!\])){1,2000}?)\\\]"
)
_SOMETHING = re.compile(r"[\d=<>$]|\\[a-zA-Z(\[]")
BOLD = re.compile(r"(?<![\w)\]}*])(\*\*?)(?=\S)([^*\n]{1,200}?)\1(?![\w(*])")

# Numbers, mixed ones, times, ratios, points, sets. One may follow 共 or は, but no letter of ours, digit, command.
_START = r"(?<![A-Za-z0-9À-ɏ_.\\^{])"
_MEMBER = r"\s?[-−+]?\s?(?:\d{1,12}(?:[./]\d{1,12})?|∞|π)\s?"
_NUMBER = re.compile(
    rf"{_START}[(\[{{](?!\d{{1,3}}(?:,\d{{3}})+[)\]}}]){_MEMBER}(?:,{_MEMBER}){{1,9}}[)\]}}]"
    rf"|{_START}\d{{1,9}}(?::\d{{1,9}}){{1,3}}(?:\s?[aApP]\.?[mM]\b)?"
    rf"|{_START}(?:[-−]\s?)?[$€£¥₹]?\s?(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+(?:\s\d{{1,3}}(?=\s?/\s?\d))?)(?:\.\d+)?"
    rf"(?:\s?/\s?\d+(?![\d.]))?"
    rf"(?:\s?\\?%|\s(?:thousand|[mb]illion|trillion)\b)?|{_START}(?:[-−]\s?)?\.\d+"
)
_OPERATOR_BEFORE, _OPERATOR_AFTER = frozenset("+*/^_{\\&<>"), frozenset("+*/^_{\\&<>=")
_COMMAND_BEFORE = re.compile(r"\\(?!approx|Rightarrow|implies|to|quad|qquad|text)[a-zA-Z]+$")
_LIST_MARK = re.compile(r"[.)]\s+\S")
DENIED_BEFORE = re.compile(r"\b(?:not|isn't|never)(?:\s+equal to)?$", re.IGNORECASE)
_LAST_GAP = re.compile(r",?\s(?:and|or)\s(?:[a-zA-Z]\s?=\s?)?")
_GAP = re.compile(r",\s?(?:[a-zA-Z]\s?=\s?)?")
_ARE = re.compile(r"\b(?:are|be|were)\W{1,4}(?:[a-zA-Z]\s?=\s?)?\Z")
_WORDS_BEFORE = re.compile(r"(?:\b([A-Za-z]+)\s)?\b([A-Za-z]+)\s\W{0,3}\Z")
_BETWEEN_BEFORE = re.compile(r"\bbetween\s\S{1,20}(?:\s\S{1,20})?\sand\s\Z", re.IGNORECASE)
_NEEDS = re.compile(r"\b(?:needs?|requires?|ha(?:s|ve) to)\b", re.IGNORECASE)
_ASKED_AFTER = re.compile(r"[^\w\n]{0,3}\?")
_CONCLUDES = re.compile(
    r"[,;]\s+(?:so|thus|hence|therefore|then|giving|leaving|making)\b(?! that)", re.IGNORECASE
)
_SENTENCE_ENDS = re.compile(r"[.!?]\s|\n")
_CHANGED_AFTER = re.compile(
    r"\s(?:hundred|dozen|squared|cubed|factorial|and a (?:half|third|quarter))\b", re.IGNORECASE
)
_DENIED_AFTER = re.compile(
    r"\s+(?:is|was)(?:n't| not| wrong| incorrect| too| rejected| extraneous| invalid| impossible)\b",
    re.IGNORECASE,
)

# Letters of choices: capitals that stand alone. A is no article and I no pronoun before a word but `or`.
_LETTER = re.compile(
    r"(?<![A-Za-z'\\+*/^=_-])\(?([A-J])\)?(?![A-Za-z'+*/^=_])"
    r"(?!(?<=A) (?!or\b|and\b)[a-z]{2})(?!(?<=I) (?!or\b|and\b)[a-z])"
)
_JOINS_LETTERS = re.compile(r"[^\w\n]{0,4}(?:or|and)?[^\w\n]{0,4}", re.IGNORECASE)
_FIRST_LETTER = re.compile(
    r"\W{0,3}([A-J])(?:[)\].:,]+(?:\s|$)|\s+(?:because|since|as|is (?:the )?(?:correct|right))\b)"
)
_RULES_OUT = re.compile(
    r"(?:\b(?:not|neither|nor|n't be|non|nicht|kein|no|ne)|不是|并非|非|不选|不選|ではなく|아닌)\s*\(?$",
    re.IGNORECASE,
)
_RULED_OUT = re.compile(
    r"\)?\s+(?:is|was|are|would be)(?:n't| not| wrong| incorrect| false)\b|\)?\s+(?:cannot|can't|is out)\b",
    re.IGNORECASE,
)

# What follows an answer: reasons, asides, what it is not; and what introduces it.
_EXPLAINS = re.compile(
    r"(?P<why>[,;:]?\s+\(?(?:because|since|which|so that|while|although|though|given that|due to|i\.e|that is(?=,))\b)"
    r"|[,;]\s+(?!and\b|or\b)[a-z]{2,}\b(?!\s*[=:,]|\s+(?:and|or)\b)"
    r"|,?\s+(?:and not|rather than|instead of|not|non|nicht|no)\s+(?=\(?[A-Z\d]\b)"
)
_NOT_BUT = re.compile(r"\bnot\s+[^,.;]{1,40}?,?\s+but\s+(?:rather\s+)?", re.IGNORECASE)
_SAYS = re.compile(r"\b(?:is|are|equals|be|becomes)\b\s*:?\s*|(?<=\w):\s+", re.IGNORECASE)

# Other answers that are offered beside the first.
_OFFERS = (
    r"(?:or|alternatively),?\s+(?:maybe |possibly |perhaps |even |also |it (?:is|could be|might be) )?",
    r"(?:but |and )?(?:maybe|perhaps|possibly|it (?:could|might|may)(?: also| well)? be"
    r"|(?:could|might)(?: also)? be)\s+",
)
_HEDGES = re.compile(
    r"[\s.,;$)\\\]]{0,9}\(?(?:(?:actually|well|hmm|then again|however|although),?\s+)?"
    rf"(?:{'|'.join(_OFFERS)})(?=[-\d$(]|\\[(\[a-z]|[A-J]\b)",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:maybe|perhaps|possibly|might|could|either|(?:not|un)\s?sure|if\b.*\b(?:if|otherwise|else))\b",
    re.IGNORECASE,
)

_CODE = re.compile(
    r"\bdef \w+\(|\bprint\(|__\w+__|\blambda\b|\bimport\b|\w\((?:['\"]|\))|\bexec\b|\beval\b|\w\.[a-z]\w+\(|=>"
    r"|\bfor _ in\b"
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_DRESSING = re.compile(
    r"\\(?:begin|end)\s?\{\w+\*?\}|\\(?:text\w*|mathrm|mbox|operatorname)\s?\{[^{}]*\}|\\[a-zA-Z]+|\$(?!\s)[^$]*(?<!\s)\$(?!\d)"
)
_FIRST_IDEOGRAPH = "\u2e80"
_NO_PROSE = frozenset(units.NAMES) | frozenset(NAMED) | word_set("square cubic units unit sq")


def core(sentence: str, *, letters: bool = False) -> str:
    """A stated answer without its explanation: of `42 since 8*5 is too small` the 42."""
    sentence = sentence[:MAX_SENTENCE]
    if is_unsure(sentence):
        return sentence.strip()
    sentence = _without_explanation(sentence, letters=letters).strip()
    if letters and (found := choices(sentence)):
        return ", ".join(dict.fromkeys(found))
    if not is_prose(sentence, words=2):
        return sentence
    *_, said = [None, *_SAYS.finditer(sentence)]
    if said and says_something(sentence[said.end() :]):
        return sentence[said.end() :]
    if not FORMULA.search(sentence) and (found_numbers := numbers(sentence)):
        return sentence if _is_changed(found_numbers[0]) else found_numbers[0][0].strip()
    return sentence


def bare(text: str) -> str:
    """The whole text where it is an answer and nothing else, but perhaps for an explanation after it."""
    if is_code(text) or not is_prose(text) or is_unsure(text):
        return text
    head = _without_explanation(text).strip()
    return "" if is_prose(head) or ". " in head or _is_overtaken(head, text) else head


def _is_overtaken(head: str, text: str) -> bool:
    """Whether a sentence that begins with a number goes on to others: `There are 7 days in a week, so 7 * 4 = 28`."""
    tail = text.removeprefix(head)
    concludes = _CONCLUDES.search(tail)
    if concludes and concludes.start():  # 42, since 8 * 5 is too small, so it is larger
        concludes = None if is_prose(tail[concludes.end() :], words=1) else concludes
    if not numbers(head) or not (is_prose(head, words=1) or concludes):
        return False
    explains = _EXPLAINS.match(tail)
    if explains and explains["why"]:  # `it is 42 because 8 * 5 is too small` says 42, unless it is not all
        sentence_end = _SENTENCE_ENDS.search(tail)
        tail = tail[sentence_end.end() :] if sentence_end else ""
    return bool(numbers(tail))


def _without_explanation(sentence: str, *, letters: bool = False) -> str:
    sentence = _NOT_BUT.sub("", sentence)
    for explains in _EXPLAINS.finditer(sentence):
        head = sentence[: explains.start()]
        is_whole = head.strip() and head.count("{") == head.count("}")
        if is_whole and (explains["why"] or says_something(head) or (letters and choices(head))):
            return head
    return sentence


def is_unsure(text: str) -> bool:
    """Whether a text offers several numbers and says so: it might be 42, it could be 43; it is 42 if x > 0, else 43."""
    return _UNSURE.search(text) is not None and len(numbers(text)) > 1


def hedged(text: str, end: int) -> int | None:
    """Where another answer begins that is offered for the one that ends at `end`; None where none is."""
    hedge = _HEDGES.match(text, end)
    return hedge.end() if hedge else None


def choices(text: str) -> list[str]:
    """Letters of choices, in order, without those ruled out; the first alone where a text begins with it."""
    first = _FIRST_LETTER.match(text)
    if first and not _RULED_OUT.match(text, first.end(1)):
        return [first[1]]
    return [found[1] for found in _LETTER.finditer(text) if not _is_ruled_out(found)]


def last_choice(text: str) -> str | None:
    """The last letter of a choice, with those that it is listed with: `A, B` of `it is A or B`; None without any."""
    found = [letter for letter in _LETTER.finditer(text) if not _is_ruled_out(letter)]
    if not found or _FIRST_LETTER.match(text):
        return next(iter(choices(text)), None)
    start = len(found) - 1
    while start and _JOINS_LETTERS.fullmatch(text, found[start - 1].end(), found[start].start()):
        start -= 1
    return ", ".join(dict.fromkeys(letter[1] for letter in found[start:]))


def _is_ruled_out(letter: re.Match[str]) -> bool:
    before = letter.string[max(0, letter.start() - 12) : letter.start()]
    return bool(_RULED_OUT.match(letter.string, letter.end()) or _RULES_OUT.search(before))


def numbers(text: str) -> list[re.Match[str]]:
    """Numbers that are neither denied nor part of a longer expression, in order."""
    return [number for number in _NUMBER.finditer(text) if _stands_alone(number) and not _is_denied(number)]


def final_numbers(text: str) -> list[re.Match[str]]:
    """Numbers that may be the answer of a text that marks none: neither changed by a word nor asked about."""
    return [
        number
        for number in numbers(text)
        if not is_changed_before(text, number.start()) and not _ASKED_AFTER.match(text, number.end())
    ]


def _is_changed(number: re.Match[str]) -> bool:
    """Whether the word beside a number makes it another one, or none: at most 6, minus 6, 6 dozen."""
    changed = is_changed_before(number.string, number.start())
    return changed or _CHANGED_AFTER.match(number.string, number.end()) is not None


def is_changed_before(text: str, start: int) -> bool:
    """Whether the words before `start` change what stands there: less than 6, up to 6, between 5 and 6.

    Who `needs at least 6` has been asked how many are needed, and answers 6.
    """
    before = text[max(0, start - 60) : start]
    words = _WORDS_BEFORE.search(before[-40:])
    if words is None:
        return False
    last, other = words[2].lower(), (words[1] or "").lower()
    is_operand = last in ("of", "to", "by") and other in OF_OPERAND | CHANGING
    if last == "least" and _NEEDS.search(before):
        return False
    return last in CHANGING or is_operand or _BETWEEN_BEFORE.search(before) is not None


def listed_from(found: list[re.Match[str]]) -> int:
    """Where the list begins that ends with the last number: of `they are 1, 2 and 3`; `we add 3 and 4` lists none."""
    first = len(found) - 1
    gap = _LAST_GAP
    while first and gap.fullmatch(found[first].string, found[first - 1].end(), found[first].start()):
        first -= 1
        gap = _GAP
    start = found[first].start()
    are_listed = _ARE.search(found[first].string, max(0, start - 20), start)
    return start if are_listed else found[-1].start()


def denies_another(text: str) -> bool:
    """Whether a text rules one number out and names another: `not 10, it is 12`."""
    return any(map(_is_denied, _NUMBER.finditer(text))) and bool(numbers(text))


def _is_denied(number: re.Match[str]) -> bool:
    before = number.string[max(0, number.start() - 20) : number.start()].rstrip(" ")
    return bool(DENIED_BEFORE.search(before) or _DENIED_AFTER.match(number.string, number.end()))


def _stands_alone(number: re.Match[str]) -> bool:
    text = number.string
    before = text[max(0, number.start() - 12) : number.start()].rstrip(" ")
    after = text[number.end() : number.end() + 4]
    begins_line = before[-1:] in ("", "\n", ".", "。", ":")
    if after.startswith("(") or (begins_line and _LIST_MARK.match(text, number.end())):
        return False  # `2. Then ...` counts steps
    is_operand = before[-1:] in _OPERATOR_BEFORE or after.lstrip(" ")[:1] in _OPERATOR_AFTER
    return not (is_operand or _COMMAND_BEFORE.search(before))


def without_bold(text: str) -> str:
    """Without Markdown's stars around words."""
    return BOLD.sub(r"\2", text) if "*" in text else text


def says_something(text: str) -> bool:
    """Whether there is any mathematics in a text."""
    return _SOMETHING.search(text) is not None


def is_prose(text: str, words: int = 3) -> bool:
    """Whether a text has so many words outside of formulas that are no names of units or functions."""
    return sum(map(_count_words, _WORD.findall(_DRESSING.sub(" ", text)))) >= words


def _count_words(run: str) -> int:
    """How many words a run of letters is: none for a unit or a name, two characters a word in Chinese."""
    if run[0] >= _FIRST_IDEOGRAPH:
        return len(run) // 2
    return int(run.lower() not in _NO_PROSE and not run.isupper())


def is_code(text: str) -> bool:
    return _CODE.search(text) is not None
