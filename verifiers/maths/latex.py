"""Takes off what only changes how LaTeX looks, and mends what broke on the way through JSON and templates.

After `tidy` an answer holds no math delimiters, sizes, spacing commands or invisible parts; `\\text{...}`
and everything else that has a meaning is left for the lexer.
"""

from __future__ import annotations

import re

from proctor.verifiers.maths.typography import to_latex

# A backslash that a JSON or Python string has eaten: "\boxed" became BACKSPACE + "oxed".
_EATEN = {"\x07": "\\a", "\x08": "\\b", "\x0b": "\\v", "\x0c": "\\f", "\t": "\\t", "\r": "\\r"}
_EATEN_MARK = re.compile(
    "[\x07\x08\x0b\x0c](?=[a-z])"
    r"|\t(?=ext|imes\b|frac|an\b|heta\b|o\b|riangle)|\r(?=ight|ho\b|m\{|floor|ceil)"
)
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z]{2}|[%${}!])")
_SINGLE = re.compile(r"(?<!\\)\\[a-zA-Z]{2}")
_LOOKS = re.compile(
    r"(?P<row>\\\\)"
    r"|(?P<nothing>\\(?:left|right|middle|[bB]igg?[lrm]?)(?![a-zA-Z])\s?\.?"
    r"|\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|normalsize|large|Large|small|strut|noindent"
    r"|rm|bf|it|boldmath|ensuremath)(?![a-zA-Z])"
    r"|\\(?:[hv]?phantom|label|tag\*?|color|textcolor)\s?\{[^{}]*\}"
    r"|\\!)"
    r"|\\(?:[,;:> ()\[\]]|q?quad|(?:thinspace|medspace|enspace|space|hfill)(?![a-zA-Z])|[hv]space\*?\s?\{[^{}]*\})"
    r"|~"
)
_PRIME = re.compile(r"\^\s?(?:\{\s?((?:\\prime\s?)+)\}|(\\prime(?![a-zA-Z])))")
_GROUPED = re.compile(r",\\!\s*|\{,\}\s?")
_DECIMAL = re.compile(r"(?<=\d)\{,\}(?=\d)(?!\d{3}(?!\d))")  # 0{,}5; of 1{,}234 the comma groups
_LONE_SIGN = re.compile(r"(?<![\^_])\{([-+:])\s?\}")
_EMPTY = re.compile(r"(?:(?<=[a-zA-Z0-9%])|\A)\{\}(?!\{)")  # \pi{} is \pi
_TIMES_TEN = re.compile(r"(?<=\d)\s{0,3}(?:\\text\s?\{\s?x\s?\}|x)\s{0,3}(?=10\s?(?:\^|\*\*))", re.IGNORECASE)
_BOLD = re.compile(r"\*\*([^*]+)\*\*$")


def tidy(text: str) -> str:
    """The answer with nothing left that is only for show. Linear in the length of the text."""
    text = mend(to_latex(text)).strip()
    if "$" in text:
        text = _without_dollars(text)
    if "\\" in text or "~" in text or "{,}" in text:
        text = _LOOKS.sub(_plain_look, _GROUPED.sub(",", _DECIMAL.sub(".", text)))
        if "\\prime" in text:
            text = _PRIME.sub(lambda prime: "'" * prime[0].count("\\prime"), text)
    if "{}" in text or "{-" in text or "{+" in text or "{:" in text:
        text = _EMPTY.sub("", _LONE_SIGN.sub(r"\1", text))
    if "x" in text and "10" in text:
        text = _TIMES_TEN.sub(r" \\times ", text)
    if text.endswith("\\") and not text.endswith("\\\\"):
        text = text[:-1]  # of `100\\ `, whose space is gone already
    if text.startswith("**"):
        text = _BOLD.sub(r"\1", text)
    return text.strip()


def mend(text: str) -> str:
    """Puts back backslashes that were eaten, takes out those that were doubled by an encoding on the way."""
    if not text.isprintable():
        text = _EATEN_MARK.sub(lambda mark: _EATEN[mark[0]], text)
    if "\\\\" in text and _DOUBLED.search(text):
        if not _SINGLE.search(text):
            return text.replace("\\\\", "\\")
        if "\\begin" not in text:  # where there are no rows, a doubled backslash ends none
            return _DOUBLED.sub(r"\\", text)
    return text


def _plain_look(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "row":
            return found[0]
        case "nothing":
            return ""
        case _:
            return " "


def _without_dollars(text: str) -> str:
    r"""Takes out `$` as a delimiter of mathematics; as a currency it becomes `\$`.

    Delimiters come in pairs. One that is left over beside a digit is money: `$12.55`, `1,000.99$`.
    """
    bare = text.replace("\\$", "\0")
    if bare.count("$") % 2:
        bare = re.sub(r"\$(?=\s?[-+]?[\d.])|(?<=\d)\s?\$", "\0", bare, count=1)
    return bare.replace("$", " ").replace("\0", "\\$")
