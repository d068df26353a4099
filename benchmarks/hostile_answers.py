"""A hundred answers that try to hang, crash or break into a grader, with references they do not equal.

Ten families in growing sizes: towers of exponents, factorials of factorials, deep nesting of braces and
fractions and roots, 100,000 characters, sums and products over billions, patterns that make a regular
expression backtrack, code, wide matrices, expansions with too many terms.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hostile:
    family: str
    gold: str
    response: str


def hostile_answers() -> list[Hostile]:
    """All hundred, in a fixed order."""
    return [
        Hostile(family, gold, response)
        for family, gold, responses in (
            ("tower", "1", _towers()),
            ("factorial", "1", _factorials()),
            ("nesting", "2", _nested()),
            ("length", "7", _long()),
            ("operator", "1", _operators()),
            ("backtracking", "7", _backtracking()),
            ("code", "0", _code()),
            ("expansion", "x - 1", _expansions()),
            ("matrix", "0", _matrices()),
            ("list", "\\{1,2,3\\}", _lists()),
        )
        for response in responses
    ]


def _boxed(text: str) -> str:
    return f"\\boxed{{{text}}}"


def _towers() -> list[str]:
    towers = ["^{".join(["9"] * height) + "}" * (height - 1) for height in (3, 4, 5, 10, 25, 100)]
    return [_boxed(tower) for tower in towers] + [
        _boxed("0.000001^{-1000000}"),
        _boxed("2**2**2**2**2**2**2"),
        _boxed("\\left(1+10^{-9}\\right)^{10^{18}}"),
        _boxed("1e999999999"),
    ]


def _factorials() -> list[str]:
    return [_boxed("9" + "!" * count) for count in (2, 3, 10, 1000)] + [
        _boxed("((10!)!)!"),
        _boxed("1000000000!"),
        _boxed("\\binom{1000000000}{500000000}"),
        _boxed("\\frac{100000!}{99999!}"),
        _boxed("(10^{9})! / (10^{9}-1)!"),
        _boxed("\\gcd(2^{100000}!, 3)"),
    ]


def _nested() -> list[str]:
    return [
        "{" * 10_000 + "2" + "}" * 10_000,
        _boxed("{" * 10_000 + "3" + "}" * 10_000),
        "\\boxed{" * 10_000 + "3" + "}" * 10_000,
        _boxed("(" * 5_000 + "3" + ")" * 5_000),
        _boxed("\\frac{" * 2_000 + "1" + "}{2}" * 2_000),
        _boxed("\\sqrt{" * 200 + "3" + "}" * 200),
        _boxed("-" * 3_000 + "3"),
        _boxed("|" * 3_000 + "3" + "|" * 3_000),
        _boxed("\\{" * 1_000 + "3" + "\\}" * 1_000),
        _boxed("\\sin " * 600 + "3"),
    ]


def _long() -> list[str]:
    return [
        _boxed("1" * 100_000),
        _boxed("0." + "3" * 100_000),
        _boxed("1+" * 50_000 + "1"),
        _boxed("x" * 100_000),
        "a" * 100_000,
        "3 " * 50_000,
        "$1$ and " * 12_500,
        "The answer is " * 8_000,
        "= " * 50_000,
        "\\boxed{2} " * 10_000 + "\\boxed{3}",
    ]


def _operators() -> list[str]:
    return [
        _boxed("\\sum_{k=1}^{1000000000} k^{k}"),
        _boxed("\\prod_{k=1}^{1000000}(1+x^k)"),
        _boxed("\\int_0^{\\infty} e^{-x^{x^{x}}} dx"),
        _boxed("\\lim_{n\\to\\infty} n!^{n!}"),
        _boxed("\\sum_{i=1}^{10^9}\\sum_{j=1}^{10^9} \\gcd(i,j)"),
        _boxed("\\sin(10^{10^{10}})"),
        _boxed("\\lfloor 10^{10^{10}} \\pi \\rfloor"),
        _boxed("\\log_2 (2^{2^{2^{2^{7}}}})"),
        _boxed("\\sqrt[1000000007]{2^{1000000007}}"),
        _boxed("\\det\\begin{pmatrix}" + "\\\\".join("&".join(f"x_{{{i}{j}}}" for j in range(12)) for i in range(12)) + "\\end{pmatrix}"),  # noqa: E501
    ]  # fmt: skip


def _backtracking() -> list[str]:
    return [
        "answer " * 14_000,
        "answer to " + "a" * 100_000,
        "<think>" * 14_000,
        "\\boxed{1" * 10_000,
        "\\(" * 50_000,
        "$" * 100_000,
        _boxed("," * 4_000),
        _boxed("1" + " " * 100_000 + "2"),
        _boxed("\\text{" * 1_000 + "3" + "}" * 1_000),
        "(" * 100_000,
    ]


def _code() -> list[str]:
    return [
        _boxed("__import__('os').system('sleep 9')"),
        _boxed("(lambda: open('/tmp/MATHPWNED','w'))()"),
        _boxed("[x for x in iter(int, 1)]"),
        _boxed("exec('while True: pass')"),
        _boxed("().__class__.__base__.__subclasses__()"),
        "$eval('9**9**9')$",
        _boxed("\\text{eval(compile('while 1: pass','','exec'))}"),
        _boxed("Eq(Symbol('x'), Integral(exp(x**x), x))"),
        "type('E',(),{'__eq__':lambda s,o:True})()",
        "open('/tmp/MATHPWNED','w') or 0",
    ]


def _expansions() -> list[str]:
    return [_boxed(f"(a+b+c+d+e+f+g+h)^{{{power}}}") for power in (8, 20, 24, 1000)] + [
        _boxed("x^{100000}-1"),
        _boxed("(x+1)^{20}(x+2)^{20}(x+3)^{20}(y+4)^{20}(z+5)^{20}"),
        _boxed("\\frac{1}{x+1}" + "".join(f"+\\frac{{1}}{{x+{k}}}" for k in range(2, 60))),
        _boxed("\\sqrt{2}" + "".join(f"+\\sqrt{{{k}}}" for k in range(3, 300))),
        _boxed("".join(f"(\\sqrt{{{k}}}+1)" for k in range(2, 60))),
        _boxed("+".join(f"2^{{n^{{{k}}}}}" for k in range(150))),
    ]


def _matrices() -> list[str]:
    def matrix(size: int) -> str:
        return (
            "\\begin{pmatrix}"
            + "\\\\".join("&".join("1" for _ in range(size)) for _ in range(size))
            + "\\end{pmatrix}"
        )

    return [_boxed(matrix(size)) for size in (5, 10, 20, 25, 100)] + [
        _boxed(matrix(8) + matrix(8)),
        _boxed(matrix(8) + "^{1000000}"),
        _boxed("\\begin{pmatrix}" * 1_000),
        _boxed("&" * 4_000),
        _boxed("[" + ",".join("[1,2]" for _ in range(300)) + "]"),
    ]


def _lists() -> list[str]:
    return [_boxed(",".join(str(k) for k in range(count))) for count in (10, 100, 500, 1_000, 20_000)] + [
        _boxed("\\{" + ",".join(f"\\sqrt{{{k}+\\sqrt{{{k}}}}}" for k in range(2, 120)) + "\\}"),
        _boxed("(\\pm 1, " + "\\pm 2, " * 200 + "\\pm 3)"),
        _boxed("1 " + "\\pm \\sqrt{2} " * 100),
        _boxed("(-\\infty, 1)" + "".join(f"\\cup({k},{k + 1})" for k in range(2, 200))),
        _boxed("x<1" + "".join(f" \\text{{ or }} x={k}" for k in range(2, 200))),
    ]
