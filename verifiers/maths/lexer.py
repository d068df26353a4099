"""Cuts an answer into tokens: numbers, symbols, functions, words, units, brackets, operators, relations."""

from __future__ import annotations

import re
from typing import NamedTuple

from proctor.verifiers.maths import units
from proctor.verifiers.maths.vocabulary import COMMANDS, NAMED, TEXT_COMMANDS, TRANSPARENT, is_word

MAX_CHARACTERS = 4000  # the longest gold in the public benchmarks has 1,100
MAX_TOKENS = 1500


class Token(NamedTuple):
    """One token. `kind` is number repeating symbol function structure word unit open close bar op rel sep begin
    end cell row big dots label accent stop; `text` is its canonical name."""

    kind: str
    text: str


class Unreadable(ValueError):
    """The text is no mathematics that this grammar knows, or is larger than any answer needs to be."""


_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<repeating>\d*\.\d*(?:\\(?:overline|bar|dot)\s?\{\d+\}|\(\d+\)))
    |(?P<number>(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d{1,3}(?:'\d{3})+(?!\d)|\d{1,3}(?:\ \d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+(?![\d.]))?
       |\.\d+(?:[eE][-+]?\d+(?![\d.]))?)
    |(?P<degree>\^\s?(?:\{\s?\\circ\s?\}|\\circ(?![a-zA-Z]))|\\degree(?![a-zA-Z])|\\textdegree(?![a-zA-Z]))
    |\\begin\s?\{(?P<begin>[a-zA-Z]+)\*?\}(?:\s?\{[^{}]*\}|\s?\[[^\[\]]*\])?
    |(?P<end>\\end\s?\{[a-zA-Z]+\*?\})
    |(?P<row>\\\\(?:\s?\[[-.\d]+[a-z]+\])?)
    |\\(?P<command>[a-zA-Z]+)\*?
    |(?P<escaped>\\[^a-zA-Z])
    |(?P<letters>[A-Za-z]+)
    |(?P<foreign>[^\W\d_](?:[^\W\d_]|[\u0300-\u036f\u0610-\u06ff\u0900-\u0fff])*)
    |(?P<operator>\*\*|\.{2,}|<=|>=|!=|==|:=|->|=>|[-+*/^_!=<>|,;:.&?'"()\[\]{}%$€£¥₹¢])
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
CHARACTERS = {text: Token(*token) for text, token in _CHARACTERS.items()}
_DOTS = Token("dots", "...")
_COMMANDS = {name: Token(*token) for name, token in COMMANDS.items()}
_NAMED = {name: Token(*token) for name, token in NAMED.items()}
_GLUED = re.compile(r"(\d*)(arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|ln|log|sqrt)([a-zA-Z])")
_TEMPERATURE = re.compile(r"\s?(?:\\(?:text|mathrm|rm)\s?\{\s?)?([CFK])(?![a-zA-Z])\}?")
_SCALES = {"C": "celsius", "F": "fahrenheit", "K": "kelvin"}
_GLUES = frozenset({"symbol", "op", "rel", "space"})
_ENDS_VALUE = frozenset({"number", "repeating", "close", "symbol", "unit", "end"})
_JOINS = frozenset({"and", "or"})


def tokens(text: str) -> list[Token]:
    """The tokens of a tidy answer. Raises Unreadable where it is too long or holds what no answer holds."""
    if len(text) > MAX_CHARACTERS:
        raise Unreadable(f"{len(text)} characters, more than {MAX_CHARACTERS}")
    found: list[Token] = []
    _scan(text, found, in_text=False)
    if len(found) > MAX_TOKENS:
        raise Unreadable(f"{len(found)} tokens, more than {MAX_TOKENS}")
    return found


def _scan(text: str, found: list[Token], *, in_text: bool) -> None:
    position, depth, length = 0, 0, len(text)
    while position < length:
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"no token at {text[position : position + 20]!r}")
        kind, position = match.lastgroup, match.end()
        lexeme = match[kind] if kind else ""
        match kind:
            case "space":
                pass
            case "number":
                if depth and "," in lexeme:  # a thousands separator, but inside of brackets a list
                    lexeme = lexeme[: lexeme.index(",")]
                    position = match.start() + len(lexeme)
                found.append(Token("number", lexeme.replace(",", "").replace(" ", "").replace("'", "")))
            case "repeating" | "begin" | "end" | "row":
                found.append(Token(kind, lexeme))
            case "degree":
                scale = _TEMPERATURE.match(text, position)
                position = scale.end() if scale else position
                found.append(Token("unit", _SCALES[scale[1]] if scale else "degree"))
            case "command" if lexeme in TEXT_COMMANDS:
                inner, position = group(text, position)
                _scan(inner, found, in_text=True)
            case "command":
                found.extend(_command(lexeme))
            case "letters":
                cut = _letters(lexeme, found, in_text=in_text)
                if cut[0].kind == "word" and text[position : position + 1] == "(":
                    raise Unreadable(f"a call of {lexeme}")
                found.extend(cut)
            case "foreign":
                found.append(Token("word", lexeme.lower()))
            case _:
                token = _DOTS if lexeme.startswith("..") else CHARACTERS.get(lexeme)
                if token is None:
                    raise Unreadable(f"no meaning for {lexeme!r}")
                depth += (token.kind == "open" and lexeme != "{") - (token.kind == "close" and lexeme != "}")
                found.append(token)


def group(text: str, position: int) -> tuple[str, int]:
    """The balanced group that starts at `position` (after white space), or one character; and where it ends."""
    while position < len(text) and text[position] == " ":
        position += 1
    if text[position : position + 1] != "{":
        return text[position : position + 1], position + 1
    depth = 0
    for index in range(position, len(text)):
        if text[index] == "{" and text[index - 1] != "\\":
            depth += 1
        elif text[index] == "}" and text[index - 1] != "\\":
            depth -= 1
            if not depth:
                return text[position + 1 : index], index + 1
    raise Unreadable("a group that never closes")


def _command(name: str) -> list[Token]:
    token = _COMMANDS.get(name)
    if token is not None:
        return [token]
    if name in TRANSPARENT:
        return []
    if name in ("bar", "overline", "tilde", "widetilde", "dot", "ddot"):
        return [Token("accent", name)]
    for length in range(len(name) - 1, 1, -1):  # \cdotx and \pir lack a space
        if name[:length] in _COMMANDS and _COMMANDS[name[:length]].kind in _GLUES:
            return [_COMMANDS[name[:length]], *(Token("symbol", letter) for letter in name[length:])]
    raise Unreadable(f"no meaning for \\{name}")


def _letters(run: str, before: list[Token], *, in_text: bool) -> list[Token]:
    """A run of letters is a name, a word, a unit, or a product of variables."""
    after_value = bool(before) and before[-1].kind in _ENDS_VALUE
    if after_value and run in units.NAMES and (in_text or run not in units.AMBIGUOUS):
        return [Token("unit", units.NAMES[run])]
    if len(run) == 1:
        return [Token("symbol", run)]
    named = _NAMED.get(run)
    if named is not None:
        return [named]
    if in_text or is_word(run) or run in units.NAMES:
        return [Token("word", run.lower())]
    glued = _GLUED.fullmatch(run)
    if glued:
        return [_NAMED[glued[2]], Token("symbol", glued[3])]
    if run.endswith("pi") and len(run) == 3:
        return [Token("symbol", run[0]), Token("symbol", "pi")]
    return [Token("symbol", letter) for letter in run]
