"""Source text of a reward expression -> nodes. Python's own syntax tree is read, nothing is ever evaluated.

What is not on the list here is an error: no attributes, subscripts, lambdas, comprehensions or f-strings,
and no call but of a registered part or one of `FUNCTIONS`. Any text gives a node or an ExpressionError.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from proctor.verifiers.core import COLUMNS
from proctor.verifiers.expressions.literals import NotLiteralError, read_literal
from proctor.verifiers.expressions.options import (
    check_given,
    check_option,
    missing_options,
    option_names,
    takes_several,
    unknown_shape,
)
from proctor.verifiers.expressions.syntax import ExpressionError, Source, Span
from proctor.verifiers.nodes import (
    FUNCTIONS,
    Abs,
    And,
    Arithmetic,
    Clip,
    Compare,
    Constant,
    Field,
    Max,
    Min,
    Negative,
    Node,
    Not,
    Number,
    Or,
    Schedule,
    When,
    as_node,
    walk,
)
from proctor.verifiers.part import Part
from proctor.verifiers.registry import parts, unknown_part

__all__ = ["MAX_DEPTH", "ExpressionError", "check_made", "parse", "parse_table", "parse_with_spans"]

MAX_DEPTH = 100  # Python's own stack ends near 1,000 frames; each level takes a few


def parse(source: str) -> Node:
    """The expression that the text says. Raises ExpressionError, and nothing else."""
    return parse_with_spans(source)[0]


def parse_with_spans(source: str) -> tuple[Node, dict[int, Span]]:
    """The expression, and where in the source each node stands, by the node's `id`."""
    reader = _Reader(Source(source))
    return reader.read(reader.source.tree()), reader.spans


def parse_table(weights: Mapping[str, float | str]) -> Node:
    """The sum of parts by weight: {"math": 0.9, 'format("boxed")': 0.1}; a weight may be source text too.

    Raises ExpressionError, and TypeError for a weight that is neither text nor a number.
    """
    if not weights:
        raise ExpressionError("a table of weights needs at least one part", "", span=Span(0, 0))
    total: Node | None = None
    for text, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float, str)):
            raise TypeError(f"the weight of '{text}' must be a number or text, got {weight!r}")
        factor = parse(weight) if isinstance(weight, str) else as_node(weight)
        is_minus = isinstance(factor, Negative)
        size = factor.operand if isinstance(factor, Negative) else factor
        term = parse(text) if size == Number(1) else size * parse(text)
        if total is None:
            total = -term if is_minus else term
            continue
        total = total - term if is_minus else total + term
    assert total is not None
    return total


def check_made(node: Node) -> Node:
    """Nodes that were made in Python, with the options of their parts checked as in text. Raises ValueError."""
    for part in walk(node):
        if isinstance(part, Part):
            check_given(part)
    return node


_ARITHMETIC: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: dict[type[ast.AST], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_UNSUPPORTED: dict[type, str] = {
    ast.Attribute: "attributes cannot be read in a reward expression",
    ast.BitAnd: "write 'and' for the gate in text; '&' is for Python objects",
    ast.BitOr: "write 'or' in text; '|' is for Python objects",
    ast.Invert: "write 'not' in text; '~' is for Python objects",
    ast.Is: "write '==' in place of 'is'",
    ast.IsNot: "write '!=' in place of 'is not'",
    ast.JoinedStr: "f-strings are not supported; write plain text in quotes",
    ast.Lambda: "functions cannot be defined here; a Python function joins by the decorator proctor.part",
    ast.Pow: "powers are not supported; the operators are + - * /",
    ast.Subscript: "items cannot be read in a reward expression",
}


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.spans: dict[int, Span] = {}
        self.depth = 0

    def fail(self, problem: str, at: ast.AST, cause: Exception | None = None) -> NoReturn:
        self.source.fail(problem, at, cause)

    def read(self, tree: ast.expr, *, columns: bool = False) -> Node:
        """The node for a syntax tree. columns: whether an unknown bare name is a column of the rollout."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} levels deep", tree)
        node = self.dispatch(tree, columns)
        self.depth -= 1
        self.spans[id(node)] = self.source.span(tree)
        return node

    def dispatch(self, tree: ast.expr, columns: bool) -> Node:
        match tree:
            case ast.Constant(value):
                return self.constant(tree, value)
            case ast.Name(name):
                return self.name(tree, name, columns)
            case ast.UnaryOp(op, operand):
                return self.unary(tree, op, self.read(operand, columns=columns))
            case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
                return Arithmetic(_ARITHMETIC[type(op)], self.read(left), self.read(right))
            case ast.BoolOp(op, values):
                join = And if isinstance(op, ast.And) else Or
                return self.folded(join, [self.read(value, columns=columns) for value in values], tree)
            case ast.Compare():
                return self.comparison(tree)
            case ast.IfExp(test, body, orelse):
                condition = self.read(test, columns=True)
                return When(condition, self.read(body), self.read(orelse))
            case ast.Call(ast.Name(name)):
                return self.function(tree, name) if name in FUNCTIONS else self.part(tree, name)
            case ast.Call(func):
                self.fail(_UNSUPPORTED.get(type(func), "only a part can be called"), func)
        return self.unsupported(tree)

    def unsupported(self, tree: ast.expr) -> NoReturn:
        kind = type(getattr(tree, "op", tree))
        words = re.sub(r"(?<!^)([A-Z])", r" \1", kind.__name__).lower()
        self.fail(_UNSUPPORTED.get(kind, f"{words} is not supported in a reward expression"), tree)

    def folded(self, join: type[And] | type[Or], operands: list[Node], tree: ast.expr) -> Node:
        """a and b and c -> (a and b) and c."""
        whole = operands[0]
        start = self.outer_span(whole, tree).start
        for operand in operands[1:]:
            end = self.outer_span(operand, tree).end
            whole = join(whole, operand)
            self.spans[id(whole)] = Span(start, end)
        return whole

    def outer_span(self, node: Node, tree: ast.expr) -> Span:
        """Where a node stands, with the parentheses around it, inside a larger piece of syntax."""
        return self.source.with_parentheses(self.spans[id(node)], within=self.source.span(tree))

    def constant(self, tree: ast.expr, value: object) -> Node:
        if value is None:
            return Constant(None)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail(
                f"{ast.unparse(tree)[:40]} is no number; text, True and False stand in comparisons", tree
            )
        try:
            return Number(value)
        except (ValueError, OverflowError) as error:
            self.fail("this number is too large", tree, error)

    def name(self, tree: ast.expr, name: str, columns: bool) -> Node:
        if name in parts():
            return self.build(tree, parts()[name], {})
        if name in FUNCTIONS:
            self.fail(f"{name} is written {_USAGE[name]}", tree)
        if name in COLUMNS or columns:
            return Field(name)
        return self.unknown(tree, name, f'; a column of that name is written field("{name}")')

    def unknown(self, tree: ast.expr, name: str, more: str = "") -> NoReturn:
        self.fail(unknown_part(name, [*FUNCTIONS, *COLUMNS]) + more, tree)

    def unary(self, tree: ast.UnaryOp, op: ast.unaryop, operand: Node) -> Node:
        if isinstance(op, ast.USub):
            return Negative(operand)
        if isinstance(op, ast.Not):
            return Not(operand)
        if isinstance(op, ast.UAdd):
            return operand
        return self.unsupported(tree)

    def comparison(self, tree: ast.Compare) -> Node:
        """A comparison; a chain such as 0 < x < 1 is 0 < x and x < 1."""
        operands = [self.operand(operand) for operand in (tree.left, *tree.comparators)]
        pairs: list[Node] = []
        for position, op in enumerate(tree.ops):
            if type(op) not in _COMPARISONS:
                self.fail(_UNSUPPORTED[type(op)], tree)
            left, right = operands[position : position + 2]
            try:
                pairs.append(Compare(_COMPARISONS[type(op)], left, right))
            except ValueError as error:
                self.fail(str(error), tree, error)
            start, end = self.outer_span(left, tree).start, self.outer_span(right, tree).end
            self.spans[id(pairs[-1])] = Span(start, end)
        return self.folded(And, pairs, tree)

    def operand(self, tree: ast.expr) -> Node:
        """One side of a comparison: text and lists may stand there too."""
        is_text = isinstance(tree, ast.Constant) and isinstance(tree.value, (str, bool))
        if not is_text and not isinstance(tree, (ast.List, ast.Tuple)):
            return self.read(tree, columns=True)
        value = self.literal(tree)
        constant = Constant(tuple(value) if isinstance(value, list) else value)
        self.spans[id(constant)] = self.source.span(tree)
        return constant

    def function(self, tree: ast.Call, name: str) -> Node:
        """A call of one of FUNCTIONS."""
        arguments = {str(place): value for place, value in enumerate(tree.args)}
        for keyword in tree.keywords:
            if name != "schedule" or keyword.arg != "steps" or "2" in arguments:
                self.fail(f"{name} is written {_USAGE[name]}", keyword)
            arguments["2"] = keyword.value
        given = list(arguments.values())
        least, most = _ARITY[name]
        if not least <= len(given) <= most or any(isinstance(argument, ast.Starred) for argument in given):
            self.fail(f"{name} is written {_USAGE[name]}", tree)
        if name == "when":
            return When(self.read(given[0], columns=True), *map(self.read, given[1:]))
        if name == "abs":
            return Abs(self.read(given[0]))
        if name in ("min", "max"):
            return (Min if name == "min" else Max)(tuple(map(self.read, given)))
        if name == "field":
            return Field(self.text(given[0]))
        try:
            if name == "clip":
                return Clip(self.read(given[0]), self.number(given[1]), self.number(given[2]))
            steps = self.number(given[2])
            if not steps.is_integer():
                self.fail("steps must be a whole number", given[2])
            return Schedule(self.number(given[0]), self.number(given[1]), int(steps))
        except ExpressionError:
            raise
        except (ValueError, OverflowError) as error:
            self.fail(str(error), tree, error)

    def number(self, tree: ast.expr) -> float:
        value = self.literal(tree)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail("a number is wanted here, written out", tree)
        return float(value)

    def text(self, tree: ast.expr) -> str:
        value = self.literal(tree)
        if not isinstance(value, str):
            self.fail("text in quotes is wanted here", tree)
        return value

    def part(self, tree: ast.Call, name: str) -> Node:
        """A call of a part: its options, in order or by name."""
        if name not in parts():
            self.unknown(tree.func, name)
        part = parts()[name]
        options: dict[str, Any] = {}
        names = option_names(part)
        known = f"the options {', '.join(names)}, and no more" if names else "no options"
        for place, argument in enumerate(tree.args):
            if place >= len(names):
                self.fail(f"{name} has {known}", argument)
            if place == 0 and isinstance(argument, ast.Call):
                options |= self.shape(part, argument)
            else:
                self.option(part, options, names[place], argument, argument)
        for keyword in tree.keywords:
            if keyword.arg is None:
                self.fail("options are written out, one by one", keyword)
            self.option(part, options, keyword.arg, keyword.value, keyword)
        return self.build(tree, part, options)

    def option(
        self, part: type[Part], options: dict[str, Any], name: str, value: ast.expr, at: ast.AST
    ) -> None:
        if name in options:
            self.fail(f"option '{name}' of {part.name} is given twice", at)
        try:
            options[name] = check_option(part, name, self.literal(value))
        except ExpressionError:
            raise
        except ValueError as error:
            self.fail(str(error), at, error)

    def shape(self, part: type[Part], tree: ast.Call) -> dict[str, Any]:
        """The options that `json({...})` stands for, as the first argument of a part with shapes."""
        name = tree.func.id if isinstance(tree.func, ast.Name) else ""
        if name not in part.shapes:
            self.fail(unknown_shape(part, name), tree)
        if tree.keywords:
            self.fail(f"{name}(...) takes no options by name", tree.keywords[0])
        option = part.shapes[name]
        values = [self.literal(argument) for argument in tree.args]
        several = takes_several(part, option) and not (
            len(values) == 1 and isinstance(values[0], (list, tuple))
        )
        if not several and len(values) != 1:
            self.fail(f"{name}(...) takes one argument, the {option}", tree)
        try:
            value = check_option(part, option, values if several else values[0])
        except ValueError as error:
            self.fail(str(error), tree, error)
        return {option_names(part)[0]: name, option: value}

    def build(self, tree: ast.expr, part: type[Part], options: dict[str, Any]) -> Part:
        missing = missing_options(part, options)
        if missing:
            self.fail(f"{part.name} needs its option '{missing[0]}': {part.name}({missing[0]}=...)", tree)
        try:
            return part(**options)
        except Exception as error:  # the part's own check of its options, whatever it raises
            self.fail(f"{part.name}: {str(error).removeprefix(f'{part.name}: ')}", tree, error)

    def literal(self, tree: ast.expr) -> Any:
        try:
            return read_literal(tree)
        except NotLiteralError as error:
            self.fail(error.problem, error.tree, error)


_USAGE = {
    "clip": "clip(x, low, high)",
    "min": "min(x, y, ...)",
    "max": "max(x, y, ...)",
    "abs": "abs(x)",
    "when": "when(condition, x) or when(condition, x, y)",
    "schedule": "schedule(start, end, steps=500)",
    "field": 'field("column")',
}
_ARITY = {
    "clip": (3, 3),
    "min": (2, math.inf),
    "max": (2, math.inf),
    "abs": (1, 1),
    "when": (2, 3),
    "schedule": (3, 3),
    "field": (1, 1),
}
