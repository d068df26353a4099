r"""`All real numbers except 2 and 3` as the set that it is."""

from __future__ import annotations

import re

_LONGEST = 160  # characters
_TEXT = re.compile(r"\\(?:text\w*|mathrm|mbox)\s?\{([^{}]*)\}")
_ALL_BUT = re.compile(
    r"\s*(?:the (?:domain|range|answer)(?: of \S{1,9})? is )?(?:the set of )?all (?:real numbers|reals|real values)"
    r"(?: (?:of )?x)? (?:except|excluding|other than|besides|but)(?: for| when)?\s(?P<left_out>.{1,80})",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b[a-z]\s?=")
_JOINT = re.compile(r",?\s(?:and|or)\s")


def all_but(text: str) -> str | None:
    r"""LaTeX of the set that a text describes: `\mathbb{R} \setminus \{2\}`; None where it describes none so."""
    if len(text) > _LONGEST or " real" not in text.casefold():
        return None
    found = _ALL_BUT.fullmatch(" ".join(_TEXT.sub(r" \1 ", text).replace("$", " ").split()))
    if found is None:
        return None
    left_out = _JOINT.sub(", ", _NAME.sub("", found["left_out"]))
    return rf"\mathbb{{R}} \setminus \{{{left_out}\}}"
