"""Tokens of a line of a solution: numbers and operators in every common spelling, and the words between them.

Covers typographic and LaTeX operators, \\frac, thousands separators, currency signs, percent, bold mark-up,
units (`$5/hour`), products in words (`3 times 4`, `25% of 40`) and GSM8K's calculator notes. Variables,
roots, functions and whatever else is not understood become UNKNOWN. Linear in the length of the line: every
repeat that could be tried again from its middle is bounded.
"""

from __future__ import annotations

import re
from functools import lru_cache

from proctor.verifiers.steps.arithmetic import (
    BREAK,
    CLOSE,
    MAX_DIGITS,
    NOTE,
    NUMBER,
    OPEN,
    OPERATOR,
    POSTFIX,
    RELATION,
    SIGN,
    UNKNOWN,
    WORD,
    Token,
)

# Words that are arithmetic between numbers; `of` only after a share.
_SPOKEN = {"times": "*", "of": "*", "plus": "+", "minus": "-"}
# What stands right against a number is its unit only where it is one: 5kg, but not 2ac.
_SHORT_UNITS = frozenset(
    "kg mg lb lbs oz cm mm km ft in yd mi ml gal min hr hrs sec mph kph gb mb kb am pm usd".split()  # noqa: SIM905
)

# A run of plain words is one piece; the words above, and `percent`, stand alone. Every alternative starts
# with a character class or a literal, which the engine tells apart without trying it.
_SINGLE = r"(?:of|times|plus|minus|percent)(?![\w'’-])"
_LATIN = "A-Za-zÀ-ÖØ-öø-ɏ"
_PLAIN = rf"[{_LATIN}]{{2,}}(?:['’-][^\W\d_]+){{0,4}}"
_PIECE = re.compile(
    r"[\s$€£¥₹&`]+"
    r"|[0-9]+(?:\.[0-9]+)?-[^\W\d_]{2,}(?:-[^\W\d_]+){0,4}"
    r"|[0-9]+(?:st|nd|rd|th)\b"
    r"|[0-9]{1,2}:[0-9]{2}(?![0-9])"
    r"|[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?"
    r"|[0-9]+(?:\.[0-9]+)?"
    r"|\.[0-9]+"
    r"|[xX](?=\s{0,3}[$€£]?[0-9(.])"
    rf"|{_SINGLE}"
    rf"|[{_LATIN}]{{2,}}(?:['’-][^\W\d_]+){{0,4}}(?:\ (?!{_SINGLE})(?:{_PLAIN}|a(?=\s))){{0,16}}(?!\w)"
    rf"|[aI](?=\ [A-Za-z]{{2}})(?:\ (?!{_SINGLE})(?:{_PLAIN}|a(?=\s))){{0,16}}(?!\w)"
    rf"|[^\W\d_{_LATIN}Ͱ-Ͽ]+"
    r"|<<[^<>\n]{0,200}>>"
    r"|==?\s?~|=>|==?|~=|!="
    r"|\*\*"
    r"|\.(?!\\overline)[.,;:?\"]*|[,;:?<>→⇒≠≤≥“”\"]+"
    r"|\\[A-Za-z]+|\w+|.",
    re.DOTALL,
)
# Kind and spelling of the pieces that are always the same.
_FIXED = (
    {sign: (SIGN, "+-"[sign != "+"]) for sign in "+-−–"}
    | dict.fromkeys("*×·⋅∙", (OPERATOR, "*"))
    | dict.fromkeys("/÷", (OPERATOR, "/"))
    | {sign: (POSTFIX, sign) for sign in "%!"}
    | {"(": (OPEN, "("), "[": (OPEN, "("), ")": (CLOSE, ")"), "]": (CLOSE, ")")}
    | dict.fromkeys(("=", "=="), (RELATION, "="))
    | dict.fromkeys(("≈", "≃", "≅", "~=", "=~", "= ~", "==~", "== ~"), (RELATION, "≈"))
    | {"**": (OPERATOR, "^"), "^": (OPERATOR, "^"), "°": (WORD, "°")}
    | {sign: (BREAK, sign) for sign in (".", ",", ";", ":", "?", "<", ">", "=>", "!=")}
    | {letter: (UNKNOWN, letter) for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ|"}
)
_DIGIT = re.compile(r"[\d_]")
_SKIPPED = frozenset(" \t$€£¥₹&`")
_AMBIGUOUS = frozenset(("**", "x", "X", "|"))
_BREAKS = frozenset('.,;:?<>→⇒≠≤≥“”"')


def scan(line: str) -> list[Token]:
    """Tokens of a line; white space, currency signs and mark-up are left out."""
    pieces = _PIECE.findall(_without_latex(line))
    tokens: list[Token] = []
    touches = False
    for index, piece in enumerate(pieces):
        token = _remembered(piece, touches) if len(piece) < _MAX_REMEMBERED else _token(piece, touches)
        if piece in _AMBIGUOUS:
            token = _by_neighbours(pieces, index) or token
        if token.kind:
            tokens.append(token)
            touches = True
        elif token.text == " ":
            touches = False
    return _with_context(tokens)


def _token(piece: str, touches: bool) -> Token:
    """What a piece is when it stands alone; kind "" for what is left out, with text " " for white space."""
    first = piece[0]
    if piece in _FIXED:
        return Token(*_FIXED[piece], touches)
    if first.isspace() or first in "$€£¥₹&`":
        return Token("", " " if any(map(str.isspace, piece)) else "$")
    if "0" <= first <= "9" or (first == "." and "0" <= piece[1:2] <= "9"):
        text = piece.replace(",", "")
        if text[-1].isalpha():
            return Token(WORD, piece, touches)  # 30-minute, 3rd
        is_number = len(text) <= MAX_DIGITS and ":" not in text  # 12:30 is a time of day
        return Token(NUMBER if is_number else UNKNOWN, text, touches)
    if first in _BREAKS:
        return Token(NOTE if piece.startswith("<<") else BREAK, piece, touches)
    is_word = first.isalpha() and not ("Ͱ" <= first <= "Ͽ" and len(piece) == 1)
    return Token(WORD if is_word and not _DIGIT.search(piece) else UNKNOWN, piece, touches)


# The same numbers and operators come again and again; a look-up costs a tenth of the classification. Long
# pieces are not kept, so that hostile text cannot fill the memory.
_MAX_REMEMBERED = 24
_remembered = lru_cache(maxsize=8192)(_token)


def _by_neighbours(pieces: list[str], index: int) -> Token | None:
    """Where `**`, `x` and `|` are not as `_FIXED` says: bold type, a product, the edge of a table's cell."""
    before = pieces[index - 1] if index else " "
    after = pieces[index + 1] if index + 1 < len(pieces) else " "
    if pieces[index] == "|":
        return Token(BREAK, "|") if before.isspace() and after.isspace() else None
    if pieces[index] == "**":
        is_power = (before[-1].isalnum() and after[0].isalnum()) or before == ")" or after == "("
        return None if is_power or before == after == " " else Token("", "**")
    if before[-1] not in "0123456789)" and not before.isspace():
        return None
    following = pieces[index + 2 : index + 3] if _SKIPPED.issuperset(after) else [after]
    return Token(OPERATOR, "*") if following and following[0][0] in "(.0123456789" else None


def _with_context(tokens: list[Token]) -> list[Token]:
    """Settles what depends on the neighbours.

    `3 times 4` and `25% of 40` are products; `5 times a week` and `a total of 40` are words, as is the
    `/hour` of `$5/hour * 3 hours`; the `ac` of 2ac is a product of variables.
    """
    for index in range(1, len(tokens)):
        token, before = tokens[index], tokens[index - 1]
        if token.kind not in (WORD, OPERATOR):
            continue
        if token.text == "/":
            if index + 1 < len(tokens) and tokens[index + 1].kind == WORD:
                tokens[index] = token._replace(kind=WORD)
        elif token.kind != WORD:
            continue
        elif token.text == "percent" and before.kind == NUMBER:
            tokens[index] = token._replace(kind=POSTFIX, text="%")
        elif token.text in _SPOKEN:
            if _is_spoken_product(tokens, index):
                text = _SPOKEN[token.text]
                tokens[index] = Token(SIGN if text in "+-" else OPERATOR, text, is_spoken=True)
        elif token.touches and before.kind == NUMBER and token.text.isascii():
            unit = token.text.partition(" ")[0].lower()
            if len(unit) < 4 and unit not in _SHORT_UNITS:
                tokens[index] = token._replace(kind=UNKNOWN)
    return tokens


def _is_spoken_product(tokens: list[Token], index: int) -> bool:
    if index + 1 == len(tokens) or tokens[index + 1].kind not in (NUMBER, OPEN):
        return False
    before = tokens[max(0, index - 3) : index]
    if tokens[index].text != "of":
        return before[-1].kind in (NUMBER, CLOSE, POSTFIX)
    kinds = "".join(token.kind for token in before)
    return before[-1].text == "%" or (kinds == "nmn" and before[1].text == "/")


# LaTeX as models write it, to plain text. Each pattern is linear: no nesting, bounded repeats.
_TWICE_ESCAPED = re.compile(r"\\(?=\\[a-zA-Z]{2})")
_MIXED = re.compile(r"(?<![\d.,])(\d{1,9})\s?\\[dtc]?frac\s?\{(\d{1,9})\}\s?\{(\d{1,9})\}")
_FRACTION = re.compile(r"\\[dtc]?frac\s?\{([^{}]{1,80})\}\s?\{([^{}]{1,80})\}")
_SHORT_FRACTION = re.compile(r"\\[dtc]?frac\s?(\d)\s?(\d)")
_GROUP = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox|boxed|fbox)\s?\{([^{}]{0,120})\}")
_REPLACEMENTS = (
    (re.compile(r"\\(?:times|cdot|ast)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (re.compile(r"\\approx(?![a-zA-Z])"), "≈"),
    (re.compile(r"\\(?:left|right|displaystyle|[bB]igg?[lr]?)(?![a-zA-Z])|\\[,;!: ]"), ""),
    (re.compile(r"\\(?:q?quad|implies|[rR]ightarrow|to|therefore|iff)(?![a-zA-Z])|\\\\|\\[()\[\]]"), " | "),
    (re.compile(r"\\([$%&#])"), r"\1"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\^\{(-?\d{1,4})\}"), r"^(\1)"),
)
_SUPERSCRIPTS = str.maketrans({"²": "^2", "³": "^3"})


def _without_latex(line: str) -> str:
    if "²" in line or "³" in line:
        line = line.translate(_SUPERSCRIPTS)
    if "\\" not in line and "{" not in line:
        return line
    line = _MIXED.sub(r"(\1 \2/\3)", _TWICE_ESCAPED.sub("", line))
    for _ in range(3):  # fractions within fractions, three deep
        if "{" not in line:
            break
        line = _FRACTION.sub(r"((\1)/(\2))", _GROUP.sub(r" \1 ", line))
    line = _SHORT_FRACTION.sub(r"(\1/\2)", line)
    for pattern, replacement in _REPLACEMENTS:
        line = pattern.sub(replacement, line)
    return line
