"""The known name that an unknown one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable


def did_you_mean(name: str, known: Iterable[str], shown: Callable[[str], str] = str) -> str:
    """ " (did you mean 'format'?)", or nothing where no known name is near. shown: how that name is given."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{shown(near[0])}'?)" if near else ""
