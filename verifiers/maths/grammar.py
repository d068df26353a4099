"""The grammar of answers: tokens to a tree, by recursive descent with a limit on nesting.

relation  = ratio (sign ratio)*                    x = 3, 0 < x <= 2, x \\in A
ratio     = setwise (":" setwise)*                 7 : 32
setwise   = sum (("cup" | "cap" | "setminus") sum)*
sum       = [sign] product (sign product)*         sign is + - pm mp
product   = factor (["*" | "/"] factor)*           juxtaposition multiplies
factor    = primary postfix*                       x^2, 5!, x_1, f'
primary   = number | symbol | unit | function | \\frac | \\sqrt | bracket | |x| | matrix
"""

from __future__ import annotations

from fractions import Fraction

from proctor.verifiers.maths import literals
from proctor.verifiers.maths.forming import (
    accented,
    applied,
    bracketed,
    grouped,
    has_unit,
    multiplies_number,
    primed,
    product_of,
    sum_of,
)
from proctor.verifiers.maths.lexer import Token, UnreadableError
from proctor.verifiers.maths.trees import (
    MINUS_ONE,
    ONE,
    Apply,
    Bracket,
    Matrix,
    Number,
    Power,
    Relation,
    Symbol,
    Tree,
    Unit,
    Words,
    negative,
    quotient,
)
from proctor.verifiers.maths.vocabulary import word_set

# Nesting of a real answer stays under 10, and a level costs up to ten frames of Python's stack.
MAX_DEPTH = 30
_END = Token("end of answer", "")
_STARTS_FACTOR = word_set("number repeating symbol function structure unit open begin accent")
_SIGNS = ("+", "-", "pm", "mp")
_CLOSES = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "floor": "floor", "ceil": "ceil"}
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sec": "arcsec", "csc": "arccsc",
            "sinh": "arcsinh", "cosh": "arccosh", "tanh": "arctanh"}  # fmt: skip


def parse(found: list[Token]) -> Tree:
    """The tree of one item. Raises UnreadableError where the tokens are no expression or relation."""
    reader = _Grammar(found)
    tree = reader.relation()
    if reader.peek() is not _END:
        raise UnreadableError(f"did not expect {reader.peek().text!r}")
    return tree


def _begins_member(token: Token) -> bool:
    return token.kind in (*_STARTS_FACTOR, "bar", "close") or token in (("op", "-"), ("op", "+"))


class _Grammar:
    """A cursor over tokens with one method per rule."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.position = 0
        self.depth = 0
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
        if signs:
            return Relation(tuple(sides), tuple(signs))
        infix = self.accept("op", "choose", "over")
        if infix is None:
            return sides[0]
        other = self.ratio()
        return Apply("binom", (sides[0], other)) if infix.text == "choose" else quotient(sides[0], other)

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
        sign = self.accept("op", *_SIGNS)
        while True:
            term = self.product()
            match sign.text if sign else "+":
                case "-":
                    terms.append(negative(term))
                case "+":
                    terms.append(term)
                case either:
                    self.deepen()  # never to come up again: every such sign doubles what the sum may mean
                    terms = [Apply(either, (sum_of(terms), term))]
            sign = self.accept("op", *_SIGNS)
            if sign is None:
                return sum_of(terms)

    def product(self) -> Tree:
        """Factors; `5 feet 6 inches` is a sum of such products."""
        parts: list[Tree] = []
        factors = [self.signed_factor()]
        while True:
            if self.accept("op", "*"):
                factors.append(self.signed_factor())
            elif self.accept("op", "/"):
                factors.append(Power(self.signed_factor(), MINUS_ONE))
            elif not self.starts_factor():
                break
            else:
                if self.peek().kind in ("number", "repeating") and not multiplies_number(factors):
                    parts.append(product_of(factors))
                    factors = []
                factors.append(self.factor())
        if parts and not all(map(has_unit, [*parts, product_of(factors)])):
            raise UnreadableError("two numbers side by side")
        return sum_of([*parts, product_of(factors)])

    def starts_factor(self) -> bool:
        token = self.peek()
        if token == ("open", "[") and not _begins_member(self.peek(1)):
            return False  # it closes [2, 5[ or ]2, 5[
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
                tree = primed(tree)
            elif self.accept("op", "_"):
                tree = self.subscripted(tree)
            else:
                return tree
        raise UnreadableError(f"more than {MAX_DEPTH} powers or signs on one factor")

    def raised(self, base: Tree) -> Tree:
        return primed(base) if self.accept("op", "'") else Power(grouped(base), self.exponent())

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
        start, depth = self.position, 0
        while True:
            token = self.take()
            depth += (token.kind == "open") - (token.kind == "close")
            if depth <= 0 or token is _END:
                break
        inside = self.tokens[start : self.position]
        index = "".join(token.text for token in inside if token.kind not in ("open", "close"))
        match tree:
            case Symbol(name):
                return Symbol(f"{name}_{index}")
            case Number():
                return literals.in_base(tree, index)
            case _:
                return Apply("subscript", (tree, Symbol(index)))

    def primary(self) -> Tree:
        self.deepen()
        tree = self.primary_of(self.take())
        self.depth -= 1
        return tree

    def primary_of(self, token: Token) -> Tree:
        match token.kind:
            case "number":
                return self.mixed(literals.number(token.text))
            case "repeating":
                return literals.repeating(token.text)
            case "symbol":
                return Symbol(token.text)
            case "unit":
                return Unit(token.text)
            case "function":
                return self.function(token.text)
            case "structure":
                return self.structure(token.text)
            case "accent":
                return accented(token.text, self.argument())
            case "open":
                return self.bracket(token.text)
            case "close" if token.text == "]":
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

    def mixed(self, whole: Number) -> Tree:
        r"""2\frac{1}{2} and 2 1/2 are mixed numbers; a number before any other fraction multiplies."""
        start = self.position
        if whole.places is not None:
            return whole
        if self.accept("structure", "frac"):
            top, bottom = self.argument(), self.argument()
        elif self.peek().kind == "number" and self.peek(1) == ("op", "/") and self.peek(2).kind == "number":
            top, _, bottom = literals.number(self.take().text), self.take(), literals.number(self.take().text)
        else:
            return whole
        match top, bottom:
            case Number(above, None), Number(below, None) if 0 < above < below:
                return Number(whole.value + above / below)
            case _:
                self.position = start
                return whole

    def argument(self) -> Tree:
        r"""What a command applies to: a group, or one token; of a number the first digit alone (\frac12)."""
        token = self.peek()
        if token.kind == "number" and token.text.isdigit() and len(token.text) > 1:
            self.tokens[self.position : self.position + 1] = [
                Token("number", token.text[0]),
                Token("number", token.text[1:]),
            ]
        return negative(self.argument()) if self.accept("op", "-") else self.unmixed()

    def unmixed(self) -> Tree:
        """A primary; of numbers one alone, since \\frac 1 2 has two."""
        token = self.accept("number")
        return literals.number(token.text) if token else self.primary()

    def structure(self, name: str) -> Tree:
        match name:
            case "frac":
                top = self.argument()
                return quotient(top, self.argument())
            case "binom":
                return Apply("binom", (self.argument(), self.argument()))
            case "cbrt":
                return Power(self.primary(), Number(Fraction(1, 3)))
            case "sqrt" | "surd":
                degree = self.until("]") if self.accept("open", "[") else None
                root = Number(Fraction(1, 2)) if degree is None else quotient(ONE, degree)
                return Power(self.unmixed(), root)
            case _:
                raise UnreadableError(f"no meaning for \\{name} here")

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
        found = applied(name, (*self.function_arguments(), *base))
        return found if power is ONE else Power(found, power)

    def function_arguments(self) -> tuple[Tree, ...]:
        """The arguments in brackets, or the product that follows: sin 2x, but sin x cos x."""
        if self.peek().kind == "open":
            inner = self.primary()
            return inner.items if isinstance(inner, Bracket) else (inner,)
        factors = [self.signed_factor()]
        while self.starts_factor() and self.peek().kind != "function":
            factors.append(self.factor())
        return (product_of(factors),)

    def until(self, close: str) -> Tree:
        tree = self.relation()
        if not self.accept("close", close):
            raise UnreadableError(f"{close} is missing")
        return tree

    def bracket(self, left: str, closes: tuple[str, ...] = ()) -> Tree:
        bars, self.bars = self.bars, 0
        closes = closes or (("]", ")", "[") if left in ("(", "[") else (_CLOSES[left],))
        items: list[Tree] = []
        if not (self.peek().kind == "close" and self.peek().text in closes):
            items.append(self.member(left))
            while self.accept("sep") or (left != "{" and self.accept("row")):
                items.append(self.member(left))
        token = self.take()
        if token.kind not in ("close", "open") or token.text not in closes:
            raise UnreadableError(f"{left} is not closed")
        self.bars = bars
        return bracketed(items, left, ")" if token.kind == "open" else token.text)

    def french_interval(self) -> Tree:
        """]a, b[ is open; ]a, b] is closed on the right."""
        return self.bracket("(", ("[", "]"))

    def member(self, left: str) -> Tree:
        if left not in ("\\{", "{"):
            return self.relation()
        start = self.position
        tree = self.set_builder()
        if tree is None:
            self.position = start
            tree = self.relation()
        return tree

    def set_builder(self) -> Tree | None:
        """{x | x > 2}, {x \\in A : x > 2}; None where nothing separates an expression from conditions."""
        self.bars += 1  # a bar after the first expression separates, and does not open an absolute value
        tree = self.setwise()
        if self.accept("rel", "in"):
            tree = Relation((tree, self.setwise()), ("in",))
        self.bars -= 1
        if not (self.accept("bar") or self.accept("rel", ":")):
            return None
        conditions = [self.relation()]
        while self.accept("sep"):
            conditions.append(self.relation())
        return Apply("builder", (tree, *conditions))

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
