"""Expressions among words: where in a line one ends, or starts, and how it is to be read."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from proctor.verifiers.steps.arithmetic import (
    BREAK,
    MAX_TOKENS,
    NOTE,
    NUMBER,
    OPERATOR,
    SIGN,
    UNKNOWN,
    WORD,
    Token,
)
from proctor.verifiers.steps.notation import scan

# An expression among words, over the kinds of tokens. A bracket is folded into g and fillers, or j where it
# is joined to what stands before it (an implicit product). Words between a number and its operator: its unit.
_OPERAND = r"(?:n|g_*)(?:j_*)*p*"
_FORWARDS = re.compile(rf"a?{_OPERAND}(?:w{{0,6}}[am]a?{_OPERAND})*")
_BACKWARDS = re.compile(r"w{0,6}p*(?:_*j)*(?:n|_*g)(?:a?[am]w{0,6}p*(?:_*j)*(?:n|_*g))*")
_HAS_OPERATION = re.compile(r"[n)p][am(]")
_FUNCTIONS = frozenset(
    (
        "sin",
        "cos",
        "tan",
        "log",
        "ln",
        "exp",
        "sqrt",
        "mod",
        "gcd",
        "lcm",
        "max",
        "min",
        "floor",
        "ceil",
        "round",
    )
)


class Line(NamedTuple):
    """A line of a solution, as tokens and as a string of their kinds."""

    tokens: list[Token]
    letters: str  # kind of each token, brackets folded
    backwards: str


class Reading(NamedTuple):
    """Tokens first:last of a line, read as one expression."""

    line: Line
    first: int
    last: int
    is_sure: bool = True  # False: it runs on from another number, or a word changes what it means

    def numeric(self) -> list[Token]:
        """Its tokens, units left out."""
        tokens, letters = self.line.tokens[self.first : self.last], self.line.letters[self.first : self.last]
        if "w" not in letters and "_" not in letters:
            return tokens
        return [
            token
            for token, letter in zip(tokens, letters, strict=True)
            if letter != WORD and token.kind not in (WORD, NOTE)
        ]


def read_line(text: str) -> Line:
    """The tokens of a line, brackets folded."""
    tokens = scan(text)
    letters = "".join([token.kind for token in tokens])
    if "(" in letters:
        letters = _fold_brackets(tokens, letters)
    return Line(tokens, letters, letters[::-1])


def has_operation(tokens: list[Token]) -> bool:
    """Whether anything is calculated; a sign or a percent alone is not."""
    kinds = "".join([token.kind for token in tokens])
    return bool(_HAS_OPERATION.search(kinds)) or ("p" in kinds and any(token.text == "!" for token in tokens))


def last_expressions(line: Line, start: int, end: int) -> list[Reading]:
    """The expression that a side ends with: of `so she paid 3 * 4 dollars`, 3 * 4.

    Two readings where a whole number stands before a fraction (`1 1/2 * 4`), none where it is not clear
    what the expression starts with.
    """
    tokens, letters, backwards = line
    size = len(letters)
    match = _BACKWARDS.match(backwards, size - end, size - start)
    if not match:
        return []
    first = size - match.end()
    before = letters[first - 1] if first > start else BREAK
    if before in "am":
        is_listed = first == 1 and not tokens[first].touches  # the dash or star of a list
        is_sign = before == SIGN and tokens[first].touches and not tokens[first - 1].touches
        if not is_listed and not is_sign and not (before == SIGN and first - 1 == start):
            return []
        before, first = BREAK, first if is_listed else first - 1
    if before == UNKNOWN or (before == WORD and _last_word(tokens[first - 1]) in _FUNCTIONS):
        return []
    is_sure = before not in "ngjp_" and not _has_share(tokens[first:end])
    readings = [Reading(line, first, end, is_sure)]
    if before == NUMBER and letters.startswith("nmn", first) and tokens[first + 1].text == "/":
        readings.append(Reading(line, first - 1, end))
    return readings


def _last_word(token: Token) -> str:
    return token.text.rpartition(" ")[2].lower()


def _has_share(tokens: list[Token]) -> bool:
    """Whether something is a share of what is not said, 2/3 of the people, or a rate, 2 pages/1.5 minutes."""
    return any(token.text == "of" for token in tokens) or any(
        unit.kind == WORD and slash.kind == OPERATOR and slash.text == "/" and slash.touches
        for unit, slash in pairwise(tokens)
    )


def first_expressions(line: Line, start: int, end: int) -> list[Reading]:
    """The expression that a side starts with; two readings where it may end at a word before an operator."""
    tokens, letters, _ = line
    match = _FORWARDS.match(letters, start, end)
    if not match:
        return []
    last = match.end()
    following = letters[last : min(end, last + 2)]
    if following[:1] == UNKNOWN or following in ("ax", "mx"):
        return []
    readings = [Reading(line, start, last, following[:1] not in ("n", "g"))]
    for index in range(start + 1, last):
        if letters[index] == WORD or tokens[index].is_spoken:
            readings.append(Reading(line, start, index))
            break
    return readings


def _fold_brackets(tokens: list[Token], letters: str) -> str:
    """A balanced bracket becomes one letter and fillers: g a value, j one joined on, w an aside, x else."""
    folded = list(letters)
    opened: list[int] = []
    for index, letter in enumerate(letters):
        if letter in "b=":
            opened.clear()
        elif letter == "(":
            opened.append(index)
        elif letter == ")" and opened:
            start = opened.pop()
            size = index + 1 - start
            if size > MAX_TOKENS:  # too long to have a value; and nested ones would take quadratic time
                folded[start] = folded[index] = UNKNOWN
                continue
            inside = set(folded[start + 1 : index])
            before = folded[start - 1] if start and tokens[start].touches else ""
            if not inside & set("ngjx"):
                # An aside, as in $35 (manicure); right after a letter it may be anything.
                folded[start : index + 1] = ("x" if before else "w") * size
            elif "x" in inside or before in ("w", "x"):
                folded[start : index + 1] = "x" * size  # f(2)
            else:
                folded[start : index + 1] = ("j" if before and before in "ngjp_" else "g") + "_" * (size - 1)
    return "".join(folded).replace("(", "b").replace(")", "b")
