"""Finds the class that a Java program is started by, in hostile text: one look at each character.

Comments and texts are passed over; types that stand inside of others are none of it. Does not cover a program
whose public type is not the one with `main`: javac ties the file's name to the public one.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"//[^\n]*"
    r"|/\*.*?(?:\*/|\Z)"
    r'|"""(?:\\.|[^\\])*?(?:"""|\Z)'
    r'|"(?:\\.|[^"\\\n])*"?'
    r"|'(?:\\.|[^'\\\n])*'?"
    r"|\b(?:class|enum|record|interface)\s+(?P<type>\w{1,60})"  # a file's name takes 255 bytes
    r"|\bpackage\s+(?P<package>\w{1,60}(?:\.\w{1,60}){0,9})"
    r"|\b(?:public|main)\b"
    r"|[{};]",
    re.DOTALL,
)


def java_main(source: str) -> str:
    """Path of the class without its ending, such as `Main` or `org/example/Main`, as javac and java take it.

    The public type; failing that, the first that holds `main`; failing that, the last one; `Main` where there
    is none.
    """
    package = name = ""
    types: list[str] = []
    with_main: list[str] = []
    is_public, depth = False, 0
    for token in _TOKEN.finditer(source):
        text = token[0]
        if depth == 0 and token["type"]:
            name = token["type"]
        elif depth == 0 and token["package"]:
            package = token["package"].replace(".", "/") + "/"
        elif depth == 0 and text == "{" and name:
            if is_public:
                return package + name
            types.append(name)
        elif depth == 1 and text == "main":
            with_main += types[-1:]
        depth += {"{": 1, "}": -1}.get(text, 0)
        if text in "{};":
            is_public, name = False, ""
        is_public |= text == "public"
    return package + [*with_main, *types[-1:], "Main"][0]
