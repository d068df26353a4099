"""The known name that an unknown one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, where one is like it at all."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ " (did you mean 'format'?)", or nothing where no known name is near."""
    near = nearest(name, known)
    return f" (did you mean '{near}'?)" if near else ""
