"""Finds the class that a Java program is started by, and the one that its file is called after, in hostile text.

One look at each character. Comments and texts are passed over; types that stand inside of others are none of it.
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
    """Path of the file without its ending, such as `Main` or `org/example/Main`, as javac takes it.

    It is called after the public type; failing that, after the class that is started.
    """
    return _names(source)[0]


def java_start(source: str) -> str:
    """Path of the class that java is to start: the public one or the first, of those that hold `main`.

    Where none does: the public type; failing that, the last one; `Main` where there is none.
    """
    return _names(source)[1]


def _names(source: str) -> tuple[str, str]:
    package = name = public = ""
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
            public = public or (name if is_public else "")
            types.append(name)
        elif depth == 1 and text == "main":
            with_main += types[-1:]
        depth += {"{": 1, "}": -1}.get(text, 0)
        if text in "{};":
            is_public, name = False, ""
        is_public |= text == "public"
    started = public if public in with_main else [*with_main, public or [*types, "Main"][-1]][0]
    return package + (public or started), package + started
