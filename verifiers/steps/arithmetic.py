"""Exact value of a written arithmetic expression, by a small parser of our own: nothing is ever evaluated.

Covers + - * / ^, brackets, percent, factorials, mixed numbers (1 1/2) and implicit products (2(3 + 4)).
Bounded: numbers of 40 digits, values of 4,000 bits, 200 tokens, 40 brackets deep; a larger expression has no
value. `notation.scan` makes the tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

Number: TypeAlias = "int | Fraction"

MAX_DIGITS = 40
MAX_BITS = 4_000
MAX_TOKENS = 200
MAX_DEPTH = 40
MAX_FACTORIAL = 100

# Kinds of tokens: one letter each, so that a line of them is a string that patterns can search.
NUMBER, SIGN, OPERATOR, OPEN, CLOSE, POSTFIX = "n", "a", "m", "(", ")", "p"
WORD, UNKNOWN, BREAK, RELATION, NOTE = "w", "x", "b", "=", "c"


class Token(NamedTuple):
    """One token of a line. A tuple, not a dataclass: a response has hundreds, and these cost a third."""

    kind: str
    text: str  # SIGN: + -; OPERATOR: * / ^; POSTFIX: % !; RELATION: = ≈; numbers have no separators
    touches: bool = False  # whether it follows the token before without white space
    is_spoken: bool = False  # an operator written as a word


def evaluate(tokens: Sequence[Token]) -> Number | None:
    """Exact value; None where the tokens are no expression, divide by zero, or are too large to say."""
    if len(tokens) == 1:
        return number(tokens[0].text) if tokens[0].kind == NUMBER else None
    if not tokens or len(tokens) > MAX_TOKENS:
        return None
    try:
        parser = _Parser(tokens)
        value = parser.sum(0)
    except (_NoValueError, ZeroDivisionError):
        return None
    return value if parser.at == len(tokens) else None


def number(text: str) -> Number:
    """Exact value of a decimal numeral without separators."""
    whole, point, digits = text.partition(".")
    if not point:
        return int(whole)
    digits = digits.rstrip("0")
    return Fraction(int(whole + digits), 10 ** len(digits)) if digits else int(whole or "0")


def decimals(token: Token) -> int:
    """How many digits a number shows after its point."""
    return len(token.text.partition(".")[2])


class _NoValueError(Exception):
    """The tokens are no expression, or one that is too large."""


class _Parser:
    """Recursive descent: sum > product > sign > power > postfix > atom. `at` is the next token."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.kinds = "".join([token.kind for token in tokens]) + "$"
        self.at = 0

    def sum(self, depth: int) -> Number:
        value = self.product(depth)
        while self.kinds[self.at] == SIGN:
            sign = self.take()
            term = self.product(depth)
            value = _simple(value + term if sign == "+" else value - term)
        return value

    def product(self, depth: int) -> Number:
        value = self.signed(depth)
        while True:
            kind = self.kinds[self.at]
            if kind == OPERATOR and self.tokens[self.at].text != "^":
                operator = self.take()
            elif kind == OPEN:  # 2(3 + 4)
                operator = "*"
            else:
                return value
            factor = self.signed(depth)
            value = _simple(value * factor if operator == "*" else Fraction(value) / factor)
            if _bits(value) > MAX_BITS:
                raise _NoValueError

    def signed(self, depth: int) -> Number:
        sign = 1
        while self.kinds[self.at] == SIGN:
            sign = -sign if self.take() == "-" else sign
        return sign * self.power(depth)

    def power(self, depth: int) -> Number:
        base = self.postfix(depth)
        if self.kinds[self.at] != OPERATOR or self.tokens[self.at].text != "^":
            return base
        if depth >= MAX_DEPTH:
            raise _NoValueError
        self.take()
        exponent = self.signed(depth + 1)  # binds to the right, and may be negative
        if not isinstance(exponent, int) or _bits(base) * abs(exponent) > MAX_BITS:
            raise _NoValueError
        return _simple(Fraction(base) ** exponent)

    def postfix(self, depth: int) -> Number:
        value = self.atom(depth)
        while self.kinds[self.at] == POSTFIX:
            if self.take() == "%":
                value = _simple(Fraction(value) / 100)
            elif isinstance(value, int) and 0 <= value <= MAX_FACTORIAL:
                value = math.factorial(value)
            else:
                raise _NoValueError
        return value

    def atom(self, depth: int) -> Number:
        kind = self.kinds[self.at]
        if kind == NUMBER:
            return self.mixed(self.take())
        if kind != OPEN or depth >= MAX_DEPTH:
            raise _NoValueError
        self.take()
        value = self.sum(depth + 1)
        if self.kinds[self.at] != CLOSE:
            raise _NoValueError
        self.take()
        return value

    def mixed(self, whole: str) -> Number:
        """`1 1/2` is one and a half; any other number is itself."""
        value = number(whole)
        if not self.kinds.startswith(NUMBER + OPERATOR + NUMBER, self.at):
            return value
        above, slash, below = (token.text for token in self.tokens[self.at : self.at + 3])
        if slash != "/" or not (whole.isdigit() and above.isdigit() and below.isdigit()):
            raise _NoValueError
        self.at += 3
        return _simple(value + Fraction(int(above), int(below)))

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1].text


def _simple(value: Number) -> Number:
    return value.numerator if value.denominator == 1 else value


def _bits(value: Number) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()
