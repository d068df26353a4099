"""Cuts an answer into tokens: numbers, symbols, functions, words, units, brackets, operators, relations."""

from __future__ import annotations

import re
from typing import NamedTuple

from proctor.verifiers.maths import units
from proctor.verifiers.maths.vocabulary import (
    ACCENTS,
    COMMANDS,
    NAMED,
    TEXT_COMMANDS,
    TRANSPARENT,
    is_word,
    word_set,
)

MAX_CHARACTERS = 4000  # the longest gold in the public benchmarks has 1,100
MAX_TOKENS = 1500
_MAX_NESTED_TEXT = 10  # \text inside of \text


class Token(NamedTuple):
    """One token. `text` is its canonical name; `kind` is one of

    number, repeating, symbol, function, structure, word, unit, open, close, bar, op, rel, sep (between the
    items of a list), begin, end, cell, row, big (sum, integral, limit), dots, label, accent, stop.
    """

    kind: str
    text: str


class UnreadableError(ValueError):
    """The text is no mathematics that this grammar knows, or is larger than any answer needs to be."""


_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<repeating>\d*\.\d*(?:\\(?:overline|bar|dot)\s?\{\d+\}|\(\d+\)))
    |(?P<number>
       (?:[1-9]\d{0,2}(?:,\d{3})+(?![\d,]) | \d{1,3}(?:'\d{3})+(?!\d) | \d{1,3}(?:\ \d{3})+(?!\d) | \d+)
       (?:\.\d+)?(?:[eE][-+]?\d+(?![\d.]))?
       | \.\d+(?:[eE][-+]?\d+(?![\d.]))?)
    |(?P<degree>\^\s?(?:\{\s?(?:\\circ|o)\s?\}|\\circ(?![a-zA-Z]))|\\degree(?![a-zA-Z])|\\textdegree(?![a-zA-Z]))
    |\\begin\s?\{(?P<begin>[a-zA-Z]+)\*?\}(?:\s?\{[^{}]*\}|\s?\[[^\[\]]*\])?
    |(?P<end>\\end\s?\{[a-zA-Z]+\*?\})
    |(?P<row>\\\\(?:\s?\[[-.\d]+[a-z]+\])?)
    |\\(?P<command>[a-zA-Z]+)\*?
    |(?P<escaped>\\[^a-zA-Z])
    |(?P<letters>[A-Za-z]+)
    |(?P<foreign>[^\W\d_](?:[^\W\d_]|[\u0300-\u036f\u0610-\u06ff\u0900-\u0fff])*)
    |(?P<dots>\.{2,})
    |(?P<operator>\*\*|<=|>=|!=|==|:=|->|=>|[-+*/^_!=<>|,;:.&?'"()\[\]{}%$€£¥₹¢])
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_CHARACTERS = {
    "**": ("op", "^"), "^": ("op", "^"), "*": ("op", "*"), "/": ("op", "/"), "+": ("op", "+"), "-": ("op", "-"),
    "_": ("op", "_"), "!": ("op", "!"), "'": ("op", "'"), "=": ("rel", "="), "==": ("rel", "="), ":=": ("rel", "="),
    "<": ("rel", "<"), ">": ("rel", ">"), "<=": ("rel", "<="), ">=": ("rel", ">="), "!=": ("rel", "!="),
    ":": ("rel", ":"), "->": ("rel", "->"), "=>": ("rel", "->"), "|": ("bar", "|"), "\\|": ("bar", "||"),
    ",": ("sep", ","), ";": ("sep", ";"), "&": ("cell", "&"), "\\&": ("sep", "and"), ".": ("stop", "."),
    "?": ("stop", "?"), '"': ("stop", '"'), "(": ("open", "("), "[": ("open", "["), "{": ("open", "{"),
    ")": ("close", ")"), "]": ("close", "]"), "}": ("close", "}"), "\\{": ("open", "\\{"), "\\}": ("close", "\\}"),
    "\\_": ("stop", "_"),
    **{sign: ("unit", name) for sign, name in units.SIGNS.items()},
}  # fmt: skip
_CHARACTER_TOKENS = {text: Token(*token) for text, token in _CHARACTERS.items()}
_COMMAND_TOKENS = {name: Token(*token) for name, token in COMMANDS.items()}
_NAMED_TOKENS = {name: Token(*token) for name, token in NAMED.items()}
_GLUED = re.compile(r"(arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|ln|log|sqrt)([a-zA-Z])")
_TEMPERATURE = re.compile(r"\s?(?:\\(?:text|mathrm|rm)\s?\{\s?)?([CFK])(?![a-zA-Z])\}?")
_ENDS_IN_TIMES = re.compile(r"(?<![\\\w])times[\s}]{0,9}\Z")  # `7 times` multiplies nothing
# Before one of these words `a` is no variable.
_ARTICLE = re.compile(
    r"\s(?:half|third|quarter|fourth|fifth|sixth|eighth|tenth|hundred|thousand|million|billion|dozen|total)\b"
)
_SCALES = {"C": "celsius", "F": "fahrenheit", "K": "kelvin"}
_MAY_LACK_A_SPACE = word_set("symbol op rel space")
_ENDS_VALUE = word_set("number repeating close symbol unit end")


def tokens(text: str) -> list[Token]:
    """The tokens of a tidy answer. Raises UnreadableError where it is too long or holds what no answer holds."""
    if len(text) > MAX_CHARACTERS:
        raise UnreadableError(f"{len(text)} characters, more than {MAX_CHARACTERS}")
    found: list[Token] = []
    _Scanner(found).scan(text)
    if found[-1:] == [("op", "*")] and _ENDS_IN_TIMES.search(text):
        found[-1] = Token("word", "times")
    if len(found) > MAX_TOKENS:
        raise UnreadableError(f"{len(found)} tokens, more than {MAX_TOKENS}")
    return found


class _Scanner:
    """Goes through a text and appends its tokens; the content of \\text{} is scanned as language."""

    def __init__(self, found: list[Token], *, nested_text: int = 0) -> None:
        self.found = found
        self.nested_text = nested_text
        self.depth = 0  # open brackets, braces of TeX groups not counted
        self.position = 0

    def scan(self, text: str) -> None:
        if self.nested_text > _MAX_NESTED_TEXT:
            raise UnreadableError("text inside of text")
        while self.position < len(text):
            match = _TOKEN.match(text, self.position)
            if match is None or match.lastgroup is None:
                raise UnreadableError(f"no token at {text[self.position : self.position + 20]!r}")
            self.position = match.end()
            self.add(match.lastgroup, match[match.lastgroup], text)

    def add(self, kind: str, lexeme: str, text: str) -> None:
        match kind:
            case "space":
                pass
            case "number":
                self.number(lexeme)
            case "repeating" | "begin" | "end" | "row":
                self.found.append(Token(kind, lexeme))
            case "dots":
                self.found.append(Token("dots", "..."))
            case "degree":
                self.degree(text)
            case "command" if lexeme in TEXT_COMMANDS:
                inner, self.position = _group(text, self.position)
                _Scanner(self.found, nested_text=self.nested_text + 1).scan(inner)
            case "command":
                self.found.extend(_command(lexeme))
            case "letters":
                self.letters(lexeme, text)
            case "foreign":
                self.found.append(Token("word", lexeme.lower()))
            case _:
                self.character(lexeme)

    def number(self, lexeme: str) -> None:
        if self.depth and "," in lexeme:  # a thousands separator, but inside of brackets a list
            first = lexeme[: lexeme.index(",")]
            self.position -= len(lexeme) - len(first)
            lexeme = first
        self.found.append(Token("number", lexeme.replace(",", "").replace(" ", "").replace("'", "")))

    def degree(self, text: str) -> None:
        scale = _TEMPERATURE.match(text, self.position)
        self.position = scale.end() if scale else self.position
        self.found.append(Token("unit", _SCALES[scale[1]] if scale else "degree"))

    def letters(self, run: str, text: str) -> None:
        if run in ("a", "A") and _ARTICLE.match(text, self.position):
            self.found.append(Token("word", "a"))
            return
        is_call = text[self.position : self.position + 1] == "("
        cut = _letters(run, self.found, in_text=self.nested_text > 0)
        if is_call and cut[0].kind == "word":
            raise UnreadableError(f"a call of {run}")
        self.found.extend(cut)

    def character(self, lexeme: str) -> None:
        token = _CHARACTER_TOKENS.get(lexeme)
        if token is None:
            raise UnreadableError(f"no meaning for {lexeme!r}")
        self.depth += (token.kind == "open" and lexeme != "{") - (token.kind == "close" and lexeme != "}")
        self.found.append(token)


def _group(text: str, position: int) -> tuple[str, int]:
    """The balanced group that starts at `position`, or one character; and where it ends."""
    while text[position : position + 1] == " ":
        position += 1
    if text[position : position + 1] != "{":
        return text[position : position + 1], position + 1
    depth = 0
    for index in range(position, len(text)):
        if text[index] in "{}" and text[index - 1] != "\\":
            depth += 1 if text[index] == "{" else -1
            if not depth:
                return text[position + 1 : index], index + 1
    raise UnreadableError("a group that never closes")


def _command(name: str) -> list[Token]:
    token = _COMMAND_TOKENS.get(name)
    if token is not None:
        return [token]
    if name in TRANSPARENT:
        return []
    if name in ACCENTS:
        return [Token("accent", name)]
    for length in range(len(name) - 1, 1, -1):  # \cdotx and \pir lack a space
        known = _COMMAND_TOKENS.get(name[:length])
        if known and known.kind in _MAY_LACK_A_SPACE:
            return [known, *(Token("symbol", letter) for letter in name[length:])]
    raise UnreadableError(f"no meaning for \\{name}")


def _letters(run: str, before: list[Token], *, in_text: bool) -> list[Token]:
    """A run of letters is a unit, a name, a word, or a product of variables."""
    after_value = bool(before) and before[-1].kind in _ENDS_VALUE
    if after_value and run in units.NAMES and (in_text or run not in units.AMBIGUOUS):
        return [Token("unit", units.NAMES[run])]
    if len(run) == 1:
        return [Token("symbol", run)]
    named = _NAMED_TOKENS.get(run)
    if named is not None:
        return [named]
    if in_text or is_word(run) or run in units.NAMES:
        return [Token("word", run.lower())]
    glued = _GLUED.fullmatch(run)
    if glued:
        return [_NAMED_TOKENS[glued[1]], Token("symbol", glued[2])]
    if run.endswith("pi") and len(run) == 3:
        return [Token("symbol", run[0]), Token("symbol", "pi")]
    return [Token("symbol", letter) for letter in run]
