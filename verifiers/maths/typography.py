"""Real typography to plain LaTeX and ASCII: `x² ≤ ½` becomes `x^{2} \\le \\frac{1}{2}`.

Covers what Unicode offers for writing mathematics: sub- and superscripts, fractions, operators, relations,
Greek, mathematical alphabets, full-width and other scripts' digits, exotic spaces, invisible characters.
Does not cover words for numbers in other scripts (四十二).
"""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸ", "0123456789+-=()nixy", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₙₘₖᵢⱼ", "0123456789+-=()aeoxnmkij", strict=True))
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
# Soft hyphen, zero width, direction; invisible operators, variation selectors, byte order mark.
_INVISIBLE = (
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2063\u2064\ufe0e\ufe0f\ufeff"
)
_SMALL_GREEK = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon
    phi chi psi omega"""
_CAPITAL_GREEK = "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
_GREEK = {
    **dict(zip("αβγδεζηθικλμνξπρστυφχψω", _SMALL_GREEK.split(), strict=True)),
    **dict(zip("ΓΔΘΛΞΠΣΦΨΩ", _CAPITAL_GREEK.split(), strict=True)),
    "µ": "mu", "ϕ": "phi", "ϵ": "epsilon", "ϑ": "theta",
}  # fmt: skip
_COMMANDS = {
    "times": "×✕✖⨯", "cdot": "·⋅∙•", "div": "÷", "pm": "±", "mp": "∓", "surd": "√", "infty": "∞",
    "le": "≤⩽≦", "ge": "≥⩾≧", "ne": "≠", "approx": "≈≃≅", "equiv": "≡", "in": "∈", "notin": "∉",
    "cup": "∪", "cap": "∩", "setminus": "∖", "emptyset": "∅⌀", "subset": "⊂", "subseteq": "⊆",
    "angle": "∠", "triangle": "△", "perp": "⊥", "parallel": "∥", "ldots": "…⋯", "sum": "∑", "prod": "∏",
    "int": "∫", "partial": "∂", "nabla": "∇", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
    "to": "→", "Rightarrow": "⇒", "land": "∧", "lor": "∨", "forall": "∀", "exists": "∃", "neg": "¬",
}  # fmt: skip
_PLAIN = {
    "-": "−‐‑‒–—―﹣⁻", "/": "∕⁄", "'": "′’‘", "''": "″", '"': "“”„«»", "|": "∣｜", ",": "、،", ".": "。٫", "*": "∗",
    " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    "^{\\circ}": "°º˚", ";": "؛", ":": "∶", "\\sqrt[3]": "∛", "\\sqrt[4]": "∜", "\\pi ": "π𝜋𝛑ℼ", "\\cdot ": "\u2062",
    "\\mathbb{R}": "ℝ", "\\mathbb{Z}": "ℤ", "\\mathbb{N}": "ℕ", "\\mathbb{Q}": "ℚ", "\\mathbb{C}": "ℂ",
}  # fmt: skip
_TABLE: dict[int, str] = {
    **{ord(char): "" for char in _INVISIBLE},
    **{ord(char): f"\\{name} " for char, name in _GREEK.items()},
    **{ord(char): f"\\{name} " for name, chars in _COMMANDS.items() for char in chars},
    **{ord(char): plain for plain, chars in _PLAIN.items() for char in chars},
}
_SUPERSCRIPT_TABLE, _SUBSCRIPT_TABLE = str.maketrans(_SUPERSCRIPTS), str.maketrans(_SUBSCRIPTS)
_SUPERSCRIPT_RUN = re.compile(f"[{''.join(map(re.escape, _SUPERSCRIPTS))}]+")
_SUBSCRIPT_RUN = re.compile(f"[{''.join(map(re.escape, _SUBSCRIPTS))}]+")
_CIRCLED_RUN = re.compile(f"[{_CIRCLED}]+")


def to_latex(text: str) -> str:
    """The same text in LaTeX and ASCII wherever there is a plain spelling; other characters stay."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFC", text)
    text = _SUPERSCRIPT_RUN.sub(lambda run: "^{" + run[0].translate(_SUPERSCRIPT_TABLE) + "}", text)
    text = _SUBSCRIPT_RUN.sub(lambda run: "_{" + run[0].translate(_SUBSCRIPT_TABLE) + "}", text)
    text = _CIRCLED_RUN.sub(lambda run: ", ".join(str(_CIRCLED.index(char) + 1) for char in run[0]), text)
    text = text.translate(_TABLE)
    if text.isascii():
        return text
    text = "".join(_plain(char) for char in text)
    # Mathematical alphabets become Greek only after the compatibility mapping, hence the second look.
    return text.translate(_TABLE)


def _plain(char: str) -> str:
    if char.isascii():
        return char
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(char) == "So" or char in "∴∵":  # check marks, emoji, therefore
        return " "
    mapped = unicodedata.normalize("NFKC", char)
    if "⁄" in mapped:  # ½, ¾, ⅓ ...
        top, _, bottom = mapped.partition("⁄")
        return f"\\frac{{{top}}}{{{bottom}}}"
    return mapped
