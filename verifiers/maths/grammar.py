"""The grammar of answers: tokens to a tree, by recursive descent with a limit on nesting.

relation  = ratio (sign ratio)*                    x = 3, 0 < x <= 2, x \\in A
ratio     = setwise (":" setwise)*                 7 : 32
setwise   = sum (("cup" | "cap" | "setminus") sum)*
sum       = ["+" | "-"] product (("+" | "-" | "pm") product)*
product   = factor (["*" | "/"] factor)*           juxtaposition multiplies
factor    = primary postfix*                       x^2, 5!, x_1, f'
primary   = number | symbol | unit | function | \\frac | \\sqrt | bracket | |x| | matrix
"""

from __future__ import annotations

from fractions import Fraction

from proctor.verifiers.maths.lexer import Token, UnreadableError
from proctor.verifiers.maths.numerals import number_in_words
from proctor.verifiers.maths.trees import (
    MINUS_ONE,
    ONE,
    PI,
    Apply,
    Bracket,
    EULER,
    IMAGINARY,
    Matrix,
    Number,
    Power,
    Product,
    Relation,
    Sum,
    Symbol,
    Tree,
    Unit,
    Words,
    negative,
    quotient,
)

MAX_DEPTH = 30  # nesting of a real answer stays under 10; a level costs up to ten frames of Python's stack
MAX_EXPONENT = 400  # of 1e400: beyond it a literal is a bomb (Fraction writes all its digits out)
_END = Token("end of answer", "")
_STARTS_FACTOR = frozenset(
    {"number", "repeating", "symbol", "function", "structure", "unit", "open", "begin", "accent"}
)
_CLOSES = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "floor": "floor", "ceil": "ceil"}
_VARIADIC = frozenset({"gcd", "lcm", "max", "min"})
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sec": "arcsec", "csc": "arccsc",
            "sinh": "arcsinh", "cosh": "arccosh", "tanh": "arctanh"}  # fmt: skip


def parse(found: list[Token]) -> Tree:
    """The tree of one item. Raises UnreadableError where the tokens are no expression or relation."""
    reader = _Grammar(found)
    tree = reader.relation()
    if reader.peek() is not _END:
        raise UnreadableError(f"did not expect {reader.peek().text!r}")
    return tree


class _Grammar:
    """A cursor over tokens with one method per rule."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.position = 0
        self.depth = 0
        self.is_french = False  # inside of ]a, b[
        self.bars = 0  # open |...| at this bracket level, so that the next bar closes

    def peek(self, ahead: int = 0) -> Token:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else _END

    def take(self) -> Token:
        token = self.peek()
        self.position += 1
        return token

    def accept(self, kind: str, *texts: str) -> Token | None:
        token = self.peek()
        if token.kind != kind or (texts and token.text not in texts):
            return None
        self.position += 1
        return token

    def deepen(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError(f"nested more than {MAX_DEPTH} deep")

    def relation(self) -> Tree:
        self.accept("rel", "=", "~")
        sides = [self.ratio()]
        signs = []
        while sign := self.accept("rel"):
            signs.append(sign.text)
            sides.append(self.ratio())
        infix = self.accept("op", "choose", "over")
        if infix and not signs:
            other = self.ratio()
            return Apply("binom", (sides[0], other)) if infix.text == "choose" else quotient(sides[0], other)
        return Relation(tuple(sides), tuple(signs)) if signs else sides[0]

    def ratio(self) -> Tree:
        parts = [self.setwise()]
        while self.accept("rel", ":"):
            parts.append(self.setwise())
        return Apply("ratio", tuple(parts)) if len(parts) > 1 else parts[0]

    def setwise(self) -> Tree:
        tree = self.sum()
        for _ in range(MAX_DEPTH):
            operator = self.accept("op", "union", "intersection", "setminus")
            if operator is None:
                return tree
            tree = Apply(operator.text, (tree, self.sum()))
        raise UnreadableError(f"more than {MAX_DEPTH} set operations")

    def sum(self) -> Tree:
        terms: list[Tree] = []
        sign = self.accept("op", "+", "-", "pm", "mp")
        while True:
            term = self.product()
            match sign.text if sign else "+":
                case "-":
                    terms.append(negative(term))
                case "+":
                    terms.append(term)
                case either:
                    self.deepen()  # never to come up again: every such sign doubles what the sum may mean
                    terms = [Apply(either, (_sum(terms), term))]
            sign = self.accept("op", "+", "-", "pm", "mp")
            if sign is None:
                return _sum(terms)

    def product(self) -> Tree:
        parts: list[Tree] = []
        factors = [self.signed_factor()]
        while True:
            if self.accept("op", "*"):
                factors.append(self.signed_factor())
            elif self.accept("op", "/"):
                factors.append(Power(self.signed_factor(), MINUS_ONE))
            elif self.starts_factor():
                if self.peek().kind in ("number", "repeating") and not self.may_multiply_number(
                    factors[-1], alone=len(factors) == 1
                ):
                    if not isinstance(factors[-1], Unit | Power):
                        raise UnreadableError("two numbers side by side")
                    parts.append(_product(factors))  # 5 feet 6 inches
                    factors = []
                factors.append(self.factor())
            else:
                if parts and not any(isinstance(factor, Unit) for factor in factors):
                    raise UnreadableError("a number after a unit")
                return _sum([*parts, _product(factors)])

    def may_multiply_number(self, before: Tree, *, alone: bool) -> bool:
        """A number may follow a currency sign, a bracket or a symbol; not a number, nor a unit of measure."""
        if isinstance(before, Number | Symbol):
            return before in (PI, IMAGINARY)
        if isinstance(before, Unit):  # $12, but not 5 feet 6
            return alone
        return not (isinstance(before, Power) and isinstance(before.base, Unit))

    def starts_factor(self) -> bool:
        token = self.peek()
        if token.kind == "open" and token.text == "[" and self.is_french:
            return False
        return token.kind in _STARTS_FACTOR or (token.kind == "bar" and not self.bars)

    def signed_factor(self) -> Tree:
        sign = self.accept("op", "+", "-")
        factor = self.factor()
        return negative(factor) if sign and sign.text == "-" else factor

    def factor(self) -> Tree:
        tree = self.primary()
        for _ in range(MAX_DEPTH):
            if self.accept("op", "^"):
                tree = self.raised(tree)
            elif self.accept("op", "!"):
                tree = Apply("factorial", (tree,))
            elif self.accept("op", "'"):
                tree = Symbol(tree.name + "'") if isinstance(tree, Symbol) else Apply("prime", (tree,))
            elif self.accept("op", "_"):
                tree = self.subscripted(tree)
            else:
                return tree
        raise UnreadableError(f"more than {MAX_DEPTH} powers or signs on one factor")

    def raised(self, base: Tree) -> Tree:
        if self.accept("op", "'"):
            return Symbol(base.name + "'") if isinstance(base, Symbol) else Apply("prime", (base,))
        return Power(base, self.exponent())

    def exponent(self) -> Tree:
        self.deepen()
        sign = self.accept("op", "+", "-")
        tree = self.primary()
        if self.accept("op", "!"):
            tree = Apply("factorial", (tree,))
        if self.accept("op", "^"):
            tree = Power(tree, self.exponent())
        self.depth -= 1
        return negative(tree) if sign and sign.text == "-" else tree

    def subscripted(self, tree: Tree) -> Tree:
        if self.accept("open", "{"):
            start = self.position
            depth = 1
            while depth and self.peek() is not _END:
                token = self.take()
                depth += (token.kind == "open") - (token.kind == "close")
            inside = self.tokens[start : self.position - 1]
            index = "".join(token.text for token in inside if token.kind not in ("open", "close"))
        else:
            index = self.take().text
        if isinstance(tree, Symbol):
            return Symbol(f"{tree.name}_{index}")
        if isinstance(tree, Number):
            spelled = number_in_words([index])
            return _in_base(tree, int(index) if index.isdigit() else int(spelled or 0))
        return Apply("subscript", (tree, Symbol(index)))

    def primary(self) -> Tree:
        self.deepen()
        tree = self.primary_of(self.take())
        self.depth -= 1
        return tree

    def primary_of(self, token: Token) -> Tree:
        match token.kind:
            case "number":
                return self.mixed(_number(token.text))
            case "repeating":
                return _repeating(token.text)
            case "symbol":
                return Symbol(token.text)
            case "unit":
                return Unit(token.text)
            case "function":
                return self.function(token.text)
            case "structure":
                return self.structure(token.text)
            case "accent":
                return self.accented(token.text)
            case "open":
                return self.bracket(token.text)
            case "close" if token.text == "]":  # the French open interval ]a, b[
                return self.french_interval()
            case "bar":
                return self.absolute(token.text)
            case "begin":
                return self.matrix()
            case "dots":
                return Words("...")
            case "op" if token.text in ("+", "-"):
                return negative(self.factor()) if token.text == "-" else self.factor()
            case _:
                raise UnreadableError(f"did not expect {token.text or token.kind!r}")

    def accented(self, accent: str) -> Tree:
        r"""A bar over points names a segment (\overline{AB} is AB); over anything else it has a meaning."""
        inner = self.argument()
        points = inner.factors if isinstance(inner, Product) else ()
        if points and all(isinstance(point, Symbol) and point.name.isupper() for point in points):
            return inner
        return Apply(accent, (inner,))

    def mixed(self, whole: Number) -> Tree:
        r"""2\frac{1}{2} and 2 1/2 are mixed numbers; a number before any other fraction multiplies."""
        if whole.places is not None:
            return whole
        start = self.position
        if self.peek() == ("structure", "frac"):
            self.take()
            top, bottom = self.argument(), self.argument()
        elif self.peek().kind == "number" and self.peek(1) == ("op", "/") and self.peek(2).kind == "number":
            top, _, bottom = _number(self.take().text), self.take(), _number(self.take().text)
        else:
            return whole
        match top, bottom:
            case Number(above, None), Number(below, None) if 0 < above < below and above.denominator == 1:
                return Number(whole.value + above / below)
            case _:
                self.position = start
                return whole

    def argument(self) -> Tree:
        r"""What a command applies to: a group, or one token; of a number the first digit alone (\frac12)."""
        token = self.peek()
        if token.kind == "number" and token.text.isdigit() and len(token.text) > 1:
            self.tokens[self.position : self.position + 1] = [
                Token("number", d) for d in (token.text[0], token.text[1:])
            ]
        if self.accept("op", "-"):
            return negative(self.argument())
        return self.primary_plain()

    def primary_plain(self) -> Tree:
        token = self.peek()
        if token.kind == "number":
            self.take()
            return _number(token.text)
        return self.primary()

    def structure(self, name: str) -> Tree:
        match name:
            case "frac":
                top = self.argument()
                return quotient(top, self.argument())
            case "binom":
                return Apply("binom", (self.argument(), self.argument()))
            case "pmod" | "mod" | "bmod":
                raise UnreadableError("a modulus where a value should be")
            case "cbrt":
                return Power(self.primary(), Number(Fraction(1, 3)))
            case "sqrt" | "surd":
                degree = ONE if not self.accept("open", "[") else self.until("]")
                root = Number(Fraction(1, 2)) if degree is ONE else quotient(ONE, degree)
                radicand = (
                    self.primary_plain()
                    if self.peek().kind in ("number", "symbol", "open")
                    else self.argument()
                )
                return Power(radicand, root)
            case _:
                raise UnreadableError(f"no meaning for \\{name}")

    def function(self, name: str) -> Tree:
        power: Tree = ONE
        base: tuple[Tree, ...] = ()
        while True:
            if self.accept("op", "^"):
                power = self.exponent()
            elif self.accept("op", "_"):
                base = (self.argument(),)
            else:
                break
        if power == MINUS_ONE and name in _INVERSE:
            name, power = _INVERSE[name], ONE
        applied = _apply(name, (*self.function_arguments(), *base))
        return applied if power is ONE else Power(applied, power)

    def function_arguments(self) -> tuple[Tree, ...]:
        if self.peek().kind == "open":
            inner = self.primary()
            if isinstance(inner, Bracket):
                return inner.items
            return (inner,)
        sign = self.accept("op", "+", "-")
        factors = [self.factor()]
        while self.starts_factor() and self.peek().kind != "function":
            factors.append(self.factor())
        return (negative(_product(factors)) if sign and sign.text == "-" else _product(factors),)

    def until(self, close: str) -> Tree:
        tree = self.relation()
        if not self.accept("close", close):
            raise UnreadableError(f"{close} is missing")
        return tree

    def bracket(self, left: str, close: tuple[str, ...] = ()) -> Tree:
        bars, self.bars = self.bars, 0
        closes = close or (("]", ")", "[") if left in ("(", "[") else (_CLOSES[left],))
        if self.peek().text in closes and self.peek().kind == "close":
            self.take()
            self.bars = bars
            return ONE if left == "{" else Bracket((), left, _CLOSES[left])
        items = [self.member(left)]
        while self.accept("sep") or (left != "{" and self.accept("row")):
            items.append(self.member(left))
        token = self.take()
        if token.kind not in ("close", "open") or token.text not in closes:
            raise UnreadableError(f"{left} is not closed")
        self.bars = bars
        right = ")" if token.kind == "open" else token.text
        return _bracket(items, left, right)

    def french_interval(self) -> Tree:
        """]a, b[ is open; ]a, b] is closed on the right. Inside of it `[` ends, and begins nothing."""
        self.is_french = True
        tree = self.bracket("(", close=("[", "]"))
        self.is_french = False
        return tree

    def member(self, left: str) -> Tree:
        return self.set_builder() if left in ("\\{", "{") else self.relation()

    def set_builder(self) -> Tree:
        start = self.position
        tree = self.relation_without_ratio()
        if self.accept("bar") or self.accept("rel", ":"):
            conditions = [self.relation()]
            while self.accept("sep"):
                conditions.append(self.relation())
            return Apply("builder", (tree, *conditions))
        self.position = start
        return self.relation()

    def relation_without_ratio(self) -> Tree:
        self.bars += 1  # a bar after the first expression separates, and does not open an absolute value
        try:
            tree = self.setwise()
            return Relation((tree, self.setwise()), ("in",)) if self.accept("rel", "in") else tree
        finally:
            self.bars -= 1

    def absolute(self, bar: str) -> Tree:
        self.bars += 1
        inner = self.setwise()
        if not self.accept("bar", bar):
            raise UnreadableError("| is not closed")
        self.bars -= 1
        return Apply("abs", (inner,))

    def matrix(self) -> Tree:
        rows: list[list[Tree]] = [[]]
        while not self.accept("end"):
            if self.accept("row"):
                rows.append([])
            elif not self.accept("cell") and not self.accept("sep"):
                rows[-1].append(self.relation())
        return Matrix(tuple(tuple(row) for row in rows if row))


def _sum(terms: list[Tree]) -> Tree:
    if len(terms) == 1:
        return terms[0]
    return Sum(tuple(terms)) if terms else Number(Fraction(0))


def _product(factors: list[Tree]) -> Tree:
    match factors:
        case [
            Number(value, places),
            Power(Number(Fraction(numerator=10, denominator=1)), Number(exponent)),
        ] if exponent.denominator == 1 and abs(exponent) <= MAX_EXPONENT:  # 2.5 x 10^3 is a literal
            digits = None if places is None and exponent >= 0 else max(0, (places or 0) - int(exponent))
            return Number(value * Fraction(10) ** int(exponent), digits)
    return factors[0] if len(factors) == 1 else Product(tuple(factors))


def _number(text: str) -> Number:
    mantissa, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) > MAX_EXPONENT:
        raise UnreadableError(f"an exponent beyond {MAX_EXPONENT}")
    value = Fraction(text)
    if exponent:
        return Number(value, max(0, len(mantissa.partition(".")[2]) - int(exponent)))
    return Number(value, len(text.partition(".")[2]) if "." in text else None)


def _repeating(text: str) -> Number:
    digits = "".join(char for char in text if char.isdigit() or char in ".({")
    whole, _, decimals = digits.partition(".")
    fixed, _, cycle = decimals.replace("{", "(").partition("(")
    scale = 10 ** len(fixed)
    tail = Fraction(int(cycle), scale * (10 ** len(cycle) - 1))
    return Number(Fraction(int(whole or "0")) + Fraction(int(fixed or "0"), scale) + tail)


def _in_base(number: Number, base: int) -> Tree:
    digits = str(number.value)
    if not 2 <= base <= 36 or not digits.isdigit() or any(int(digit) >= base for digit in digits):
        raise UnreadableError(f"{digits} is no number in base {base}")
    return Apply("base", (Number(Fraction(int(digits, base))), Number(Fraction(base)), number))


def _apply(name: str, arguments: tuple[Tree, ...]) -> Tree:
    most = len(arguments) if name in _VARIADIC else 2 if name == "log" else 1
    if not 1 <= len(arguments) <= most:
        raise UnreadableError(f"{name} of {len(arguments)} arguments")
    if name == "exp":
        return Power(EULER, arguments[0])
    if name == "lg":
        return Apply("log", (arguments[0], Number(Fraction(10))))
    return Apply(name, arguments)


def _bracket(items: list[Tree], left: str, right: str) -> Tree:
    if left in ("floor", "ceil"):
        return Apply(left, tuple(items))
    if (left, right) in (("(", "]"), ("[", ")")) and len(items) != 2:
        raise UnreadableError(f"{left} closed by {right}")
    if len(items) == 1:
        return items[0] if left in ("{", "(") else Bracket((items[0],), left, right)
    return Bracket(tuple(items), "" if left == "{" else left, "" if left == "{" else right)
